#include "host/kernel_peer.h"

#include <linux/tcp.h>
#include <sys/resource.h>

#include <nlohmann/json.hpp>

#include "core/stream_pattern.h"
#include "host/socket_address.h"
#include "host/system.h"

namespace wh::host {
namespace {

using Json = nlohmann::json;

constexpr size_t kPart = size_t{256} << 10;  // Bytes a system call.
constexpr int kCallsPerTurn = 16;            // Before the other direction gets its turn.

template <class T>
Result<void> set_option(int socket, int level, int name, const T& value, const char* what) {
  if (::setsockopt(socket, level, name, &value, sizeof value) != 0) return os_error("set {}", what);
  return {};
}

Result<Fd> make_socket(const PeerConfig& config) {
  const bool is_v4 = config.address && config.address->is_v4();
  Fd socket(::socket(is_v4 ? AF_INET : AF_INET6, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0));
  if (!socket) return os_error("make a socket");
  const int fd = socket.raw();
  TRY(set_option(fd, SOL_SOCKET, SO_REUSEADDR, 1, "SO_REUSEADDR"));
  if (!is_v4) TRY(set_option(fd, IPPROTO_IPV6, IPV6_V6ONLY, 0, "IPV6_V6ONLY"));
  if (!config.congestion.empty() &&
      ::setsockopt(fd, IPPROTO_TCP, TCP_CONGESTION, config.congestion.data(),
                   static_cast<socklen_t>(config.congestion.size())) != 0) {
    return os_error("set congestion control '{}'", config.congestion);
  }
  if (!config.pace.is_infinite()) {
    TRY(set_option(fd, SOL_SOCKET, SO_MAX_PACING_RATE, config.pace.bytes_per_second(),
                   "SO_MAX_PACING_RATE"));
  }
  return socket;
}

Result<void> begin_to_connect(int socket, const PeerConfig& config) {
  const SocketAddress to(*config.address, config.port);
  if (::connect(socket, to.get(), to.size) != 0 && errno != EINPROGRESS) {
    return os_error("connect to {} port {}", to_string(*config.address), config.port);
  }
  return {};
}

// A socket that is listening, or is on its way to being connected unless that waits.
Result<Fd> begin(const PeerConfig& config) {
  Fd socket = TRY(make_socket(config));
  if (config.role == PeerRole::Listen) {
    const net::IpAddress address = config.address.value_or(net::Ip6{});
    const SocketAddress at(address, config.port);
    if (::bind(socket.raw(), at.get(), at.size) != 0 || ::listen(socket.raw(), 1) != 0) {
      return os_error("listen on {} port {}", to_string(address), config.port);
    }
  } else if (!config.waits) {
    TRY(begin_to_connect(socket.raw(), config));
  }
  return socket;
}

// What the child does with its socket, on a loop of its own.
class PeerProcess {
 public:
  PeerProcess(const PeerConfig& config, RealLoop& loop, Fd socket, int word)
      : config_(config),
        loop_(loop),
        socket_(std::move(socket)),
        watch_(
            loop, "peer socket", [this] { return readable(); }, [this] { return writable(); }),
        word_(word),
        word_watch_(loop, "word to the peer", [this] { return heard(); }),
        send_limit_(loop, [this] { end_sending(); }),
        warmup_end_(loop, [this] { end_warmup(); }),
        to_send_(static_cast<uint64_t>(config.send.count())),
        outgoing_(config.seed + (is_listening() ? 1 : 0)),
        incoming_(config.seed + (is_listening() ? 0 : 1)),
        buffer_(kPart) {}

  // The report, or why there is none.
  Result<Json> run() {
    if (config_.waits) {
      TRY(word_watch_.watch(word_));
    } else {
      TRY(watch_socket());
    }
    loop_.run();
    const bool was_connected = state_ == State::Connected;
    const Duration elapsed = was_connected ? loop_.clock() - began_ : 0ns;
    watch_.unwatch();
    if (failure_) return tl::unexpected(*failure_);
    return report(elapsed);
  }

