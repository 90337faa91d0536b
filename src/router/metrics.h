// The router's books for Prometheus: text over HTTP, on loopback only.
//
//   curl http://localhost:9482/metrics
//
// The numbers are those of the reports behind `show interface`, `show errors` and `show runtime`
// (text format 0.0.4 of the Prometheus exposition formats). One request a connection, GET or HEAD;
// anything else gets its HTTP error.
#pragma once

#include <list>
#include <memory>
#include <string>

#include "host/stream.h"
#include "router/router.h"

namespace wh::router {

std::string metrics_text(const Router& router);

class MetricsServer {
 public:
  static constexpr size_t kMostClients = 16;
  static constexpr size_t kMostBytes = 8192;  // Of a request.

  // On 127.0.0.1, and on [::1] where there is one. Port 0 chooses one. Errors: as
  // host::Listener::open_loopback.
  static Result<std::unique_ptr<MetricsServer>> open(const Router& router, host::RealLoop& loop,
                                                     uint16_t port);
  uint16_t port() const { return listener_->port(); }

 private:
  struct Client {
    std::string request;
    std::unique_ptr<host::Stream> stream;
    bool has_left = false;
  };
  MetricsServer(const Router& router, host::RealLoop& loop);
  void accept(host::Fd fd);
  void take_in(Client& client, std::string_view bytes);
  std::string answer_to(std::string_view request) const;

  const Router& router_;
  host::RealLoop& loop_;
  std::unique_ptr<host::Listener> listener_, listener6_;
  std::list<Client> clients_;
  Timer sweeper_;
};

}  // namespace wh::router
