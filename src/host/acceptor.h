// Takes the connections that wait at a listening socket, for as long as it lives.
//
// Where no descriptor is left for one more, those who knock wait at the kernel, and the acceptor
// looks again a little later: the socket stays readable, and to be told so at once would be a busy
// wait.
#pragma once

#include <functional>
#include <string>

#include "host/fd.h"
#include "host/real_loop.h"

namespace wh::host {

class Acceptor {
 public:
  // REQUIRES: the socket does not block. What it accepts does not either.
  Acceptor(Fd socket, RealLoop& loop, std::string name, std::function<void(Fd)> on_accept);

  // REQUIRES: the socket listens. Errors: the loop has no room for it.
  Result<void> start() { return watch_.watch(socket_.raw()); }

 private:
  static constexpr Duration kRest = 10ms;
  Progress take();

  Fd socket_;
  std::function<void(Fd)> on_accept_;
  RealLoop& loop_;
  Timer rest_;  // Until it looks again.
  FdWatch watch_;
};

}  // namespace wh::host