 private:
  enum class State : uint8_t { Opening, Connected };

  bool is_listening() const { return config_.role == PeerRole::Listen; }

  Progress fail_with_errno(const char* attempt) {
    failure_ = os_error("{}", attempt).value();
    send_limit_.disarm();
    warmup_end_.disarm();
    watch_.unwatch();
    return Progress::Some;
  }

  // From now on it lives for its socket, and the word is to stop.
  Result<void> watch_socket() {
    TRY(watch_.watch(socket_.raw(), is_listening() ? Interest::Read : Interest::Write));
    word_watch_.unwatch();
    word_watch_.set_background();
    return word_watch_.watch(word_);
  }

  Progress heard() {
    char byte;
    if (uninterrupted([&] { return ::read(word_, &byte, 1); }) > 0) {
      auto begun = begin_to_connect(socket_.raw(), config_);
      if (begun) begun = watch_socket();
      if (begun) return Progress::Some;
      failure_ = begun.error();
    }
    word_watch_.unwatch();
    loop_.stop();
    return Progress::Some;
  }

  Progress readable() {
    if (state_ == State::Opening) return accept();
    for (int calls = 0; calls < kCallsPerTurn; ++calls) {
      const int flags = config_.verify ? 0 : MSG_TRUNC;
      const ssize_t n = uninterrupted(
          [&] { return ::recv(socket_.raw(), buffer_.data(), buffer_.size(), flags); });
      if (n < 0 && errno == EAGAIN) return calls == 0 ? Progress::None : Progress::Some;
      if (n < 0) return fail_with_errno("receive");
      if (n == 0) {
        has_received_all_ = true;
        want();
        return Progress::Some;
      }
      const auto part = std::span(buffer_).first(static_cast<size_t>(n));
      if (config_.verify && !first_wrong_) {
        first_wrong_ = incoming_.first_difference(received_, part);
      }
      received_ += part.size();
    }
    return Progress::Some;
  }

  Progress writable() {
    if (state_ == State::Opening) return finish_connect();
    for (int calls = 0; calls < kCallsPerTurn && sent_ < to_send_; ++calls) {
      const auto part = next_part();
      const ssize_t n = uninterrupted(
          [&] { return ::send(socket_.raw(), part.data(), part.size(), MSG_NOSIGNAL); });
      if (n < 0 && errno == EAGAIN) return calls == 0 ? Progress::None : Progress::Some;
      if (n < 0) return fail_with_errno("send");
      sent_ += static_cast<uint64_t>(n);
    }
    want();
    return Progress::Some;
  }

  // What of the stream comes next, as far as it is made and may be sent.
  std::span<const uint8_t> next_part() {
    if (made_.empty() || sent_ - made_from_ == made_.size()) {
      made_.resize(kPart);
      made_from_ = sent_;
      outgoing_.fill(made_from_, made_);
    }
    const auto part = std::span(made_).subspan(sent_ - made_from_);
    return part.first(std::min<uint64_t>(part.size(), to_send_ - sent_));
  }

  Progress accept() {
    Fd connection(::accept4(socket_.raw(), nullptr, nullptr, SOCK_NONBLOCK | SOCK_CLOEXEC));
    if (!connection && (errno == EAGAIN || errno == ECONNABORTED)) return Progress::None;
    if (!connection) return fail_with_errno("accept");
    watch_.unwatch();
    socket_ = std::move(connection);
    // Cannot fail: a socket can be polled, and one was just unwatched.
    MUST(watch_.watch(socket_.raw(), Interest::ReadWrite));
    return connected();
  }

