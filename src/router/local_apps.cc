#include "router/local_apps.h"

#include <algorithm>
#include <charconv>

namespace wh::router {

Result<AppUri> parse_uri(std::string_view text) {
  AppUri uri;
  const auto refuse = [&] {
    return fail(
        "'{}': accepted: tcp://ADDRESS/PORT and udp://ADDRESS/PORT, with a port from 1 to "
        "65535, as tcp://10.1.0.1/7 and tcp://2001:db8::1/7",
        text);
  };
  std::string_view rest = text;
  if (rest.starts_with("udp://")) {
    uri.protocol = AppUri::Protocol::Udp;
  } else if (!rest.starts_with("tcp://")) {
    return refuse();
  }
  rest.remove_prefix(6);
  const size_t slash = rest.rfind('/');
  if (slash == std::string_view::npos) return refuse();
  const auto address = net::parse_ip(rest.substr(0, slash));
  const std::string_view port = rest.substr(slash + 1);
  const char* end = port.data() + port.size();
  const auto number = std::from_chars(port.data(), end, uri.at.port);
  if (!address || number.ec != std::errc{} || number.ptr != end || uri.at.port == 0)
    return refuse();
  uri.at.address = *address;
  return uri;
}

std::string to_string(const AppUri& uri) {
  return fmt::format("{}://{}/{}", uri.protocol == AppUri::Protocol::Tcp ? "tcp" : "udp",
                     net::to_string(uri.at.address), uri.at.port);
}

LocalApps::LocalApps(vnet::Vnet& vnet)
    : vnet_(vnet), wheel_(vnet.loop(), books_), tcp_(vnet, wheel_) {
  books_.add_sysctls(vnet.sysctl());
  wheel_.add_sysctls(vnet.sysctl(), 0);
}

LocalApps::~LocalApps() {
  for (Server& server : servers_) {
    if (server.listener != nullptr) server.listener->close();
  }
  tcp_.for_each([](tcp::Connection& c) { c.set_observer(nullptr); });
}

Result<void> LocalApps::start_echo(const AppUri& uri) {
  if (!uri.at.address.is_unspecified()) {
    return fail(
        "echo server at {}: accepted: 0.0.0.0 and ::, which are all addresses of the router",
        to_string(uri));
  }
  Server server{uri, nullptr, nullptr};
  if (uri.protocol == AppUri::Protocol::Tcp) {
    server.listener = TRY(tcp_.listen({.local = uri.at, .on_ready = [this] { accept_all(); }}));
  } else {
    server.socket = TRY(vnet_.open_udp(
        {.family = uri.at.address.family, .port = uri.at.port, .table = uri.at.table},
        [this](const vnet::UdpDatagram& d) { answer(d); }));
  }
  servers_.push_back(std::move(server));
  return {};
}

void LocalApps::accept_all() {
  for (const Server& s : servers_) {
    if (s.listener == nullptr) continue;
    while (tcp::Connection* c = s.listener->accept()) echo_.take(*c);
  }
}

// What came to a broadcast or multicast address stays unanswered, and so does what came from a
// reserved port, as inetd(8) has it, or from this one's like: with a server there, of echo or
// chargen, it would play ball for ever. An answer that cannot be sent is lost, as datagrams are.
void LocalApps::answer(const vnet::UdpDatagram& d) {
  constexpr uint16_t kReserved = 1024;  // Below it.
  if (!vnet_.is_local(d.destination, d.table)) return;
  if (d.source_port < kReserved || d.source_port == d.destination_port) return;
  const net::Slice payload{net::ChunkRef::make(d.size), 0, d.size};
  d.packet.copy_out(d.offset, {payload.chunk->bytes(), d.size});
  [[maybe_unused]] const auto sent =
      d.socket->send(d.source, d.source_port, payload, {d.destination, d.table});
}

Result<void> LocalApps::stop_echo(const AppUri& uri) {
  const auto at =
      std::find_if(servers_.begin(), servers_.end(), [&](const Server& s) { return s.uri == uri; });
  if (at == servers_.end()) return fail("no echo server at {}", to_string(uri));
  tcp::Listener* listener = at->listener;
  servers_.erase(at);
  if (listener == nullptr) return {};
  tcp::TcpStack::Batch batch(tcp_);
  listener->close();
  tcp_.for_each([&](tcp::Connection& c) {
    if (c.observer() == &echo_ && !is_served(c.local())) c.abort();
  });
  return {};
}

// Whether a server that there is takes connections to this end.
bool LocalApps::is_served(const tcp::Endpoint& local) const {
  return std::any_of(servers_.begin(), servers_.end(), [&](const Server& s) {
    const tcp::Endpoint& at = s.uri.at;
    return s.listener != nullptr && at.port == local.port &&
           at.address.family == local.address.family &&
           (at.table == local.table || at.table == net::kEveryTable);
  });
}

// --- echo over TCP ---

void LocalApps::Echo::take(tcp::Connection& c) {
  c.set_observer(this);
  c.set_keepalive(true);
  on_ready(c, tcp::kReadable);
}

// True when all that came was sent back.
bool LocalApps::Echo::send_back(tcp::Connection& c) {
  constexpr size_t kMost = 65'536;
  for (;;) {
    const auto kept = unsent_.find(&c);
    net::Slice slice = kept != unsent_.end() ? kept->second : c.recv_slice(kMost);
    if (slice.size == 0) return true;
    const auto taken = static_cast<uint32_t>(c.send(slice).value_or(slice.size));
    if (taken < slice.size) {
      unsent_[&c] = slice.sub(taken, slice.size - taken);
      return false;
    }
    if (kept != unsent_.end()) unsent_.erase(kept);
  }
}

void LocalApps::Echo::on_ready(tcp::Connection& c, uint8_t readiness) {
  const bool is_over = (readiness & tcp::kEnded) != 0;
  if (!is_over && !(send_back(c) && c.at_end())) return;
  unsent_.erase(&c);
  c.close();
}

}  // namespace wh::router
