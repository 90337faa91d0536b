// A conversation for tests: one real TCP, and a peer whose every segment the test writes.
//
// Numbers are relative, as in a transcript: the peer's first byte of data is 1 and so is ours. What
// the stack sends is kept in `sent`, oldest first; take() removes and returns the next.
#pragma once

#include <deque>
#include <optional>
#include <string>

#include "tcp/test_world.h"

namespace wh::tcp {

class Conversation {
 public:
  struct Out {
    Instant when;
    TcpFlags flags;
    uint32_t seq = 0, ack = 0, length = 0, window = 0;  // Relative; the window unscaled.
    net::TcpOptions options;
    uint8_t tos = 0;
  };
  struct In {
    TcpFlags flags = net::kTcpAck;
    uint32_t seq = 1, ack = 1;
    uint32_t length = 0;
    uint16_t window = 65535;
    net::TcpOptions options = {};
    uint8_t ecn = 0;
  };
  static constexpr uint16_t kOurPort = 80, kPeerPort = 4000;
  static constexpr uint32_t kPeerIss = 0xfffffff0u;  // So that numbers wrap early.

  explicit Conversation(Instant start = VirtualLoop::kEpoch)
      : loop(start), wire_(loop, Random(1)), host(loop, pool, 1, Random(2)) {
    host.ip.out = &wire_;
    wire_.set_pool(pool);
    wire_.config.delay = 0ns;
    wire_.sink = [](net::Frame) {};
    wire_.tap = [this](Instant t, const net::Packet& p, const net::TcpView& v) { note(t, p, v); };
  }

  // The peer connects to us, offering `syn_options`; then the application has the connection in
  // `c`.
  void open(net::TcpOptions syn_options = {.mss = 1460}, TcpFlags more = {}) {
    listen();
    in({.flags = net::kTcpSyn | more, .seq = 0, .options = syn_options});
    CHECK(!sent.empty() && sent.front().flags.has(net::kTcpSyn | net::kTcpAck));
    syn_ack = take();
    run(rtt);
    in({.options = usual(syn_options)});
    c = listener->accept();
    CHECK(c != nullptr && c->state() == State::Established);
  }
  void listen() {
    if (listener != nullptr) return;
    Listener::Config config;
    config.local.port = kOurPort;
    listener = MUST(host.tcp.listen(std::move(config)));
  }
  void connect() {
    c = MUST(host.tcp.connect({peer(), kPeerPort}, {.local = {{}, kOurPort}}));
    CHECK(!sent.empty());
    take();
  }

  void in(const In& s) {
    auto packet = pool.allocate();
    HeaderTemplate::Fields f;
    f.seq = SeqNum(kPeerIss + s.seq);
    f.ack = SeqNum(our_iss_ + s.ack);
    f.flags = s.flags;
    f.window = s.window;
    f.options = s.options.size();
    f.payload = s.length;
    uint8_t* at = HeaderTemplate({peer(), kPeerPort}, {us(), kOurPort}).write(*packet, f);
    s.options.emit({at, f.options});
    if (s.length > 0) {
      const auto bytes = pattern(s.seq - 1, s.length);
      packet->append(net::Slice{net::ChunkRef::copy_of(bytes), 0, s.length});
    }
    packet->ecn = s.ecn;
    packet->arrival = loop.now();
    net::Frame frame;
    frame.push(std::move(packet));
    host.ip.input(std::move(frame));
    if (!closed) host.tcp.check_invariants();
  }
  // Options of a usual segment for a peer that offered `syn`: timestamps one millisecond on.
  net::TcpOptions usual(const net::TcpOptions& syn) const {
    net::TcpOptions o;
    if (syn.timestamps) o.timestamps = net::TcpTimestamps{syn.timestamps->value + 1, echo_};
    return o;
  }
  net::TcpOptions sack(std::initializer_list<std::pair<uint32_t, uint32_t>> blocks) const {
    net::TcpOptions o;
    for (const auto& [begin, end] : blocks) {
      o.add_sack({SeqNum(our_iss_ + begin), SeqNum(our_iss_ + end)});
    }
    return o;
  }

  // The next segment we sent. REQUIRES: there is one.
  Out take() {
    CHECK(!sent.empty());
    Out o = sent.front();
    sent.pop_front();
    return o;
  }
  void write(size_t n) {
    const auto bytes = pattern(written_, n);
    const auto taken = c->send(bytes);
    CHECK(taken && *taken == n);
    written_ += n;
  }
  void run(Duration d) {
    loop.run_for(d);
    host.tcp.check_invariants();
  }
  SeqNum our_iss() const { return SeqNum(our_iss_); }  // Of our latest SYN.
  const Counters& counters() const { return host.tcp.counters(); }
  Tunables& tunables() { return host.tcp.tunables(); }
  static net::Ip4 us() { return net::Ip4::of(10, 0, 0, 1); }
  static net::Ip4 peer() { return net::Ip4::of(10, 0, 0, 2); }

 private:
  void note(Instant t, const net::Packet& p, const net::TcpView& v) {
    if (v.has(net::kTcpSyn)) our_iss_ = v.seq().value();
    Out o;
    o.when = t;
    o.flags = v.flags();
    o.seq = v.seq().value() - our_iss_;
    o.ack = v.ack().value() - kPeerIss;
    o.length = v.payload_size();
    o.window = v.window();
    o.options = v.options();
    o.tos = p.data()[1];
    if (o.options.timestamps) echo_ = o.options.timestamps->value;
    sent.push_back(o);
  }

 public:
  VirtualLoop loop;
  net::PacketPool pool;
  Duration rtt = 100ms;  // Of the handshake: the first sample.

 private:
  TestWire wire_;
  uint32_t our_iss_ = 0, echo_ = 0;
  uint64_t written_ = 0;

 public:
  TestHost host;
  Listener* listener = nullptr;
  Connection* c = nullptr;
  std::deque<Out> sent;
  Out syn_ack;
  bool closed = false;
};

}  // namespace wh::tcp
