#include "vnet/acl.h"

#include <algorithm>

#include "net/wire/describe.h"
#include "net/wire/icmp.h"
#include "net/wire/icmp6.h"
#include "net/wire/ip6.h"
#include "vnet/acl_search.h"
#include "vnet/address_hash.h"
#include "vnet/bridge.h"
#include "vnet/feature_node.h"
#include "vnet/replica.h"
#include "vnet/shallow_reassembly.h"

namespace wh::vnet {

using graph::Batch;
using graph::Severity;
using net::Family;
using net::IpAddress;
using net::Packet;

namespace {

constexpr uint8_t kFin = 1, kSyn = 2, kRst = 4;
// As VPP's and most firewalls have it; RFC 5382 and RFC 4787 ask for at least so much of a NAT.
constexpr SessionAges::IdleTimes kIdle = {30s, 120s, 86400s};  // TCP opened or closed, open.

bool is_icmp(uint8_t protocol) {
  return protocol == net::kProtocolIcmp || protocol == net::kProtocolIcmp6;
}

enum class IcmpPart : uint8_t { Request, Reply, Error, Other };
IcmpPart part_of(uint8_t protocol, uint16_t type) {
  if (protocol == net::kProtocolIcmp) {
    switch (static_cast<net::IcmpType>(type)) {
      case net::IcmpType::Echo: return IcmpPart::Request;
      case net::IcmpType::EchoReply: return IcmpPart::Reply;
      case net::IcmpType::Unreachable:
      case net::IcmpType::TimeExceeded:
      case net::IcmpType::ParameterProblem: return IcmpPart::Error;
      default: return IcmpPart::Other;  // A redirect is for a first hop, and passes no router.
    }
  }
  switch (static_cast<net::Icmp6Type>(type)) {
    case net::Icmp6Type::Echo: return IcmpPart::Request;
    case net::Icmp6Type::EchoReply: return IcmpPart::Reply;
    case net::Icmp6Type::Unreachable:
    case net::Icmp6Type::PacketTooBig:
    case net::Icmp6Type::TimeExceeded:
    case net::Icmp6Type::ParameterProblem: return IcmpPart::Error;
    default: return IcmpPart::Other;
  }
}

bool has_port_fields(uint8_t protocol) {
  return protocol == net::kProtocolTcp || protocol == net::kProtocolUdp ||
         protocol == net::kProtocolIcmp || protocol == net::kProtocolIcmp6;
}

}  // namespace

bool matches(const AclRule& rule, const AclKey& key) {
  if (rule.source.address.family != key.source.family) return false;
  if (rule.protocol != 0 && rule.protocol != key.protocol) return false;
  if (!rule.source.contains(key.source) || !rule.destination.contains(key.destination))
    return false;
  const bool asks_ports = rule.source_ports != PortRange{} ||
                          rule.destination_ports != PortRange{} || rule.tcp_mask != 0;
  if (!asks_ports) return true;
  return key.has_ports && rule.source_ports.contains(key.source_port) &&
         rule.destination_ports.contains(key.destination_port) &&
         (key.tcp_flags & rule.tcp_mask) == rule.tcp_flags;
}

AclTable::AclTable(Stack& stack)
    : stack_(stack),
      ages_(stack.loop, kIdle, kMaxSessions,
            [this](SessionAges::Session& s) {
              sessions_.erase(sessions_.find(*static_cast<SessionState&>(s).flow));
            }),
      sessions_(0, SessionHash{SipKey::draw(stack.random.fork("acl sessions"))}) {}
AclTable::~AclTable() = default;

// --- lists ---

Result<void> AclTable::check(const std::vector<AclRule>& rules, size_t replaced) const {
  size_t total = rules.size();
  for (const auto& [id, list] : lists_) total += list.rules.size();
  if (total - replaced > kMaxRules) return fail("at most {} rules in all lists", kMaxRules);
  for (size_t i = 0; i < rules.size(); ++i) {
    const AclRule& r = rules[i];
    if (r.source.address.family != r.destination.address.family) {
      return fail("rule {}: source and destination of two families", i);
    }
    const bool asks_ports = r.source_ports != PortRange{} || r.destination_ports != PortRange{};
    if (asks_ports && !has_port_fields(r.protocol)) {
      return fail("rule {}: protocol {} has no ports", i, r.protocol);
    }
    if (r.source_ports.first > r.source_ports.last ||
        r.destination_ports.first > r.destination_ports.last) {
      return fail("rule {}: a port range that ends before it begins", i);
    }
    if (r.tcp_mask != 0 && r.protocol != net::kProtocolTcp) {
      return fail("rule {}: TCP flags of protocol {}", i, r.protocol);
    }
    if ((r.tcp_flags & ~r.tcp_mask) != 0) return fail("rule {}: TCP flags beyond their mask", i);
  }
  return {};
}

Result<uint32_t> AclTable::add(std::vector<AclRule> rules, std::string tag) {
  TRY(check(rules, 0));
  uint32_t id = 0;
  while (lists_.count(id) != 0) ++id;
  searches_[id] = std::make_unique<AclSearch>(rules);
  const size_t size = rules.size();
  lists_[id] = {std::move(tag), std::move(rules), std::vector<uint64_t>(size)};
  note_shared_state(stack_);
  return id;
}

Result<void> AclTable::replace(uint32_t acl, std::vector<AclRule> rules, std::string tag) {
  if (lists_.count(acl) == 0) return fail("no acl {}", acl);
  return put(acl, std::move(rules), std::move(tag));
}

Result<void> AclTable::put(uint32_t acl, std::vector<AclRule> rules, std::string tag) {
  const auto it = lists_.find(acl);
  TRY(check(rules, it == lists_.end() ? 0 : it->second.rules.size()));
  searches_[acl] = std::make_unique<AclSearch>(rules);
  const size_t size = rules.size();
  lists_[acl] = {std::move(tag), std::move(rules), std::vector<uint64_t>(size)};
  note_shared_state(stack_);
  return {};
}

Result<void> AclTable::remove(uint32_t acl) {
  if (lists_.count(acl) == 0) return fail("no acl {}", acl);
  for (uint16_t i = 0; i < bound_.size(); ++i) {
    for (const auto& acls : bound_[i]) {
      if (std::find(acls.begin(), acls.end(), acl) != acls.end()) {
        return fail("acl {}: interface {} uses it", acl, stack_.interfaces[i].name);
      }
    }
  }
  lists_.erase(acl);
  searches_.erase(acl);
  note_shared_state(stack_);
  return {};
}

Result<void> AclTable::bind(uint16_t interface, Side side, std::vector<uint32_t> acls) {
  TRY(stack_.interfaces.attached(interface));
  for (const uint32_t acl : acls) {
    if (lists_.count(acl) == 0) return fail("no acl {}", acl);
  }
  if (!acls.empty()) TRY(stack_.bridges->check_routed(interface, "access lists"));
  if (bound_.size() <= interface) bound_.resize(interface + 1u);
  const bool on = !acls.empty();
  bound_[interface][side] = std::move(acls);
  const bool in = side == kInput;
  set_feature(stack_, interface, in ? FeatureArc::Ip4Input : FeatureArc::Ip4Output,
              in ? "ip4-acl-input" : "ip4-acl-output", on);
  set_feature(stack_, interface, in ? FeatureArc::Ip6Input : FeatureArc::Ip6Output,
              in ? "ip6-acl-input" : "ip6-acl-output", on);
  want_shallow_reassembly(stack_, interface, in, ShallowUser::Acl, on);
  return {};
}

void AclTable::forget(uint16_t interface) {
  if (interface >= bound_.size()) return;
  (void)bind(interface, kInput, {});  // It is still attached, and no list can be wrong.
  (void)bind(interface, kOutput, {});
  ages_.end_groups([&](uint64_t group) { return group == interface; });
}

const std::vector<uint32_t>& AclTable::bound(uint16_t interface, Side side) const {
  static const std::vector<uint32_t> kNone;
  return interface < bound_.size() ? bound_[interface][side] : kNone;
}

// --- sessions ---

size_t AclTable::SessionHash::operator()(const AclSession& s) const {
  return address_hash(key, s.a, s.b,
                      uint64_t{s.interface} << 48 | uint64_t{s.a_port} << 32 |
                          uint64_t{s.b_port} << 16 | uint64_t{s.b_asks} << 8 | s.protocol);
}

// Nothing for what is no flow: ICMP other than echo.
std::optional<AclSession> AclTable::session_of(uint16_t interface, const AclKey& key) {
  AclSession s{interface, key.source, key.destination, 0, 0, false, key.protocol};
  bool source_asks = false;
  if (is_icmp(key.protocol) && key.has_ports) {
    const IcmpPart part = part_of(key.protocol, key.source_port);
    if (part != IcmpPart::Request && part != IcmpPart::Reply) return std::nullopt;
    source_asks = part == IcmpPart::Request;
    (source_asks ? s.a_port : s.b_port) = key.echo_id;
  } else if (key.protocol == net::kProtocolTcp || key.protocol == net::kProtocolUdp) {
    s.a_port = key.source_port;
    s.b_port = key.destination_port;
  } else if (is_icmp(key.protocol)) {
    s.a_port = s.b_port = 0xffff;  // Later fragments of IPv6, a flow that no echo has.
  }
  const bool swaps = std::tie(s.b, s.b_port) < std::tie(s.a, s.a_port);
  if (swaps) {
    std::swap(s.a, s.b);
    std::swap(s.a_port, s.b_port);
  }
  s.b_asks = is_icmp(key.protocol) && key.has_ports && source_asks == swaps;
  return s;
}

// Whether an ICMP error tells the sender of a session's packet of it. The session gets no younger:
// whoever can make an error up keeps no hole open by it.
bool AclTable::is_about_session(uint16_t interface, const AclKey& key) const {
  if (!key.quote || key.quote->source != key.destination) return false;
  const AclQuote& q = *key.quote;
  const auto session = session_of(interface, {q.source, q.destination, q.protocol, 0, true,
                                              q.source_port, q.destination_port, q.echo_id});
  if (!session) return false;
  const auto it = sessions_.find(*session);
  return it != sessions_.end() && !ages_.has_ended(it->second);
}

uint8_t AclTable::kind_of(SessionState& state, const AclKey& key) {
  if (key.protocol != net::kProtocolTcp) return kOther;
  state.flags_seen =
      static_cast<uint8_t>(state.flags_seen | (key.tcp_flags & (kFin | kSyn | kRst)));
  const bool is_open = (state.flags_seen & (kFin | kRst)) == 0 && (key.tcp_flags & kSyn) == 0;
  return is_open ? kTcpOpen : kTcpOpening;
}

bool AclTable::pass_session(const AclSession& session, const AclKey& key) {
  const auto it = sessions_.find(session);
  if (it == sessions_.end() || ages_.has_ended(it->second)) return false;
  ages_.touch(it->second, kind_of(it->second, key));
  return true;
}

// REQUIRES: there is none that has not ended.
void AclTable::add_session(const AclSession& session, const AclKey& key) {
  if (const auto it = sessions_.find(session); it != sessions_.end()) ages_.erase(it->second);
  if (!ages_.make_room()) {
    ages_.erase_longest_idle();
    ++evicted_;
  }
  const auto it = sessions_.try_emplace(session).first;
  it->second.flow = &it->first;
  ages_.add(it->second, session.interface, kind_of(it->second, key));
}

void AclTable::clear_sessions() {
  ages_.end_groups([](uint64_t) { return true; });
}

AclTable::Verdict AclTable::judge(uint16_t interface, Side side, const AclKey& key) {
  const auto session = session_of(interface, key);
  if (!sessions_.empty()) {
    const bool is_known = session ? pass_session(*session, key) : is_about_session(interface, key);
    if (is_known) return Verdict::Session;
  }
  for (const uint32_t acl : bound_[interface][side]) {
    List& list = lists_[acl];
    const size_t i = searches_[acl]->first_match(list.rules, key);
    if (i == list.rules.size()) continue;
    ++list.hits[i];
    if (list.rules[i].action == AclAction::Deny) return Verdict::DenyRule;
    // What answers another packet has no answer to let pass.
    const bool is_reply = is_icmp(key.protocol) && key.has_ports &&
                          part_of(key.protocol, key.source_port) == IcmpPart::Reply;
    if (list.rules[i].action == AclAction::Reflect && session && !is_reply) {
      add_session(*session, key);
    }
    return Verdict::Permit;
  }
  return Verdict::DenyEnd;
}

// --- the nodes ---

namespace {

class AclNode final : public FeatureNode {
 public:
  AclNode(Stack& stack, FeatureArc arc, const std::string& name, AclTable::Side side, Family family)
      : FeatureNode(stack, arc, name,
                    {{"denied", Severity::Warning, "acl deny rule"},
                     {"no_rule", Severity::Warning, "acl without a rule for the packet"},
                     {"unreadable", Severity::Error, "acl cannot read the headers"},
                     {"session", Severity::Info, "packets of known sessions"},
                     {"tiny_fragment", Severity::Error, "acl tiny fragment of tcp"}}),
        side_(side),
        family_(family) {}

