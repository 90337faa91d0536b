// A connection driven by bytes: hostile segments near the edges of its sequence space, raw garbage,
// ICMP errors, the application's verbs and the passing of time, in any order and any state.
//
// After every step the invariants hold, memory is bounded, and no step takes more than a bounded
// number of events.
#include <cstdint>

#include "net/wire/ip4.h"
#include "tcp/test_world.h"

namespace wh::tcp {
namespace {

// Reads numbers off the input; zeros when it is used up.
class Tape {
 public:
  Tape(const uint8_t* data, size_t size) : data_(data), size_(size) {}
  bool is_empty() const { return at_ >= size_; }
  uint8_t byte() { return is_empty() ? uint8_t{0} : data_[at_++]; }
  uint16_t word() { return static_cast<uint16_t>(byte() << 8 | byte()); }
  // Small steps mostly, sometimes far.
  uint32_t distance() {
    const uint8_t kind = byte();
    const auto small = static_cast<uint32_t>(static_cast<int8_t>(byte()));
    switch (kind & 3) {
      case 0: return 0;
      case 1: return small;
      case 2: return small * 512;
      default: return uint32_t{word()} << (kind >> 3);
    }
  }
  std::span<const uint8_t> bytes(size_t most) {
    const size_t n = std::min(most, size_ - at_);
    at_ += n;
    return {data_ + at_ - n, n};
  }

 private:
  const uint8_t* data_;
  size_t size_, at_ = 0;
};

class Fuzz final : public ConnectionObserver {
 public:
  explicit Fuzz(Tape tape)
      : tape_(tape), wire_(loop_, Random(1)), host_(loop_, pool_, 1, Random(2)) {
    host_.ip.out = &wire_;
    wire_.set_pool(pool_);
    wire_.sink = [](net::Frame) {};
    wire_.tap = [this](Instant, const net::Packet&, const net::TcpView& t) { note(t); };
  }

  void run() {
    const uint8_t settings = tape_.byte();
    Tunables& t = host_.tcp.tunables();
    t.sack_enable = (settings & 1) == 0;
    t.rfc1323 = (settings & 2) == 0;
    t.ecn_enable = (settings & 4) != 0 ? 1 : 2;
    t.msl_ms = 100;
    t.cc_algorithm = (settings & 8) != 0 ? "cubic" : "newreno";
    Listener::Config config;
    config.local.port = kPort;
    config.backlog = 2;
    listener_ = MUST(host_.tcp.listen(config));
    if ((settings & 16) != 0) {
      is_active_ = true;
      c_ = MUST(host_.tcp.connect({host_of(2), kPeer}, {.local = {{}, kPort}, .observer = this}));
      if ((settings & 32) != 0) c_->set_pace_rate(Rate::bits_per_second(1'000'000));
    }
    for (int step = 0; step < 400 && !tape_.is_empty(); ++step) {
      act();
      check();
    }
  }

  void on_ready(Connection&, uint8_t) override {}

 private:
  static constexpr uint16_t kPort = 80, kPeer = 4000;

  static net::Ip4 host_of(uint8_t n) { return net::Ip4::of(10, 0, 0, n); }

  void note(const net::TcpView& t) {
    ours_ = t.seq() + t.seq_len();
    if (t.has(net::kTcpAck)) expected_ = t.ack();
    if (const auto o = t.options(); o.timestamps) echo_ = o.timestamps->value;
  }

  void act() {
    switch (tape_.byte() % 12) {
      case 0: advance(Duration(tape_.word()) * 1000); return;
      case 1: advance(Duration(tape_.word()) * 1'000'000); return;
      case 2:
        if (c_ != nullptr) static_cast<void>(c_->send(pattern(0, tape_.word())));
        return;
      case 3:
        if (c_ != nullptr) c_->discard(tape_.word());
        return;
      case 4: verb(tape_.byte()); return;
      case 5: garbage(); return;
      case 6: icmp(); return;
      default: segment(); return;
    }
  }

  void verb(uint8_t which) {
    if (c_ == nullptr) {
      c_ = listener_->accept();
      if (c_ != nullptr) c_->set_observer(this);
      return;
    }
    switch (which % 8) {
      case 0: c_->shutdown_send(); return;
      case 1:
        c_->close();
        c_ = nullptr;
        return;
      case 2:
        c_->abort();
        c_ = nullptr;
        return;
      case 3:
        c_->set_pace_rate(Rate::bits_per_second(1000 + uint64_t{tape_.word()} * 1000));
        return;
      case 4: c_->set_pace_rate(Rate::infinite()); return;
      case 5: c_->set_receive_buffer(Bytes(1 + tape_.word())); return;
      case 6: c_->set_nodelay((which & 8) != 0); return;
      default: c_->set_cork((which & 8) != 0); return;
    }
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
    inject(seq, ack, flags, window, {options, option_size}, payload);
  }

  void inject(SeqNum seq, SeqNum ack, uint16_t flags, uint16_t window,
              std::span<const uint8_t> options, uint32_t payload) {
    auto packet = pool_.allocate();
    const Endpoint peer{host_of(2), kPeer}, us{host_of(1), kPort};
    HeaderTemplate::Fields f;
    f.seq = seq;
    f.ack = ack;
    f.flags = {flags};
    f.window = window;
    f.options = static_cast<uint32_t>(options.size());
    f.payload = payload;
    uint8_t* at = HeaderTemplate(peer, us).write(*packet, f);
    std::copy(options.begin(), options.end(), at);
    if (payload > 0)
      packet->append(net::Slice{net::ChunkRef::copy_of(pattern(0, payload)), 0, payload});
    deliver(std::move(packet));
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
    host_.ip.input(std::move(frame));
  }

  void check() {
    host_.tcp.check_invariants();
    CHECK(pool_.in_use() < 20'000);
    CHECK(host_.tcp.connections() <= 4);
  }

  Tape tape_;
  VirtualLoop loop_;
  net::PacketPool pool_;
  TestWire wire_;
  TestHost host_;
  Listener* listener_ = nullptr;
  Connection* c_ = nullptr;
  bool is_active_ = false;
  SeqNum ours_, expected_;
  uint32_t clock_ = 1, echo_ = 0;
};

}  // namespace
}  // namespace wh::tcp

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  wh::tcp::Fuzz(wh::tcp::Tape(data, size)).run();
  return 0;
}
