// A connection in any state, driven by bytes: hostile segments near the edges of its sequence
// space, raw garbage, ICMP errors, an application without manners, and the passing of time.
//
// The first byte chooses a state, by a prelude of honest segments that leads there, and which end
// opened; the second the stack's settings; the rest are steps. After every step:
//   - the connection's and the stack's invariants hold;
//   - memory is bounded: packets, connections, sendmap entries, bytes of the heap;
//   - work is bounded: loop events while time passes, packets sent for a segment received;
//   - what leaves as new or sent again is what the application wrote there, and what the
//   application
//     reads is what a peer whose every byte depends on its sequence number may have sent.
#include <malloc.h>

#include <cstdint>
#include <cstring>

#include "net/wire/ip4.h"
#include "tcp/fuzz_tape.h"
#include "tcp/socket_option.h"
#include "tcp/test_world.h"

#if defined(__SANITIZE_ADDRESS__)
#define WH_ASAN 1
#elif defined(__has_feature)
#if __has_feature(address_sanitizer)
#define WH_ASAN 1
#endif
#endif
#ifdef WH_ASAN
// Of sanitizer/allocator_interface.h, which g++ does not bring.
extern "C" size_t __sanitizer_get_current_allocated_bytes();
#endif

namespace wh::tcp {

struct ConnectionTestPeer {
  // The sequence number of the byte that recv() gives next.
  static SeqNum next_read(const Connection& c) {
    const uint32_t fin = c.fin_received_ ? 1 : 0;
    return c.rcv_nxt_ + SeqLen(c.early_bytes_) -
           SeqLen(static_cast<uint32_t>(c.receive_.readable()) + fin);
  }
};

namespace {

// Bytes of the heap in use by the whole program.
size_t heap_bytes() {
#ifdef WH_ASAN
  return __sanitizer_get_current_allocated_bytes();
#else
  return mallinfo2().uordblks;
#endif
}

// Where a run begins.
enum class Start : uint8_t {
  Listen,
  Handshake,  // SYN-SENT, or SYN-RECEIVED of a listener.
  SimultaneousOpen,
  Established,
  CloseWait,
  FinWait1,
  FinWait2,
  Closing,
  LastAck,
  TimeWait,
  Hole,      // Something is missing of what the peer sent.
  Recovery,  // Something is missing of what we sent,
  Loss,      // or all of it.
  Persist,   // The peer's window is shut.
  Paced,     // A burst has left, and the gate is closed.
  Dgp,       // Dynamic Goodput Pacing.
  kCount,
};

class Fuzz final : public ConnectionObserver {
 public:
  explicit Fuzz(Tape tape)
      : heap_before_(heap_bytes()),
        tape_(tape),
        wire_(loop_, Random(1)),
        host_(loop_, pool_, 1, Random(2)) {
    host_.ip.out = &wire_;
    wire_.set_pool(pool_);
    wire_.config.delay = 0ns;
    wire_.sink = [](net::Frame) {};
    wire_.tap = [this](Instant, const net::Packet& p, const net::TcpView& t) { note(p, t); };
  }

  void run() {
    const uint8_t start = tape_.byte();
    set_up(tape_.byte());
    begin(static_cast<Start>((start & 0x7f) % static_cast<uint8_t>(Start::kCount)),
          (start & 0x80) != 0);
    check();
    for (int step = 0; step < 400 && !tape_.is_empty(); ++step) {
      act();
      check();
    }
  }

  void on_ready(Connection&, uint8_t) override {}

 private:
  static constexpr uint16_t kPort = 80, kPeer = 4000;
  static constexpr uint32_t kSegment = 1000;
  static constexpr int64_t kMostBuffer = 262'144;

  static net::Ip4 host_of(uint8_t n) { return net::Ip4::of(10, 0, 0, n); }

