// Programs of the router's own: echo servers, a client of such, and the sessions that there are.
#include "core/stream_pattern.h"
#include "router/command_line.h"
#include "router/local_apps.h"

namespace wh::router {
namespace {

using nlohmann::json;

// In the table that was named, or else in this one.
AppUri uri_of(const Router& router, const Arguments& a, uint16_t otherwise) {
  AppUri uri = MUST(parse_uri(a["uri"]));  // Its type was checked, as the table's.
  const auto table = static_cast<uint32_t>(a.number("table"));
  uri.at.table = a.has("table") ? MUST(router.vnet().table_of(table)) : otherwise;
  return uri;
}

Result<Answer> start_echo(Router& router, const Arguments& a) {
  TRY(router.apps().start_echo(uri_of(router, a, net::kEveryTable)));
  return Answer::nothing();
}

Result<Answer> stop_echo(Router& router, const Arguments& a) {
  TRY(router.apps().stop_echo(uri_of(router, a, net::kEveryTable)));
  return Answer::nothing();
}

// Sends a stream to an echo server and checks what comes back.
class EchoClient final : public Activity, private tcp::ConnectionObserver {
 public:
  EchoClient(LocalApps& apps, AppUri uri, net::IpAddress from, uint64_t bytes, Output out)
      : apps_(apps), uri_(uri), from_(from), bytes_(bytes), out_(std::move(out)) {}
  ~EchoClient() override { give_up(); }

  Result<void> start() {
    began_ = apps_.loop().now();
    connection_ = TRY(apps_.tcp().connect(uri_.at, {.local = {from_}, .observer = this}));
    return {};
  }
  void interrupt() override { finish(fail("interrupted; {}", progress())); }

 private:
  static constexpr size_t kChunk = 65'536;

  void on_ready(tcp::Connection& c, uint8_t readiness) override {
    if ((readiness & tcp::kConnected) != 0) {
      connected_ = apps_.loop().now();
      out_.print(fmt::format("connected to {} in {:.3f} ms\n", to_string(uri_),
                             to_seconds(connected_ - began_) * 1e3));
    }
    receive(c);
    if (is_wrong_) return finish(fail("another byte came back than byte {}", received_));
    if (received_ == bytes_) return finish(result());
    if ((readiness & tcp::kEnded) != 0 || c.at_end()) {
      const bool is_connected = connected_ != Instant{};
      return finish(fail("{}: {}; {}", to_string(uri_),
                         c.end() == tcp::End::None ? "closed by the other end" : to_string(c.end()),
                         is_connected ? progress() : "not connected"));
    }
    send(c);
  }
  void send(tcp::Connection& c) {
    uint8_t chunk[kChunk];
    while (sent_ < bytes_) {
      const auto part = std::span(chunk).first(std::min<uint64_t>(kChunk, bytes_ - sent_));
      kPattern.fill(sent_, part);
      const size_t taken = c.send(part).value_or(0);
      sent_ += taken;
      if (taken < part.size()) return;
    }
  }
  void receive(tcp::Connection& c) {
    uint8_t chunk[kChunk];
    while (const size_t n = c.recv(chunk)) {
      const auto difference = kPattern.first_difference(received_, std::span(chunk, n));
      is_wrong_ = difference || received_ + n > bytes_;
      received_ = difference.value_or(received_ + n);
      if (is_wrong_) return;
    }
  }
  std::string progress() const {
    return fmt::format("{} of {} bytes sent, {} came back", sent_, bytes_, received_);
  }
  Answer result() const {
    const double connect = to_seconds(connected_ - began_);
    const double took = to_seconds(apps_.loop().now() - connected_);
    const double bps = took > 0 ? 8 * static_cast<double>(bytes_) / took : 0;
    return {[=, bytes = bytes_] {
              return fmt::format("{} bytes there and back in {:.6f} s: {:.2f} Mbps each way\n",
                                 bytes, took, bps / 1e6);
            },
            [=, bytes = bytes_] {
              return json{
                  {"bytes", bytes}, {"connect_ms", connect * 1e3}, {"seconds", took}, {"bps", bps}};
            }};
  }
  void give_up() {
    if (connection_ == nullptr) return;
    tcp::Connection& c = *std::exchange(connection_, nullptr);
    c.set_observer(nullptr);
    if (received_ == bytes_ || c.state() == tcp::State::Closed) {
      c.close();
    } else {
      c.abort();
    }
  }
  void finish(Result<Answer> answer) {
    give_up();
    out_.finish(std::move(answer));  // May destroy this.
  }

