#include "stage.h"

namespace wh::transcript {
namespace {

constexpr uint16_t kOurPort = 80, kPeerPort = 4000;
constexpr uint32_t kPeerIss = 0xfffffff0u;  // So that numbers wrap early.

std::string to_text(const SegmentLine& s) {
  std::string text =
      fmt::format("{} {}:{}({})", flags_text(s.flags), s.seq, s.seq + s.length, s.length);
  if (s.ack) text += fmt::format(" ack {}", *s.ack);
  if (s.window) text += fmt::format(" win {}", *s.window);
  if (s.options) {
    std::vector<std::string> o;
    if (s.options->mss) o.push_back(fmt::format("mss {}", *s.options->mss));
    if (s.options->window_scale) o.push_back(fmt::format("wscale {}", *s.options->window_scale));
    if (s.options->sack_permitted) o.emplace_back("sackOK");
    if (s.options->has_timestamps)
      o.push_back(fmt::format("TS val {} ecr {}", s.options->value.value_or(0),
                              s.options->echo.value_or(0)));
    std::string sacks;
    for (const auto& [from, to] : s.options->sacks) sacks += fmt::format(" {}:{}", from, to);
    if (!sacks.empty()) o.push_back("sack" + sacks);
    text += fmt::format(" <{}>", fmt::join(o, ","));
  }
  constexpr const char* kEcn[] = {"", " ect1", " ect0", " ce"};
  if (s.ecn) text += kEcn[*s.ecn & 3];
  return text;
}

}  // namespace

Stage::Stage(const Script& script)
    : script_(script), wire_(loop_, Random(1)), host_(loop_, pool_, 1, Random(2)) {
  host_.ip.out = &wire_;
  host_.ip.mtu = script.mtu;
  wire_.set_pool(pool_);
  wire_.config.delay = 0ns;
  wire_.sink = [](net::Frame) {};
  wire_.tap = [this](Instant t, const net::Packet& p, const net::TcpView& v) {
    note_sent(t, p, v);
  };
}

Stage::~Stage() {
  if (connection_ != nullptr) connection_->abort();
  if (listener_ != nullptr) listener_->close();
}

tcp::Endpoint Stage::us() const {
  if (script_.is_ipv6) return {host_.ip.v6(), kOurPort};
  return {host_.ip.v4(), kOurPort};
}
tcp::Endpoint Stage::peer() const {
  tcp::Endpoint e = us();
  e.address.bits.bytes[script_.is_ipv6 ? 15 : 3] = 2;
  e.port = kPeerPort;
  return e;
}

Result<void> Stage::play() {
  for (const std::string& setting : script_.sysctls) {
    TRY(host_.ip.sysctl().assign(setting));
  }
  line_time_ = loop_.now();
  for (const Line& line : script_.lines) {
    if (auto played = play(line); !played) {
      return tl::unexpected(
          std::move(played.error()).within(fmt::format("line {}: {}", line.number, line.text)));
    }
    host_.tcp.check_invariants();
  }
  if (sent_.empty()) return {};
  return fail("at the end: nobody expects {}", to_text(sent_.front().segment));
}

Result<void> Stage::play(const Line& line) {
  const Instant at = line.is_relative ? line_time_ + line.time : VirtualLoop::kEpoch + line.time;
  if (at < line_time_) return fail("time goes back");
  line_time_ = at;
  if (const auto* out = std::get_if<Outgoing>(&line.what)) return expect(out->segment, at);
  run_to(at);
  if (!sent_.empty()) {
    return fail("before it, at {:.6f}, nobody expects {}",
                to_seconds(sent_.front().when - VirtualLoop::kEpoch),
                to_text(sent_.front().segment));
  }
  if (const auto* in = std::get_if<Incoming>(&line.what))
    return inject(in->segment), Result<void>{};
  if (const auto* icmp = std::get_if<Icmp>(&line.what)) return inject(*icmp);
  return act(std::get<Action>(line.what).words);
}

void Stage::run_to(Instant t) {
  if (t > loop_.now()) loop_.run_until(t);
}

Result<void> Stage::expect(const SegmentLine& wanted, Instant at) {
  while (sent_.empty() && loop_.next_deadline() <= at + kSlack) loop_.step();
  if (sent_.empty()) {
    run_to(at + kSlack);
    return fail("nothing left");
  }
  const Sent sent = sent_.front();
  sent_.pop_front();
  TRY(compare(wanted, sent.segment));
  const Duration early = at - sent.when;
  if (early > 0ns || -early > kSlack) {
    return fail("it left {:.6f} s {}", std::abs(to_seconds(early)),
                early > 0ns ? "too early" : "too late");
  }
  return {};
}

Result<void> Stage::compare(const SegmentLine& wanted, const SegmentLine& sent) const {
  const auto differ = [&](std::string_view what) {
    return fail("{} differs: what left is {}", what, to_text(sent));
  };
  if (!(wanted.flags == sent.flags)) return differ("flags");
  if (wanted.seq != sent.seq || wanted.length != sent.length) return differ("range");
  if (wanted.ack && wanted.ack != sent.ack) return differ("ack");
  if (wanted.window && wanted.window != sent.window) return differ("window");
  if (wanted.ecn && wanted.ecn != sent.ecn) return differ("ECN field");
  if (!wanted.options) return {};
  const Options& w = *wanted.options;
  const Options& s = *sent.options;
  if (w.mss != s.mss || w.window_scale != s.window_scale || w.sack_permitted != s.sack_permitted ||
      w.sacks != s.sacks || w.has_timestamps != s.has_timestamps)
    return differ("options");
  if ((w.value && w.value != s.value) || (w.echo && w.echo != s.echo)) return differ("timestamps");
  return {};
}

void Stage::say(Instant when, std::string_view mark, const SegmentLine& segment) {
  conversation_.push_back(fmt::format("{:10.6f} {} {}", to_seconds(when - VirtualLoop::kEpoch),
                                      mark, to_text(segment)));
}

void Stage::note_sent(Instant when, const net::Packet& packet, const net::TcpView& tcp) {
  if (tcp.has(net::kTcpSyn)) iss_ = tcp.seq().value(), knows_iss_ = true;
  SegmentLine s;
  s.flags = tcp.flags();
  s.seq = tcp.seq().value() - (knows_iss_ ? iss_ : 0);
  s.length = tcp.payload_size();
  if (tcp.has(net::kTcpAck)) s.ack = tcp.ack().value() - kPeerIss;
  s.window = tcp.window();
  const net::TcpOptions o = tcp.options();
  Options& to = s.options.emplace();
  to.mss = o.mss;
  to.window_scale = o.window_scale;
  to.sack_permitted = o.sack_permitted;
  if (o.timestamps) {
    to.has_timestamps = true;
    to.value = o.timestamps->value;
    to.echo = o.timestamps->echo;
    last_value_ = o.timestamps->value;
  }
  for (const net::SackBlock& b : o.sack_blocks())
    to.sacks.emplace_back(b.begin.value() - kPeerIss, b.end.value() - kPeerIss);
  const uint8_t* ip = packet.data();
  s.ecn = script_.is_ipv6 ? (ip[1] >> 4) & 3 : ip[1] & 3;
  say(when, ">", s);
  sent_.push_back({when, s});
}

void Stage::inject(const SegmentLine& s) {
  say(loop_.now(), "<", s);
  net::TcpOptions o;
  if (s.options) {
    o.mss = s.options->mss;
    o.window_scale = s.options->window_scale;
    o.sack_permitted = s.options->sack_permitted;
    if (s.options->has_timestamps) {
      const uint32_t given = s.options->echo.value_or(0);
      const uint32_t echo = s.options->echo_is_last ? last_value_ - given : given;
      o.timestamps = net::TcpTimestamps{s.options->value.value_or(0), echo};
    }
    for (const auto& [from, to] : s.options->sacks)
      o.add_sack({net::SeqNum(iss_ + from), net::SeqNum(iss_ + to)});
  }
  tcp::HeaderTemplate::Fields f;
  f.seq = net::SeqNum(kPeerIss + s.seq);
  f.ack = net::SeqNum(s.ack ? iss_ + *s.ack : 0);
  f.flags = s.flags;
  f.window = s.window.value_or(65535);
  f.options = o.size();
  f.payload = s.length;
  auto packet = pool_.allocate();
  o.emit({tcp::HeaderTemplate(peer(), us()).write(*packet, f), f.options});
  if (s.length > 0) {
    const std::vector<uint8_t> bytes(s.length, static_cast<uint8_t>(letter_));
    letter_ = letter_ == 'z' ? 'a' : static_cast<char>(letter_ + 1);
    packet->append(net::Slice{net::ChunkRef::copy_of(bytes), 0, s.length});
  }
  packet->ecn = s.ecn.value_or(0);
  packet->arrival = loop_.now();
  net::Frame frame;
  frame.push(std::move(packet));
  host_.ip.input(std::move(frame));
}

Result<void> Stage::inject(const Icmp& icmp) {
  using Kind = net::IpError::Kind;
  const std::map<std::string, Kind> kinds = {{"too_big", Kind::PacketTooBig},
                                             {"host_unreachable", Kind::HostUnreachable},
                                             {"net_unreachable", Kind::NetUnreachable},
                                             {"port_unreachable", Kind::PortUnreachable},
                                             {"protocol_unreachable", Kind::ProtocolUnreachable},
                                             {"admin_prohibited", Kind::AdminProhibited},
                                             {"time_exceeded", Kind::TimeExceeded},
                                             {"parameter_problem", Kind::ParameterProblem}};
  const auto kind = kinds.find(icmp.kind);
  if (kind == kinds.end()) {
    std::vector<std::string> known;
    for (const auto& [name, value] : kinds) known.push_back(name);
    return fail("icmp {}: known are {}", icmp.kind, fmt::join(known, ", "));
  }
  std::array<uint8_t, 8> quoted{};
  net::store16(quoted.data(), us().port);
  net::store16(quoted.data() + 2, peer().port);
  net::store32(quoted.data() + 4, iss_ + icmp.seq);
  conversation_.push_back(
      fmt::format("{:10.6f} < icmp {}", to_seconds(loop_.now() - VirtualLoop::kEpoch), icmp.kind));
  host_.tcp.error({.kind = kind->second,
                   .mtu = icmp.mtu,
                   .source = us().address,
                   .destination = peer().address,
                   .transport = quoted});
  return {};
}

}  // namespace wh::transcript
