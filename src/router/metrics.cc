#include "router/metrics.h"

#include <algorithm>

#include "router/reports.h"

namespace wh::router {
namespace {

// Label values escape what would end them.
std::string label(std::string_view text) {
  std::string escaped;
  for (const char c : text) {
    if (c == '\\' || c == '"') escaped += '\\';
    escaped += c == '\n' ? ' ' : c;
  }
  return escaped;
}

std::string metric_name(std::string_view counter) {
  std::string name(counter);
  std::replace_if(
      name.begin(), name.end(), [](char c) { return c == ' ' || c == '-'; }, '_');
  return name;
}

void head(std::string& text, std::string_view name, std::string_view type, std::string_view help) {
  text += fmt::format("# HELP {} {}\n# TYPE {} {}\n", name, help, name, type);
}

void interfaces(std::string& text, const Router& router) {
  const auto rows = interface_report(router);
  head(text, "wheelhouse_interface_up", "gauge", "Whether the interface is switched on.");
  for (const auto& row : rows) {
    text += fmt::format("wheelhouse_interface_up{{interface=\"{}\"}} {}\n", label(row.name),
                        row.up ? 1 : 0);
  }
  head(text, "wheelhouse_interface_carrier", "gauge", "Whether its link has another end.");
  for (const auto& row : rows) {
    text += fmt::format("wheelhouse_interface_carrier{{interface=\"{}\"}} {}\n", label(row.name),
                        row.has_carrier ? 1 : 0);
  }
  // A family's samples stand together.
  for (size_t i = 0; !rows.empty() && i < rows.front().counters.size(); ++i) {
    const std::string& counter = rows.front().counters[i].first;
    const std::string name = fmt::format("wheelhouse_interface_{}_total", metric_name(counter));
    head(text, name, "counter", counter);
    for (const auto& row : rows) {
      text +=
          fmt::format("{}{{interface=\"{}\"}} {}\n", name, label(row.name), row.counters[i].second);
    }
  }
}

void errors(std::string& text, const Router& router) {
  head(text, "wheelhouse_node_events_total", "counter",
       "What a node counted, with its reason: drops and other events.");
  for (const auto& row : error_report(router).rows) {
    text += fmt::format(
        "wheelhouse_node_events_total{{node=\"{}\",reason=\"{}\",severity=\"{}\"}} {}\n",
        label(row.node), label(row.name), graph::to_string(row.severity), row.count);
  }
}

void runtime(std::string& text, const Router& router) {
  const auto report = runtime_report(router);
  auto family = [&](const char* name, const char* type, const char* help, auto value) {
    head(text, name, type, help);
    for (const auto& row : report.rows) {
      text += fmt::format("{}{{node=\"{}\"}} {}\n", name, label(row.name), value(row));
    }
  };
  family("wheelhouse_node_calls", "gauge", "Calls of the node since `clear runtime`.",
         [](const auto& row) { return row.calls; });
  family("wheelhouse_node_vectors", "gauge", "Packets of the node since `clear runtime`.",
         [](const auto& row) { return row.vectors; });
  family("wheelhouse_node_clocks_per_packet", "gauge", "Processor cycles for each packet.",
         [](const auto& row) { return fmt::format("{:.1f}", row.clocks); });
}

void nat(std::string& text, const Router& router) {
  const vnet::Nat44& nat44 = router.vnet().nat44();
  head(text, "wheelhouse_nat44_sessions", "gauge", "Dynamic mappings of NAT44.");
  text += fmt::format("wheelhouse_nat44_sessions {}\n", nat44.size());
  head(text, "wheelhouse_nat44_sessions_limit", "gauge", "At most so many.");
  text += fmt::format("wheelhouse_nat44_sessions_limit {}\n", nat44.max_mappings());
}

void access_lists(std::string& text, const Router& router) {
  const vnet::AclTable& acls = router.vnet().acls();
  head(text, "wheelhouse_acl_hits_total", "counter", "Packets that a rule matched.");
  for (const auto& [number, hits] : acl_hits(router)) {
    const std::string& tag = acls.lists().at(number).tag;
    for (size_t rule = 0; rule < hits.size(); ++rule) {
      text += fmt::format("wheelhouse_acl_hits_total{{acl=\"{}\",rule=\"{}\",tag=\"{}\"}} {}\n",
                          number, rule, label(tag), hits[rule]);
    }
  }
  head(text, "wheelhouse_acl_sessions", "gauge", "Flows that pass because of permit+reflect.");
  text += fmt::format("wheelhouse_acl_sessions {}\n", acls.sessions());
}

void policers(std::string& text, const Router& router) {
  constexpr const char* kColours[] = {"conform", "exceed", "violate"};
  const auto all = router.vnet().policers().policers();
  auto family = [&](const char* name, const char* help, auto member) {
    head(text, name, "counter", help);
    for (const vnet::Policer* policer : all) {
      for (size_t i = 0; i < 3; ++i) {
        text +=
            fmt::format("{}{{policer=\"{}\",colour=\"{}\"}} {}\n", name,
                        label(policer->config().name), kColours[i], policer->counts()[i].*member);
      }
    }
  };
  family("wheelhouse_policer_packets_total", "Packets that a policer gave a colour.",
         &vnet::Policer::Count::packets);
  family("wheelhouse_policer_bytes_total", "Bytes of these.", &vnet::Policer::Count::bytes);
}

}  // namespace

std::string metrics_text(const Router& router) {
  std::string text;
  interfaces(text, router);
  errors(text, router);
  runtime(text, router);
  nat(text, router);
  access_lists(text, router);
  policers(text, router);
  head(text, "wheelhouse_packets_in_use", "gauge", "Packet buffers that are in use.");
  size_t in_use = 0;
  router.for_all([&](const Router& r) { in_use += r.pool().in_use(); });
  text += fmt::format("wheelhouse_packets_in_use {}\n", in_use);
  return text;
}

// --- HTTP ---

MetricsServer::MetricsServer(const Router& router, host::RealLoop& loop)
    : router_(router), loop_(loop), sweeper_(loop, [this] {
        std::erase_if(clients_, [](const Client& c) { return c.has_left; });
      }) {}

Result<std::unique_ptr<MetricsServer>> MetricsServer::open(const Router& router,
                                                           host::RealLoop& loop, uint16_t port) {
  std::unique_ptr<MetricsServer> made(new MetricsServer(router, loop));
  const auto accept = [raw = made.get()](host::Fd fd) { raw->accept(std::move(fd)); };
  made->listener_ = TRY(host::Listener::open_loopback(port, loop, accept));
  auto listener6 = host::Listener::open_loopback(made->port(), loop, accept, net::Family::V6);
  if (listener6) {
    made->listener6_ = std::move(*listener6);
  } else if (listener6.error().code != std::errc::address_not_available &&
             listener6.error().code != std::errc::address_family_not_supported) {
    return tl::unexpected(listener6.error());
  }
  return made;
}

void MetricsServer::accept(host::Fd fd) {
  if (clients_.size() >= kMostClients) return;  // Hung up on.
  Client& client = clients_.emplace_back();
  client.stream = std::make_unique<host::Stream>(
      std::move(fd), loop_,
      host::Stream::Actions{[this, &client](std::string_view bytes) { take_in(client, bytes); },
                            [this, &client] {
                              client.has_left = true;
                              sweeper_.arm(loop_.now());
                            }},
      "metrics client");
  if (!client.stream->start()) clients_.pop_back();
}

void MetricsServer::take_in(Client& client, std::string_view bytes) {
  client.request += bytes;
  const bool is_whole = client.request.find("\r\n\r\n") != std::string::npos ||
                        client.request.find("\n\n") != std::string::npos;
  if (!is_whole && client.request.size() <= kMostBytes) return;
  client.stream->write(is_whole ? answer_to(client.request)
                                : "HTTP/1.0 431 Request Header Fields Too Large\r\n\r\n");
  client.stream->close_when_written();
}

std::string MetricsServer::answer_to(std::string_view request) const {
  const std::string_view line = request.substr(0, request.find_first_of("\r\n"));
  const size_t space = line.find(' ');
  std::string_view path = space == std::string_view::npos
                              ? ""
                              : line.substr(space + 1, line.find(' ', space + 1) - space - 1);
  path = path.substr(0, path.find('?'));  // There is one text, whatever is asked of it.
  const bool is_head = line.substr(0, space) == "HEAD";
  if (!is_head && line.substr(0, space) != "GET") {
    return "HTTP/1.0 405 Method Not Allowed\r\nAllow: GET, HEAD\r\n\r\n";
  }
  if (path != "/metrics" && path != "/") return "HTTP/1.0 404 Not Found\r\n\r\n";
  const std::string body = metrics_text(router_);
  return fmt::format(
      "HTTP/1.0 200 OK\r\nContent-Type: text/plain; version=0.0.4\r\nContent-Length: {}\r\n\r\n{}",
      body.size(), is_head ? "" : body);
}

}  // namespace wh::router