  void set_up(uint8_t settings) {
    Tunables& t = host_.tcp.tunables();
    t.sack_enable = (settings & 1) == 0;
    t.rfc1323 = (settings & 2) == 0;
    t.ecn_enable = (settings & 4) != 0 ? 1 : 2;
    t.cc_algorithm = (settings & 8) != 0 ? "cubic" : "newreno";
    t.fast_send = t.fast_resend = (settings & 16) == 0;
    t.loss_rule = (settings >> 5) % 3;
    host_.ip.max_gso = (settings & 128) != 0 ? 65'535 : 0;
    t.msl_ms = 100;
    t.sendbuf_max = t.recvbuf_max = kMostBuffer;
    Listener::Config config;
    config.local.port = kPort;
    config.backlog = 2;
    listener_ = MUST(host_.tcp.listen(config));
  }

  // --- the way to a state ---

  static State state_at(Start start) {
    switch (start) {
      case Start::CloseWait: return State::CloseWait;
      case Start::FinWait1: return State::FinWait1;
      case Start::FinWait2: return State::FinWait2;
      case Start::Closing: return State::Closing;
      case Start::LastAck: return State::LastAck;
      case Start::TimeWait: return State::TimeWait;
      default: return State::Established;
    }
  }

  void begin(Start start, bool is_active) {
    if (start == Start::Listen) return;
    if (start == Start::SimultaneousOpen) is_active = true;
    if (is_active) {
      c_ = MUST(host_.tcp.connect({host_of(2), kPeer}, {.local = {{}, kPort}, .observer = this}));
    } else {
      honest(net::kTcpSyn, 0);
    }
    if (start == Start::Handshake) return;
    if (start == Start::SimultaneousOpen) {
      honest(net::kTcpSyn, 0);
      CHECK(c_->state() == State::SynReceived);
      return;
    }
    honest(is_active ? net::kTcpSyn | net::kTcpAck : TcpFlags(net::kTcpAck), 0);
    if (!is_active) verb(0);
    CHECK(c_ != nullptr && c_->state() == State::Established);
    loop_.run_for(20ms);
    go_on(start);
    CHECK(c_->state() == state_at(start));
  }

