#include "vnet/shallow_reassembly.h"

#include <list>
#include <unordered_map>

#include "net/wire/describe.h"
#include "net/wire/icmp.h"
#include "net/wire/icmp6.h"
#include "vnet/feature_node.h"
#include "vnet/reassembly.h"

namespace wh::vnet {

using graph::Batch;
using graph::Severity;
using net::Packet;
using net::PacketPtr;

namespace {

bool is_message(uint8_t protocol) {
  return protocol == net::kProtocolIcmp || protocol == net::kProtocolIcmp6;
}
bool is_echo(uint8_t protocol, uint16_t type) {
  if (protocol == net::kProtocolIcmp) {
    return type == static_cast<uint16_t>(net::IcmpType::Echo) ||
           type == static_cast<uint16_t>(net::IcmpType::EchoReply);
  }
  return type == static_cast<uint16_t>(net::Icmp6Type::Echo) ||
         type == static_cast<uint16_t>(net::Icmp6Type::EchoReply);
}
bool has_port_fields(uint8_t protocol) {
  return is_message(protocol) || protocol == net::kProtocolTcp || protocol == net::kProtocolUdp;
}

// What is noted on later fragments: two ports, or an ICMP type, code and echo identifier.
uint32_t note_of(const Transport& t) {
  if (!is_message(t.protocol)) return uint32_t{t.source_port} << 16 | t.destination_port;
  return uint32_t{t.source_port} << 24 | uint32_t{t.destination_port} << 16 | t.echo_id.value_or(0);
}
void read_note(uint32_t note, Transport& t) {
  const bool is_icmp = is_message(t.protocol);
  t.source_port = static_cast<uint16_t>(note >> (is_icmp ? 24 : 16));
  t.destination_port = static_cast<uint16_t>(is_icmp ? note >> 16 & 0xff : note);
  if (is_icmp && is_echo(t.protocol, t.source_port)) t.echo_id = static_cast<uint16_t>(note);
}

// Of a packet that is no later fragment; its transport header is at t.offset.
std::optional<Transport> read_header(Packet& p, Transport t) {
  const bool is_icmp = is_message(t.protocol);
  pullup_most(p, t.offset + 20);
  if (p.head_size() < t.offset + 4) return std::nullopt;
  const uint8_t* l4 = p.data() + t.offset;
  t.source_port = is_icmp ? l4[0] : net::load16(l4);
  t.destination_port = is_icmp ? l4[1] : net::load16(l4 + 2);
  if (t.protocol == net::kProtocolTcp && p.head_size() >= t.offset + 14) t.tcp_flags = l4[13];
  if (is_icmp && is_echo(t.protocol, t.source_port) && p.head_size() >= t.offset + 8) {
    t.echo_id = net::load16(l4 + 4);
  }
  return t;
}

// Further extension headers behind the fragment header are in the first fragment only, and the
// protocol behind those is noted on the later ones, where an ICMP error's words would be.
uint8_t protocol_of_later(const Packet& p, const net::Ip6Extensions& e) {
  return net::Ip6View::is_extension(e.protocol) ? static_cast<uint8_t>(p.icmp_note) : e.protocol;
}

// A fragment's place in its packet.
struct Piece {
  FragmentKey key;
  bool is_first = false;
};
// Nothing for what is no fragment, or whose headers cannot be read.
std::optional<Piece> piece4_of(const Packet& p, uint16_t vrf) {
  const uint8_t* ip = p.data() + p.l3_offset;
  const uint16_t fragment = net::load16(ip + 6);
  if ((fragment & 0x3fff) == 0) return std::nullopt;
  return Piece{{net::Ip4{net::load32(ip + 12)}, net::Ip4{net::load32(ip + 16)}, vrf,
                net::load16(ip + 4), ip[9]},
               (fragment & 0x1fff) == 0};
}
std::optional<Piece> piece6_of(const Packet& p, uint16_t vrf) {
  const auto ip = net::Ip6View::parse_quoted(p.head().subspan(p.l3_offset));
  net::Ip6Extensions e;
  if (!ip || ip->extensions(e) || !e.has_fragment() || e.fragment.is_atomic()) return std::nullopt;
  return Piece{{ip->source(), ip->destination(), vrf, e.fragment.id}, e.fragment.offset == 0};
}
std::optional<Transport> transport6_of(Packet& p) {
  const auto ip = net::Ip6View::parse_quoted(p.head().subspan(p.l3_offset));
  net::Ip6Extensions e;
  if (!ip || ip->extensions(e)) return std::nullopt;
  return transport_of(p, e);
}

}  // namespace

void note_port(Packet& p, const Transport& t, bool is_source, uint16_t port) {
  const uint32_t low = 0xffff;
  if (is_source && !is_message(t.protocol)) {
    p.flow_hash = (p.flow_hash & low) | uint32_t{port} << 16;
  } else {
    p.flow_hash = (p.flow_hash & ~low) | port;
  }
}

std::optional<Transport> transport_of(Packet& p) {
  const uint32_t at = p.l3_offset;
  const uint8_t* ip = p.data() + at;
  Transport t{.protocol = ip[9]};
  if (!has_port_fields(t.protocol) || t.protocol == net::kProtocolIcmp6) return std::nullopt;
  if ((net::load16(ip + 6) & 0x1fff) != 0) {
    t.is_first = false;
    read_note(p.flow_hash, t);
    return t;
  }
  t.offset = at + (ip[0] & 15u) * 4;
  return read_header(p, t);
}

std::optional<Transport> transport_of(Packet& p, const net::Ip6Extensions& e) {
  const bool is_later = e.has_fragment() && e.fragment.offset != 0;
  Transport t{.protocol = is_later ? protocol_of_later(p, e) : e.protocol};
  if (!has_port_fields(t.protocol)) return std::nullopt;
  if (is_later) {
    t.is_first = false;
    read_note(p.flow_hash, t);
    return t;
  }
  t.offset = p.l3_offset + e.offset;
  return read_header(p, t);
}

namespace {

class ShallowReassembly final : public FeatureNode, public PacketHolder {
 public:
  static constexpr size_t kMaxFlows = 1024;
  static constexpr size_t kMaxHeld = 64;
  static constexpr Duration kLifetime = 2s;

