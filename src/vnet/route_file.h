// Many routes from text at once: a full table in under a second.
//
//   # comment
//   192.0.2.0/24 via 10.0.0.1
//   198.51.100.0/24 via 10.0.0.1 weight 3 via 10.0.0.5
//   203.0.113.0/24 drop
//   ip route add 198.18.0.0/15 via 10.0.0.1 eth0        # as a saved configuration has it
//
// The whole text is read, and every next hop resolved, before the first route is set; an error
// names line and word, and leaves everything as it was. A route replaces a static one for the same
// prefix.
#pragma once

#include <memory>
#include <string>
#include <string_view>

#include "core/result.h"
#include "vnet/vnet.h"

namespace wh::vnet {

// The same in pieces, between which packets pass: first read(), then apply(), each until it says
// that it is done. Going before the first apply() leaves everything as it was.
class RouteLoad {
 public:
  // Error: no such VRF.
  static Result<std::unique_ptr<RouteLoad>> make(Vnet& vnet, std::string text, uint32_t vrf = 0);
  ~RouteLoad();
  // At most so many more lines; whether that was the last. Errors: as add_routes().
  Result<bool> read(size_t lines);
  // At most so many more routes; whether that was the last. Error: an interface that a route needs
  // has gone since it was read; those before it are set.
  Result<bool> apply(size_t routes);
  size_t size() const;  // Routes that were read.

 private:
  class Reader;
  explicit RouteLoad(std::unique_ptr<Reader> reader);
  std::unique_ptr<Reader> reader_;
};

// How many routes were set. Errors: a line that is none, with its number and what would be one; a
// next hop that nothing leads to; no such VRF.
Result<size_t> add_routes(Vnet& vnet, std::string text, uint32_t vrf = 0);

}  // namespace wh::vnet