  void go_on(Start start) {
    constexpr TcpFlags kAck = net::kTcpAck, kFinAck = net::kTcpFin | net::kTcpAck;
    switch (start) {
      case Start::CloseWait:
      case Start::LastAck:
        honest(kFinAck, 0);
        if (start == Start::LastAck) c_->shutdown_send();
        break;
      case Start::FinWait1: c_->shutdown_send(); break;
      case Start::Closing: {
        const SeqNum fin = ours_;
        c_->shutdown_send();
        ours_ = fin;  // It crosses the peer's.
        honest(kFinAck, 0);
        break;
      }
      case Start::FinWait2:
      case Start::TimeWait:
        c_->shutdown_send();
        honest(kAck, 0);
        if (start == Start::TimeWait) honest(kFinAck, 0);
        break;
      case Start::Hole:
        next_ = next_ + SeqLen(kSegment);
        honest(kAck, kSegment);
        next_ = next_ - SeqLen(2 * kSegment);
        break;
      case Start::Recovery:
      case Start::Loss: lose(start == Start::Loss); break;
      case Start::Persist:
        window_ = 0;
        honest(kAck, 0);
        write(3000);
        loop_.run_for(1s);
        break;
      case Start::Paced:
        c_->set_pace_rate(Rate::bits_per_second(1'000'000));
        write(30'000);
        break;
      case Start::Dgp:
        MUST(c_->set_profile(1));  // No fixed rate is set.
        write(30'000);
        break;
      default: break;
    }
  }

  // The first of what we sent is missing; the peer says so, or nothing at all.
  void lose(bool is_all) {
    const SeqNum first = ours_;
    write(12'000);
    if (is_all) return void(loop_.run_for(3s));
    for (uint32_t n = 3; n <= 6; ++n) {
      ours_ = first;
      sacked_ = {first + SeqLen(1448), first + SeqLen(n * 1448)};
      honest(net::kTcpAck, 0);
    }
    sacked_ = {};
    loop_.run_for(50ms);
  }

  // What a peer without malice would send next.
  void honest(TcpFlags flags, uint32_t payload) {
    const bool is_syn = flags.has(net::kTcpSyn);
    net::TcpOptions o;
    const Tunables& t = host_.tcp.tunables();
    if (is_syn) {
      o.mss = 1460;
      if (t.rfc1323 != 0) o.window_scale = 3;
      o.sack_permitted = t.sack_enable != 0;
    }
    if (t.rfc1323 != 0) o.timestamps = net::TcpTimestamps{++clock_, echo_};
    if (t.sack_enable != 0 && sacked_.begin < sacked_.end) o.add_sack(sacked_);
    uint8_t options[40] = {};
    o.emit(options);
    inject(next_, ours_, flags, window_, {options, o.size()}, payload);
    next_ = next_ + SeqLen(payload + (is_syn || flags.has(net::kTcpFin) ? 1u : 0u));
  }

  // --- steps ---

  void act() {
    switch (tape_.byte() % 12) {
      case 0: advance(Duration(tape_.word()) * 1000); return;
      case 1: advance(Duration(tape_.word()) * 1'000'000); return;
      case 2: write(tape_.word()); return;
      case 3: read(tape_.word()); return;
      case 4: verb(tape_.byte()); return;
      case 5: garbage(); return;
      case 6: icmp(); return;
      default: segment(); return;
    }
  }

  void write(size_t most) {
    if (c_ == nullptr) return;
    const auto taken = c_->send(pattern(written_, most));
    if (taken) written_ += *taken;
  }

  void read(size_t most) {
    if (c_ == nullptr) return;
    const SeqNum at = ConnectionTestPeer::next_read(*c_);
    std::vector<uint8_t> bytes(most);
    bytes.resize(c_->recv(bytes));
    if (is_tainted_) return;
    for (size_t i = 0; i < bytes.size(); ++i)
      CHECK_EQ(int{bytes[i]}, int{byte_at(at + SeqLen(static_cast<uint32_t>(i)))});
  }

  void verb(uint8_t which) {
    if (c_ == nullptr) {
      c_ = listener_->accept();
      written_ = 0;
      if (c_ != nullptr) c_->set_observer(this);
      return;
    }
    if (which >= 192) return option();
    switch (which % 10) {
      case 0: c_->shutdown_send(); return;
      case 1: std::exchange(c_, nullptr)->close(); return;
      case 2: std::exchange(c_, nullptr)->abort(); return;
      case 3: {
        const Rate rate = Rate::bits_per_second(1000 + uint64_t{tape_.word()} * 1000);
        const auto phase = (which >> 4) % 4;
        phase == 3 ? c_->set_pace_rate(rate)
                   : c_->set_pace_rate(static_cast<pacing::Phase>(phase), rate);
        return;
      }
      case 4: c_->set_pace_rate(Rate::infinite()); return;
      case 5: c_->set_receive_buffer(Bytes(buffer_size())); return;
      case 6: c_->set_nodelay((which & 16) != 0); return;
      case 7: c_->set_cork((which & 16) != 0); return;
      case 8: c_->set_send_buffer(Bytes(std::min(buffer_size(), kMostBuffer))); return;
      default: c_->set_max_segment(1 + tape_.word() % 1500u); return;
    }
  }

  // Any of FreeBSD's numbers, some value, of the right size or not; what is refused changes
  // nothing.
  void option() {
    const int number = TCP_RACK_PACE_MAX_SEG + tape_.byte() % 110;
    const uint8_t shape = tape_.byte();
    const size_t size = (shape & 0x80) != 0 ? sizeof(uint64_t) : sizeof(uint32_t);
    uint64_t value = shape & 0x7f;
    if (value > 100) value = uint64_t{tape_.word()} << (value - 100);
    uint8_t given[sizeof value], before[sizeof value] = {}, after[sizeof value] = {};
    std::memcpy(given, &value, sizeof value);
    const bool is_known = c_->get_option(number, before).has_value();
    CHECK_EQ(is_known, is_pacing_option(number));
    const bool is_taken = c_->set_option(number, std::span(given).first(size)).has_value();
    CHECK(is_known || !is_taken);
    if (is_taken || !is_known) return;
    MUST(c_->get_option(number, after));
    CHECK(std::equal(before, before + sizeof before, after));
  }

  // A byte, a gibibyte, or something between.
  int64_t buffer_size() {
    const uint16_t n = tape_.word();
    return n == 0xffff ? int64_t{1} << 30 : 1 + n;
  }

  void advance(Duration d) {
    const uint64_t before = loop_.events_handled();
    loop_.run_for(d);
    CHECK(loop_.events_handled() - before < 200'000);
  }

  // A segment whose numbers lie near those that would be right.
  void segment() {
    const auto flags = static_cast<uint16_t>(tape_.byte() | (tape_.byte() & 1) << 8);
    const SeqNum seq(expected_.value() + tape_.distance()), ack(ours_.value() + tape_.distance());
    const uint16_t window = tape_.word();
    const uint8_t shape = tape_.byte();
    uint8_t options[40] = {};
    uint32_t option_size = 0;
    if ((shape & 1) != 0) {  // The usual timestamps, perhaps with SACK blocks.
      net::TcpOptions o;
      o.timestamps = net::TcpTimestamps{clock_ += tape_.byte(), echo_ + tape_.distance()};
      for (int i = 0; i < (shape >> 1 & 3); ++i) {
        const SeqNum begin(ack.value() + tape_.distance());
        o.add_sack({begin, SeqNum(begin.value() + tape_.distance())});
      }
      option_size = o.size();
      o.emit(options);
    } else if ((shape & 2) != 0) {
      const auto raw = tape_.bytes(size_t{shape & 0x1cu});
      std::copy(raw.begin(), raw.end(), options);
      option_size = static_cast<uint32_t>(raw.size() + 3) / 4 * 4;
    }
    const uint32_t payload = (shape & 0x80) != 0 ? tape_.word() % 3000u : uint32_t{shape} >> 5;
    inject(seq, ack, {flags}, window, {options, option_size}, payload);
  }

  void inject(SeqNum seq, SeqNum ack, TcpFlags flags, uint16_t window,
              std::span<const uint8_t> options, uint32_t payload) {
    auto packet = pool_.allocate();
    const Endpoint peer{host_of(2), kPeer}, us{host_of(1), kPort};
    HeaderTemplate::Fields f;
    f.seq = seq;
    f.ack = ack;
    f.flags = flags;
    f.window = window;
    f.options = static_cast<uint32_t>(options.size());
    f.payload = payload;
    uint8_t* at = HeaderTemplate(peer, us).write(*packet, f);
    std::copy(options.begin(), options.end(), at);
    if (payload > 0) {
      std::vector<uint8_t> bytes(payload);
      const SeqNum first = seq + SeqLen(flags.has(net::kTcpSyn) ? 1u : 0u);
      for (uint32_t i = 0; i < payload; ++i) bytes[i] = byte_at(first + SeqLen(i));
      packet->append(net::Slice{net::ChunkRef::copy_of(bytes), 0, payload});
    }
    deliver(std::move(packet));
  }
  static uint8_t byte_at(SeqNum at) {
    uint8_t byte;
    kPattern.fill(at.value(), std::span(&byte, 1));
    return byte;
  }

  void garbage() {
    auto packet = pool_.allocate();
    std::vector<uint8_t> bytes(20);
    net::Ip4Header ip;
    ip.source = host_of(2);
    ip.destination = host_of(1);
    ip.protocol = net::kProtocolTcp;
    const auto rest = tape_.bytes(tape_.byte());
    ip.total_length = static_cast<uint16_t>(20 + rest.size());
    ip.emit(bytes);
    bytes.insert(bytes.end(), rest.begin(), rest.end());
    packet->assign(bytes);
    packet->l4_offset = 20;
    if ((bytes.size() & 1) != 0) packet->checksum = net::Checksum::Verified;
    is_tainted_ = true;
    deliver(std::move(packet));
  }

  void icmp() {
    net::IpError e{};
    e.kind = static_cast<net::IpError::Kind>(tape_.byte() % 8);
    e.mtu = tape_.word();
    e.source = host_of(1);
    e.destination = host_of(2);
    uint8_t quote[8];
    net::store16(quote, kPort);
    net::store16(quote + 2, kPeer);
    net::store32(quote + 4, ours_.value() - tape_.distance());
    e.transport = quote;
    host_.tcp.error(e);
  }

  void deliver(net::PacketPtr packet) {
    packet->arrival = loop_.now();
    net::Frame frame;
    frame.push(std::move(packet));
    const uint64_t before = wire_.packets;
    host_.ip.input(std::move(frame));
    // At most a window of the smallest segments, and an answer.
    CHECK(static_cast<int64_t>(wire_.packets - before) <= kMostBuffer / least_segment_ + 2);
  }

  // --- what is watched ---

  void note(const net::Packet& p, const net::TcpView& t) {
    if (t.destination_port() != kPeer) return;
    if (t.has(net::kTcpRst)) return;  // Its numbers may be those that it answers.
    if (t.has(net::kTcpSyn)) our_iss_ = ours_ = t.seq();
    ours_ = net::later(ours_, t.seq() + t.seq_len());
    if (t.has(net::kTcpAck)) expected_ = t.ack();
    if (const auto o = t.options(); o.timestamps) echo_ = o.timestamps->value;
    std::vector<uint8_t> bytes(t.payload_size());
    p.copy_out(p.size() - t.payload_size(), bytes);
    const uint32_t at = (t.seq() - our_iss_).count() - 1;
    CHECK(bytes == pattern(at, bytes.size()));
  }

  void check() {
    loop_.run_for(0ns);  // What left has gone.
    host_.tcp.check_invariants();
    CHECK(pool_.in_use() < 2'000);
    CHECK(host_.tcp.connections() <= 4);
    constexpr size_t kMostHeap = 8 << 20;
    CHECK(heap_bytes() < heap_before_ + kMostHeap);
    if (c_ == nullptr) return;
    // Twice what was sent as segments, split again by retransmissions, and what was written a few
    // bytes at a time.
    const auto& map = c_->sendmap();
    least_segment_ = std::min(least_segment_, c_->info().mss.count());
    CHECK(static_cast<int64_t>(map.size()) <=
          600 + 3 * int64_t{map.outstanding()} / least_segment_);
  }

  size_t heap_before_;
  Tape tape_;
  VirtualLoop loop_;
  net::PacketPool pool_;
  TestWire wire_;
  TestHost host_;
  Listener* listener_ = nullptr;
  Connection* c_ = nullptr;
  uint64_t written_ = 0;
  SeqNum next_{0xfffffff0u};  // The peer's next, while it is honest.
  uint16_t window_ = 65'535;
  net::SackBlock sacked_{};
  SeqNum our_iss_, ours_, expected_;  // What we sent first, and last; what we expect of the peer.
  uint32_t clock_ = 1, echo_ = 0;
  int64_t least_segment_ = 200;  // What the application has asked for.
  bool is_tainted_ = false;      // Bytes that do not depend on their number may have come.
};

}  // namespace
}  // namespace wh::tcp

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  wh::tcp::Fuzz(wh::tcp::Tape(data, size)).run();
  return 0;
}