  ShallowReassembly(Stack& stack, FeatureArc arc, const std::string& name)
      : FeatureNode(stack, arc, name,
                    {{"no_first", Severity::Error, "fragment whose first never came"},
                     {"too_many", Severity::Error, "too many fragments before the first"},
                     {"held", Severity::Info, "fragments that waited for the first"},
                     {"gone", Severity::Warning, "interface deleted while a fragment waited"}}),
        is_ip6_(arc == FeatureArc::Ip6Input || arc == FeatureArc::Ip6Output),
        flows_(0, FragmentHash{SipKey::draw(stack.random.fork(name))}),
        timer_(stack.loop, [this] { expire(); }) {
    stack.holders.push_back(this);
  }

  void process(Batch& batch) override {
    for (uint32_t i = 0; i < batch.size(); ++i) {
      Packet& p = batch[i];
      if (is_ip6_ && has_extension(p)) pullup_most(p, p.size());
      const auto piece = piece_of(p);
      if (!piece) {
        batch.send(i, next(p));
      } else if (piece->is_first) {
        take_first(batch, i, piece->key);
      } else {
        take_later(batch, i, piece->key);
      }
    }
  }
  void drop_held(const std::function<bool(const Packet&)>& which) override {
    for (auto& [key, flow] : flows_) {
      for (PacketPtr& p : flow.held) {
        if (which(*p)) stack_.graph.drop(index(), kGone, std::move(p));
      }
      std::erase(flow.held, nullptr);
    }
  }
  std::string account(const Packet& p) const override {
    const auto piece = piece_of(p);
    const bool is_later = piece && !piece->is_first;
    return fmt::format("interface {}{}", stack_.interfaces[p.interface].name,
                       is_later ? ", " + describe(p) : std::string());
  }

 private:
  enum : uint16_t { kNoFirst, kTooMany, kHeld, kGone };

  // What a later fragment is said to belong to.
  std::string describe(const Packet& p) const {
    Transport t{.protocol = protocol_of(p)};
    read_note(p.flow_hash, t);
    if (!is_message(t.protocol)) {
      return fmt::format("ports {} {}", t.source_port, t.destination_port);
    }
    return fmt::format("icmp type {} code {}{}", t.source_port, t.destination_port,
                       t.echo_id ? fmt::format(" id {}", *t.echo_id) : std::string());
  }
  struct Flow {
    Instant expires{};
    bool is_known = false;
    uint32_t note = 0;
    uint8_t protocol = 0;  // When it has ports.
    std::vector<PacketPtr> held;
    std::list<FragmentKey>::iterator by_age;
  };