  Progress finish_connect() {
    int error = 0;
    socklen_t size = sizeof error;
    ::getsockopt(socket_.raw(), SOL_SOCKET, SO_ERROR, &error, &size);
    errno = error;
    if (error != 0) {
      return fail_with_errno(
          fmt::format("connect to {} port {}", to_string(*config_.address), config_.port).c_str());
    }
    return connected();
  }

  Progress connected() {
    state_ = State::Connected;
    began_ = loop_.now();
    if (config_.send_for > 0ns) send_limit_.arm(began_ + config_.send_for);
    if (config_.warmup > 0ns) warmup_end_.arm(began_ + config_.warmup);
    want();
    return Progress::Some;
  }

  void end_sending() {
    to_send_ = sent_;
    want();
  }

  void end_warmup() {
    sent_before_ = sent_;
    retransmitted_before_ = info().tcpi_bytes_retrans;
  }

  // Closes what is done, and watches for what is not.
  void want() {
    const bool has_sent_all = sent_ == to_send_ && (config_.send.count() > 0 || has_received_all_);
    if (has_sent_all) {
      send_limit_.disarm();
      ::shutdown(socket_.raw(), SHUT_WR);
    }
    if (has_sent_all && has_received_all_) {
      watch_.unwatch();
      loop_.stop();
      return;
    }
    const bool read = !has_received_all_, write = sent_ < to_send_;
    watch_.set_interest(read && write ? Interest::ReadWrite
                        : read        ? Interest::Read
                                      : Interest::Write);
  }

  tcp_info info() const {
    tcp_info info{};
    socklen_t size = sizeof info;
    ::getsockopt(socket_.raw(), IPPROTO_TCP, TCP_INFO, &info, &size);
    return info;
  }

  Json report(Duration elapsed) {
    rusage used{};
    ::getrusage(RUSAGE_SELF, &used);
    const auto micros = [](const timeval& t) { return t.tv_sec * 1'000'000 + t.tv_usec; };
    const tcp_info info = this->info();
    std::array<char, 16> congestion{};
    socklen_t size = congestion.size();
    ::getsockopt(socket_.raw(), IPPROTO_TCP, TCP_CONGESTION, congestion.data(), &size);
    return {{"sent_bytes", sent_ - sent_before_},
            {"received_bytes", received_},
            {"first_wrong_byte", first_wrong_ ? Json(*first_wrong_) : Json()},
            {"elapsed_ns", elapsed.count()},
            {"cpu_us", micros(used.ru_utime) + micros(used.ru_stime)},
            {"congestion", std::string(congestion.data())},
            {"rtt_us", info.tcpi_rtt},
            {"rttvar_us", info.tcpi_rttvar},
            {"cwnd_segments", info.tcpi_snd_cwnd},
            {"ssthresh_segments", info.tcpi_snd_ssthresh},
            {"mss", info.tcpi_snd_mss},
            {"retransmitted_bytes", info.tcpi_bytes_retrans - retransmitted_before_},
            {"reordering_segments", info.tcpi_reordering},
            {"delivery_bps", info.tcpi_delivery_rate * 8},
            {"pacing_bps",
             info.tcpi_pacing_rate == ~uint64_t{0} ? Json() : Json(info.tcpi_pacing_rate * 8)}};
  }