  static constexpr StreamPattern kPattern{7};
  LocalApps& apps_;
  AppUri uri_;
  net::IpAddress from_;
  uint64_t bytes_, sent_ = 0, received_ = 0;
  bool is_wrong_ = false;
  Output out_;
  tcp::Connection* connection_ = nullptr;
  Instant began_{}, connected_{};
};

std::unique_ptr<Activity> start_client(CommandLine& line, const Arguments& a, Output out) {
  constexpr uint64_t kBytes = 1 << 20;
  AppUri uri = uri_of(line.router(), a, 0);
  const auto done = out.done;
  const auto from = source_of(line.router(), a, uri.at.address, uri.at.table);
  if (!from) {
    done(tl::unexpected(from.error()));
    return nullptr;
  }
  if (uri.protocol != AppUri::Protocol::Tcp) {
    done(fail("{}: accepted: tcp://ADDRESS/PORT", to_string(uri)));
    return nullptr;
  }
  auto client = std::make_unique<EchoClient>(line.router().apps(), uri, *from,
                                             a.number("bytes", kBytes), std::move(out));
  auto started = client->start();
  return begun(std::move(client), std::move(started), done);
}

// As people number it.
std::string table_text(const Router& router, uint16_t table) {
  if (table == net::kEveryTable) return "any";
  return std::to_string(router.vnet().vrf_of_table(table));
}

Result<Answer> show_sessions(Router& router, const Arguments&) {
  std::string text = fmt::format("{:<4} {:>5} {:<44} {:<44} {:<12} {:>10} {:>10}\n", "Prot",
                                 "Table", "Local", "Remote", "State", "Unread", "Unacked");
  json all = json::array();
  const auto add = [&](const char* protocol, const tcp::Endpoint& at, const std::string& remote,
                       std::string_view state, size_t unread, size_t unacknowledged) {
    const std::string local = tcp::to_string(at), table = table_text(router, at.table);
    text += fmt::format("{:<4} {:>5} {:<44} {:<44} {:<12} {:>10} {:>10}\n", protocol, table, local,
                        remote, state, unread, unacknowledged);
    all.push_back({{"protocol", protocol},
                   {"table", table},
                   {"local", local},
                   {"remote", remote},
                   {"state", state},
                   {"unread_bytes", unread},
                   {"unacknowledged_bytes", unacknowledged}});
  };
  for (const LocalApps::Server& s : router.apps().servers()) {
    const bool is_tcp = s.listener != nullptr;
    add(is_tcp ? "tcp" : "udp", s.uri.at, "*", is_tcp ? "LISTEN" : "OPEN", 0, 0);
  }
  router.apps().tcp().for_each([&](const tcp::Connection& c) {
    add("tcp", c.local(), tcp::to_string(c.remote()), tcp::to_string(c.state()), c.readable(),
        c.unacknowledged());
  });
  return Answer::of_both(std::move(text), std::move(all));
}

void list_servers(const Router& router, ConfigurationLines& lines) {
  for (const LocalApps::Server& s : router.apps().servers()) {
    std::string uri = to_string(s.uri);
    const uint16_t table = s.uri.at.table;
    if (table != net::kEveryTable) uri += " table " + table_text(router, table);
    lines.push_back({"test echo server uri " + uri, "test echo server stop uri " + uri});
  }
}

}  // namespace

Feature app_feature() {
  return {
      {setting("test echo server uri <uri> [table <table>]",
               "send back what comes to a port, at all addresses: tcp://0.0.0.0/7, udp://::/7",
               start_echo),
       setting("test echo server stop uri <uri> [table <table>]", "end that, and its connections",
               stop_echo),
       {.syntax = "test echo client uri <uri> [source <source:interface> | table <table> | "
                  "bytes <bytes:1..1099511627776>]*",
        .help = "send bytes, 1 MiB of them, to an echo server by TCP, and check what comes back",
        .start = start_client},
       {"show session", "what listens at this router, and its connections", show_sessions}},
      list_servers};
}

}  // namespace wh::router
