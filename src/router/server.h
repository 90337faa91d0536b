// The router's socket: JSON requests, one a line, over a Unix stream socket.
//
//   -> {"id": 1, "command": "show int"}                  a line, as typed; answered as text
//   -> {"id": 2, "method": "show interface"}             a method; answered as JSON
//   -> {"id": 3, "method": "ping", "params": {"address": "10.1.0.2", "repeat": 2}}
//   -> {"id": 4, "complete": "show in"}   {"expect": "set int "}   {"schema": true}
//   -> {"id": 5, "prompt": true}                         what to show before each line typed
//   -> {"interrupt": true}                               ends what is running (Ctrl-C)
//   <- {"id": 3, "output": "116 bytes from ..."}         any number of them, then one of
//   <- {"id": 1, "ok": true, "text": "..."}   {"id": 2, "ok": true, "result": ...}
//   <- {"id": 1, "ok": false, "error": "column 6: unknown input ..."}
//
// Requests of one client are answered in order; those that come while one runs wait. Bounds:
// kMostClients, kMostBytes of one request, as many of those that wait,
// host::Stream::kMostQueued of one answer. docs/router.md has the schema.
#pragma once

#include <deque>
#include <list>
#include <memory>

#include "host/stream.h"
#include "router/command_line.h"

namespace wh::router {

class Server {
 public:
  static constexpr size_t kMostClients = 64;
  static constexpr size_t kMostBytes = 1 << 20;

  Server(CommandLine& line, host::RealLoop& loop);
  ~Server();

  // Errors: as host::Listener::open_unix.
  Result<void> listen(const std::string& path);
  // Takes a connected socket as a client's, calling `on_leave` once it is gone. Errors: as
  // host::Stream::start, or too many.
  Result<void> serve(host::Fd fd, std::function<void()> on_leave = {});
  size_t clients() const { return clients_.size(); }

 private:
  class Client;
  void sweep();  // Clients that have left.

  CommandLine& line_;
  host::RealLoop& loop_;
  std::unique_ptr<host::Listener> listener_;
  std::list<std::unique_ptr<Client>> clients_;
  Timer sweeper_;
};

// One request and its answers, without a socket: what a client's line means. `reply` is called with
// one object or more, the last of them with "ok". Null when all was said.
// `has_room` is Output's.
std::unique_ptr<Activity> handle_request(
    CommandLine& line, const nlohmann::json& request, std::function<void(nlohmann::json)> reply,
    std::function<bool()> has_room = [] { return true; });

}  // namespace wh::router
