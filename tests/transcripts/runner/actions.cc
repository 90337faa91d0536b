// What the application does in a transcript, and what can be asked of the connection.
#include <algorithm>
#include <charconv>

#include "stage.h"
#include "tcp/socket_option.h"

namespace wh::transcript {
namespace {

Result<int64_t> count_of(const std::string& word) {
  int64_t n = 0;
  const auto end = std::from_chars(word.data(), word.data() + word.size(), n);
  if (end.ec != std::errc{} || end.ptr != word.data() + word.size())
    return fail("'{}' is not a number", word);
  return n;
}

std::string bytes_text(Bytes b) {
  return b == Bytes::max() ? "-" : std::to_string(b.count());
}
std::string one_word(std::string_view text) {
  std::string word(text);
  std::replace(word.begin(), word.end(), ' ', '_');
  return word;
}
// "100a50b": a hundred times a, then fifty times b.
std::string runs_of(std::span<const uint8_t> bytes) {
  std::string runs;
  for (size_t i = 0; i < bytes.size();) {
    const auto end = std::find_if(bytes.begin() + static_cast<std::ptrdiff_t>(i), bytes.end(),
                                  [&](uint8_t b) { return b != bytes[i]; });
    const auto next = static_cast<size_t>(end - bytes.begin());
    runs += fmt::format("{}{}", next - i, static_cast<char>(bytes[i]));
    i = next;
  }
  return runs;
}
std::string ms_text(Duration d) {
  return fmt::format("{:.3f}", static_cast<double>(d / 1us) / 1000);
}

}  // namespace

Result<void> Stage::act(const std::vector<std::string>& w) {
  const std::string& verb = w[0];
  if (verb == "listen") {
    tcp::Listener::Config config;
    config.local = us();
    if (w.size() == 2) config.backlog = static_cast<size_t>(TRY(count_of(w[1])));
    listener_ = TRY(host_.tcp.listen(std::move(config)));
    return {};
  }
  if (verb == "connect") {
    connection_ = TRY(host_.tcp.connect(peer(), {.local = us()}));
    return {};
  }
  if (verb == "accept") {
    if (listener_ == nullptr) return fail("nobody listens");
    connection_ = listener_->accept();
    return connection_ == nullptr ? fail("nothing to accept") : Result<void>{};
  }
  if (verb == "sysctl" && w.size() == 2) return host_.ip.sysctl().assign(w[1]);
  if (verb == "nothing") return {};
  if (verb == "expect") return check(w);
  if (connection_ == nullptr) return fail("'{}' needs a connection", verb);
  return act_on_connection(w);
}

Result<void> Stage::act_on_connection(const std::vector<std::string>& w) {
  tcp::Connection& c = *connection_;
  const std::string& verb = w[0];
  if (verb == "write" && w.size() == 2) {
    const auto n = static_cast<size_t>(TRY(count_of(w[1])));
    const std::vector<uint8_t> bytes(n, 'y');
    const size_t taken = TRY(c.send(bytes));
    return taken == n ? Result<void>{} : fail("only {} of {} bytes were taken", taken, n);
  }
  if (verb == "read" && (w.size() == 2 || w.size() == 3)) {
    const auto wanted = static_cast<size_t>(TRY(count_of(w[1])));
    std::vector<uint8_t> bytes(wanted + 1);
    const size_t got = c.recv(std::span(bytes).first(std::max<size_t>(wanted, 1)));
    if (got != wanted) return fail("{} bytes could be read", got);
    bytes.resize(got);
    const std::string runs = runs_of(bytes);
    return w.size() == 2 || runs == w[2] ? Result<void>{} : fail("what was read is {}", runs);
  }
  if (verb == "shutdown") return c.shutdown_send(), Result<void>{};
  if (verb == "close") return std::exchange(connection_, nullptr)->close(), Result<void>{};
  if (verb == "abort") return std::exchange(connection_, nullptr)->abort(), Result<void>{};
  if (verb == "set" && w.size() == 3) return set(w);
  return fail(
      "'{}': known are listen, connect, accept, write, read, shutdown, close, abort, set, sysctl, "
      "expect, nothing",
      verb);
}

Result<void> Stage::set(const std::vector<std::string>& w) {
  tcp::Connection& c = *connection_;
  const int64_t n = TRY(count_of(w[2]));
  if (w[1] == "nodelay") return c.set_nodelay(n != 0), Result<void>{};
  if (w[1] == "cork") return c.set_cork(n != 0), Result<void>{};
  if (w[1] == "keepalive") return c.set_keepalive(n != 0), Result<void>{};
  if (w[1] == "rcvbuf") return c.set_receive_buffer(Bytes(n)), Result<void>{};
  if (w[1] == "sndbuf") return c.set_send_buffer(Bytes(n)), Result<void>{};
  if (w[1] == "user_timeout_ms")
    return c.set_user_timeout(std::chrono::milliseconds(n)), Result<void>{};
  if (w[1] == "maxseg") return c.set_max_segment(static_cast<uint32_t>(n)), Result<void>{};
  if (const int option = tcp::option_named(w[1]); option != 0) {
    std::array<uint8_t, sizeof(uint64_t)> bytes{};
    const size_t size = tcp::write_pacing_option(option, static_cast<uint64_t>(n), bytes);
    return c.set_option(option, std::span(bytes).first(size));
  }
  return fail(
      "set {}: known are nodelay, cork, keepalive, rcvbuf, sndbuf, user_timeout_ms, maxseg, and "
      "the "
      "options of tcp/socket_option.h",
      w[1]);
}

Result<void> Stage::check(const std::vector<std::string>& w) {
  if (w.size() % 2 == 0) return fail("expect NAME VALUE ...");
  for (size_t i = 1; i + 1 < w.size(); i += 2) {
    const std::string value = TRY(value_of(w[i]));
    if (value != w[i + 1]) return fail("{} is {}", w[i], value);
  }
  return {};
}

Result<std::string> Stage::value_of(const std::string& name) {
  if (name.starts_with("stats.") || name.starts_with("net."))
    return host_.ip.sysctl().get(name.starts_with("net.") ? name : "net.inet.tcp." + name);
  if (name == "connections") return std::to_string(host_.tcp.connections());
  if (name == "waiting") return std::to_string(listener_ == nullptr ? 0 : listener_->waiting());
  if (connection_ == nullptr) return fail("expect {}: there is no connection", name);
  const tcp::Connection& c = *connection_;
  if (const int option = tcp::option_named(name); option != 0) {
    uint64_t value = 0;
    TRY(c.get_option(option, {reinterpret_cast<uint8_t*>(&value), sizeof value}));
    return std::to_string(value);
  }
  const tcp::Info i = c.info();
  const std::map<std::string, std::string> values = {
      {"state", std::string(tcp::to_string(i.state))},
      {"end", one_word(tcp::to_string(c.end()))},
      {"recovery", std::string(tcp::to_string(i.recovery))},
      {"cwnd", bytes_text(i.cwnd)},
      {"ssthresh", bytes_text(i.ssthresh)},
      {"mss", bytes_text(i.mss)},
      {"pipe", bytes_text(i.pipe)},
      {"outstanding", bytes_text(i.outstanding)},
      {"sacked", bytes_text(i.sacked)},
      {"lost", bytes_text(i.lost)},
      {"unsent", bytes_text(i.unsent)},
      {"send_window", bytes_text(i.send_window)},
      {"receive_window", bytes_text(i.receive_window)},
      {"readable", std::to_string(c.readable())},
      {"at_end", c.at_end() ? "1" : "0"},
      {"srtt", ms_text(i.srtt)},
      {"rto", ms_text(i.rto)},
      {"rtt_samples", std::to_string(i.rtt_samples)},
      {"backoffs", std::to_string(i.backoffs)},
      {"tlp_probes", std::to_string(i.tlp_probes)},
      {"reorderings", std::to_string(i.reorderings)},
      {"data_segments_sent", std::to_string(i.data_segments_sent)},
      {"data_segments_received", std::to_string(i.data_segments_received)},
      {"out_of_order", std::to_string(i.out_of_order)},
      {"dsacks", std::to_string(i.dsacks)},
      {"delivered_marked", bytes_text(i.delivered_marked)},
      {"delivery_rate", std::to_string(i.delivery_rate.bytes_per_second())},
      {"busy", ms_text(i.busy)},
      {"window_limited", ms_text(i.window_limited)},
      {"buffer_limited", ms_text(i.buffer_limited)},
      {"receive_rtt", ms_text(i.receive_rtt)},
      {"ack_delay", ms_text(i.ack_delay)},
      {"receive_limit", bytes_text(i.receive_limit)},
      {"timestamps", i.timestamps ? "1" : "0"},
      {"sack", i.sack ? "1" : "0"},
      {"ecn", i.ecn ? "1" : "0"}};
  const auto at = values.find(name);
  if (at != values.end()) return at->second;
  std::vector<std::string> known;
  for (const auto& [each, value] : values) known.push_back(each);
  return fail("expect {}: known are {}, connections, waiting, stats.COUNTER", name,
              fmt::join(known, ", "));
}

}  // namespace wh::transcript