  static bool has_extension(Packet& p) { return net::Ip6View::is_extension(ip_of(p)[6]); }
  std::optional<Piece> piece_of(const Packet& p) const {
    const uint16_t vrf = stack_.vrf_of(p);
    return is_ip6_ ? piece6_of(p, vrf) : piece4_of(p, vrf);
  }
  uint8_t protocol_of(const Packet& p) const {
    const auto head = p.head().subspan(p.l3_offset);
    if (!is_ip6_) return head[9];
    net::Ip6Extensions e;
    const auto ip = net::Ip6View::parse_quoted(head);
    return ip && !ip->extensions(e) ? protocol_of_later(p, e) : net::kIp6NoNextHeader;
  }

  Flow& flow_of(const FragmentKey& key) {
    auto it = flows_.find(key);
    if (it == flows_.end()) {
      if (flows_.size() >= kMaxFlows) forget_oldest();
      it = flows_.emplace(key, Flow{}).first;
      it->second.by_age = ages_.insert(ages_.end(), key);
      it->second.expires = stack_.loop.now() + kLifetime;
      if (!timer_.is_armed()) timer_.arm(it->second.expires);
    }
    return it->second;
  }

  void take_first(Batch& batch, uint32_t i, const FragmentKey& key) {
    const auto t = is_ip6_ ? transport6_of(batch[i]) : transport_of(batch[i]);
    Flow& flow = flow_of(key);
    flow.is_known = true;
    flow.note = t ? note_of(*t) : 0;
    flow.protocol = t ? t->protocol : net::kIp6NoNextHeader;
    // In order: the first, then those that were early.
    PacketPtr first = batch.take(i);
    const graph::Arc to = next(*first);
    batch.emit(std::move(first), to);
    for (PacketPtr& held : std::exchange(flow.held, {})) {
      note(*held, flow);
      const graph::Arc on = next(*held);
      batch.emit(std::move(held), on);
    }
  }
  void take_later(Batch& batch, uint32_t i, const FragmentKey& key) {
    Packet& p = batch[i];
    Flow& flow = flow_of(key);
    if (flow.is_known) {
      note(p, flow);
      const graph::Arc to = next(p);
      batch.emit(batch.take(i), to);  // Not to be overtaken by those that waited.
    } else if (flow.held.size() >= kMaxHeld) {
      batch.drop(i, kTooMany);
    } else {
      batch.count(kHeld);
      flow.held.push_back(batch.take(i));
    }
  }

  static void note(Packet& later, const Flow& flow) {
    later.flow_hash = flow.note;
    later.icmp_note = flow.protocol;
  }
  void forget_oldest() {
    const auto it = flows_.find(ages_.front());
    for (PacketPtr& p : it->second.held) stack_.graph.drop(index(), kNoFirst, std::move(p));
    flows_.erase(it);
    ages_.pop_front();
  }
  void expire() {
    while (!ages_.empty() && flows_.find(ages_.front())->second.expires <= stack_.loop.now()) {
      forget_oldest();
    }
    if (!ages_.empty()) timer_.arm(flows_.find(ages_.front())->second.expires);
    stack_.graph.run();
  }

  bool is_ip6_;
  std::unordered_map<FragmentKey, Flow, FragmentHash> flows_;
  std::list<FragmentKey> ages_;
  Timer timer_;
};

}  // namespace

void want_shallow_reassembly(Stack& stack, uint16_t interface, bool input, ShallowUser user,
                             bool on) {
  uint8_t& users = stack.interfaces[interface].shallow_users[input ? 0 : 1];
  const auto bit = static_cast<uint8_t>(user);
  users = static_cast<uint8_t>(on ? users | bit : users & ~bit);
  set_feature(stack, interface, input ? FeatureArc::Ip4Input : FeatureArc::Ip4Output,
              input ? "ip4-sv-reassembly" : "ip4-output-sv-reassembly", users != 0);
  const bool is_listed = (users & static_cast<uint8_t>(ShallowUser::Acl)) != 0;
  set_feature(stack, interface, input ? FeatureArc::Ip6Input : FeatureArc::Ip6Output,
              input ? "ip6-sv-reassembly" : "ip6-output-sv-reassembly", is_listed);
}

void add_shallow_reassembly_nodes(Stack& stack) {
  auto add = [&stack](FeatureArc arc, const char* name) {
    stack.graph.add(std::make_unique<ShallowReassembly>(stack, arc, name));
  };
  add(FeatureArc::Ip4Input, "ip4-sv-reassembly");
  add(FeatureArc::Ip6Input, "ip6-sv-reassembly");
  add(FeatureArc::Ip4Output, "ip4-output-sv-reassembly");
  add(FeatureArc::Ip6Output, "ip6-output-sv-reassembly");
}

}  // namespace wh::vnet