  void process(Batch& batch) override {
    for (uint32_t i = 0; i < batch.size(); ++i) {
      Packet& p = batch[i];
      AclKey key;
      const uint16_t fault = family_ == Family::V4 ? read4(p, key) : read6(p, key);
      if (fault != kReadable) {
        batch.drop(i, fault);
        continue;
      }
      switch (stack_.acls->judge(p.interface, side_, key)) {
        case AclTable::Verdict::Session: batch.count(kSession); [[fallthrough]];
        case AclTable::Verdict::Permit: batch.send(i, next(p)); break;
        case AclTable::Verdict::DenyRule: batch.drop(i, kDenied); break;
        case AclTable::Verdict::DenyEnd: batch.drop(i, kNoRule); break;
      }
    }
  }
  std::string account(const Packet& p) const override {
    return fmt::format("interface {}, {} bytes", stack_.interfaces[p.interface].name, p.size());
  }

 private:
  enum : uint16_t {
    kDenied,
    kNoRule,
    kUnreadable,
    kSession,
    kTinyFragment,
    kReadable = 0xffff,  // No reason to drop it.
  };

  // A fragment of TCP that hides its flags from a filter: a first one that ends before them (RFC
  // 1858 section 3), or one that overwrites them (RFC 3128). Nobody makes these to a good end.
  static bool is_tiny(uint32_t offset, uint32_t payload) {
    constexpr uint32_t kLeastFirst = 16;
    return offset == 8 || (offset == 0 && payload < kLeastFirst);
  }
  static bool is_error(const Transport& l4) {
    return l4.is_first && is_icmp(l4.protocol) &&
           part_of(l4.protocol, l4.source_port) == IcmpPart::Error;
  }
  static void set_transport(AclKey& key, const Transport& l4) {
    key.has_ports = true;
    key.protocol = l4.protocol;
    key.source_port = l4.source_port;
    key.destination_port = l4.destination_port;
    key.tcp_flags = l4.tcp_flags;
    key.echo_id = l4.echo_id.value_or(0);
  }
  static uint16_t read4(Packet& p, AclKey& key) {
    const uint8_t* ip = ip_of(p);
    const uint16_t fragment = net::load16(ip + 6);
    if ((fragment & 0x3fff) != 0 && ip[9] == net::kProtocolTcp &&
        is_tiny((fragment & 0x1fff) * 8u, net::load16(ip + 2) - (ip[0] & 15u) * 4)) {
      return kTinyFragment;
    }
    key = {net::Ip4{net::load32(ip + 12)}, net::Ip4{net::load32(ip + 16)}, ip[9]};
    if (const auto l4 = transport_of(p)) {
      set_transport(key, *l4);
      if (is_error(*l4)) key.quote = quote4(p, l4->offset + net::IcmpHeader::kSize);
    }
    return kReadable;
  }
  static std::optional<AclQuote> quote4(Packet& p, uint32_t at) {
    pullup_most(p, at + net::Ip4Header::kMaxSize + 8);
    if (p.head_size() < at) return std::nullopt;
    const auto ip = net::Ip4View::parse_quoted(p.head().subspan(at));
    if (!ip || ip->fragment_offset() != 0) return std::nullopt;
    return quote_of({ip->source(), ip->destination(), ip->protocol()}, p, at + ip->header_size());
  }
  static std::optional<AclQuote> quote6(Packet& p, uint32_t at) {
    pullup_most(p, at + net::Ip6Header::kSize + 64 + 8);
    if (p.head_size() < at) return std::nullopt;
    const auto ip = net::Ip6View::parse_quoted(p.head().subspan(at));
    net::Ip6Extensions e;
    if (!ip || ip->extensions(e) || (e.has_fragment() && e.fragment.offset != 0)) {
      return std::nullopt;
    }
    return quote_of({ip->source(), ip->destination(), e.protocol}, p, at + e.offset);
  }
  // With what the 8 bytes of its transport that are always quoted say.
  static std::optional<AclQuote> quote_of(AclQuote quote, const Packet& p, uint32_t at) {
    if (!has_port_fields(quote.protocol)) return quote;
    if (p.head_size() < at + 8) return std::nullopt;
    const uint8_t* l4 = p.data() + at;
    const bool is_icmp_quoted = is_icmp(quote.protocol);
    quote.source_port = is_icmp_quoted ? l4[0] : net::load16(l4);
    quote.destination_port = is_icmp_quoted ? l4[1] : net::load16(l4 + 2);
    if (is_icmp_quoted) quote.echo_id = net::load16(l4 + 4);
    return quote;
  }
  // What cannot be judged does not pass, be it that the chain of headers cannot be read.
  static uint16_t read6(Packet& p, AclKey& key) {
    const uint32_t at = p.l3_offset;
    pullup_most(p, at + 40 + 8 + 20);
    auto ip = net::Ip6View::parse_quoted(p.head().subspan(at));
    if (!ip) return kUnreadable;
    net::Ip6Extensions e;
    if (net::Ip6View::is_extension(ip->next_header())) {
      pullup_most(p, p.size());
      ip = net::Ip6View::parse_quoted(p.head().subspan(at));
    }
    if (ip->extensions(e)) return kUnreadable;
    const bool is_fragment = e.has_fragment() && !e.fragment.is_atomic();
    if (is_fragment && e.protocol == net::kProtocolTcp &&
        is_tiny(e.fragment.offset, ip->total_length() - e.offset)) {
      return kTinyFragment;
    }
    key = {ip->source(), ip->destination(), e.protocol};
    if (const auto l4 = transport_of(p, e)) {
      set_transport(key, *l4);
      if (is_error(*l4)) key.quote = quote6(p, l4->offset + net::Icmp6Header::kSize);
    }
    return kReadable;
  }
  AclTable::Side side_;
  Family family_;
};

}  // namespace

void add_acl_nodes(Stack& stack) {
  stack.acls = std::make_unique<AclTable>(stack);
  auto add = [&stack](FeatureArc arc, const char* name, AclTable::Side side, Family family) {
    stack.graph.add(std::make_unique<AclNode>(stack, arc, name, side, family));
  };
  add(FeatureArc::Ip4Input, "ip4-acl-input", AclTable::kInput, Family::V4);
  add(FeatureArc::Ip6Input, "ip6-acl-input", AclTable::kInput, Family::V6);
  add(FeatureArc::Ip4Output, "ip4-acl-output", AclTable::kOutput, Family::V4);
  add(FeatureArc::Ip6Output, "ip6-acl-output", AclTable::kOutput, Family::V6);
}

}  // namespace wh::vnet