  const PeerConfig& config_;
  RealLoop& loop_;
  Fd socket_;
  FdWatch watch_;
  int word_;  // Of the parent: a byte to go, the end to stop.
  FdWatch word_watch_;
  Timer send_limit_, warmup_end_;
  State state_ = State::Opening;
  Instant began_{};
  uint64_t to_send_, sent_ = 0, received_ = 0;
  uint64_t sent_before_ = 0, retransmitted_before_ = 0;  // When the warm-up ended.
  bool has_received_all_ = false;
  StreamPattern outgoing_, incoming_;
  std::optional<uint64_t> first_wrong_;
  std::optional<Error> failure_;
  std::vector<uint8_t> buffer_;  // Received into.
  std::vector<uint8_t> made_;    // The outgoing stream from made_from_ on.
  uint64_t made_from_ = 0;
};

Result<Json> run_peer(const PeerConfig& config, Fd socket, int word) {
  auto loop = TRY(RealLoop::make());
  return PeerProcess(config, *loop, std::move(socket), word).run();
}

PeerReport parse_report(const Json& json, const std::string& line) {
  PeerReport report;
  report.json = line;
  report.sent = Bytes(json.at("sent_bytes"));
  report.received = Bytes(json.at("received_bytes"));
  if (const Json& wrong = json.at("first_wrong_byte"); !wrong.is_null()) {
    report.first_wrong_byte = wrong.get<uint64_t>();
  }
  report.elapsed = Duration(json.at("elapsed_ns").get<int64_t>());
  const auto micros = [&](const char* key) {
    return std::chrono::microseconds(json.at(key).get<int64_t>());
  };
  report.cpu = micros("cpu_us");
  report.congestion = json.at("congestion");
  report.rtt = micros("rtt_us");
  report.cwnd_segments = json.at("cwnd_segments");
  report.mss = json.at("mss");
  report.retransmitted = Bytes(json.at("retransmitted_bytes"));
  return report;
}

}  // namespace

Result<std::unique_ptr<KernelPeer>> KernelPeer::start(const Netns& space, PeerConfig config) {
  CHECK(config.role == PeerRole::Listen || config.address);
  CHECK(config.role == PeerRole::Connect || !config.waits);
  CHECK(config.send.count() >= 0);
  Pipe pipe = TRY(make_pipe());
  auto [ours, theirs] = TRY(make_socket_pair(SOCK_STREAM));
  // Made while entering, so that what is wrong with it is the error here.
  Fd socket = TRY(space.open([&] { return begin(config); }));
  const std::vector<int> keep = {pipe.write_end.raw(), socket.raw(), theirs.raw()};
  Child child = TRY(space.run({.name = "kernel peer", .keep = keep}, [&, word = theirs.raw()] {
    const auto report = run_peer(config, std::move(socket), word);
    const Json json = report ? *report
                             : Json{{"error", report.error().text},
                                    {"code", static_cast<int>(report.error().code)}};
    const auto written = write_all(pipe.write_end.raw(), json.dump() + "\n");
    return report && written ? 0 : 1;
  }));
  return std::unique_ptr<KernelPeer>(
      new KernelPeer(std::move(child), std::move(pipe.read_end), std::move(ours)));
}

void KernelPeer::go() {
  (void)send_all(word_.raw(), ".");  // One that has ended hears nothing.
}

KernelPeer::~KernelPeer() {
  if (watch_) watch_->unwatch();
}

Result<PeerReport> KernelPeer::finish(const std::string& line) {
  const ExitStatus status = child_.wait();
  const Json json = Json::parse(line, nullptr, false);
  if (json.is_discarded()) return fail("kernel peer: {} and no report", to_string(status));
  if (json.contains("error")) {
    return tl::unexpected(Error{static_cast<std::errc>(json.at("code").get<int>()),
                                "kernel peer: " + json.at("error").get<std::string>()});
  }
  return parse_report(json, line);
}

Result<PeerReport> KernelPeer::wait() {
  return finish(TRY(read_to_end(reports_.raw())));
}

Result<void> KernelPeer::watch(RealLoop& loop, std::function<void(Result<PeerReport>)> action) {
  watch_ = std::make_unique<FdWatch>(loop, "kernel peer", [this, action = std::move(action)] {
    std::array<uint8_t, 4096> part;
    const auto n = read_some(reports_.raw(), part);
    if (n && *n > 0) {
      line_.append(part.begin(), part.begin() + *n);
      return Progress::Some;
    }
    watch_->unwatch();
    action(finish(line_));
    return Progress::Some;
  });
  return watch_->watch(reports_.raw());
}

}  // namespace wh::host
