// Access lists: which packets an interface lets in and out.
//
//   acl 0: permit+reflect src 10.0.0.0/8 proto tcp dport 80-443
//          deny   src 0.0.0.0/0
//   interface eth0: input acls 0, 3; output acl 5
//
// A packet is held against the rules of the side's lists in their order; the first that matches
// says what happens, and when none does it is dropped. `reflect` also lets the answers pass: it
// makes a session, by which packets of the same flow pass that interface in both directions without
// being held against rules. Sessions end by idleness (TCP ones that were closed sooner than open
// ones); the table has a bound, and when it is full the session longest idle makes room, counted.
// Of ICMP an echo request makes a session: more of its identifier pass the same way, and replies
// the other; nothing else of ICMP makes one. An ICMP error passes when what it quotes is of a
// session and came from where the error goes.
//
// Fragments have no ports to be seen but in the first; ip4-sv-reassembly and ip6-sv-reassembly,
// enabled with the lists, tell the others'. Fragments of TCP that are cut so that its flags escape
// a filter (RFC 1858, RFC 3128) are dropped.
// A long list is searched by its rules' shapes (vnet/acl_search.h), not rule after rule.
#pragma once

#include <array>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <unordered_map>
#include <vector>

#include "core/result.h"
#include "core/siphash.h"
#include "net/address.h"
#include "vnet/session_ages.h"

namespace wh::vnet {

struct Stack;

enum class AclAction : uint8_t { Deny, Permit, Reflect };

struct PortRange {
  uint16_t first = 0, last = 0xffff;
  bool contains(uint16_t port) const { return first <= port && port <= last; }
  bool operator==(const PortRange&) const = default;
};

struct AclRule {
  AclAction action = AclAction::Deny;
  net::Prefix source{}, destination{};            // Of one family, which is the rule's.
  uint8_t protocol = 0;                           // 0: any.
  PortRange source_ports{}, destination_ports{};  // For ICMP: types and codes.
  uint8_t tcp_flags = 0, tcp_mask = 0;            // Flags under the mask must be these.
  bool operator==(const AclRule&) const = default;
};

// The packet that an ICMP error quotes.
struct AclQuote {
  net::IpAddress source, destination;
  uint8_t protocol = 0;
  uint16_t source_port = 0, destination_port = 0;  // For ICMP: type and code.
  uint16_t echo_id = 0;
};

// What rules and sessions look at.
struct AclKey {
  net::IpAddress source, destination;
  uint8_t protocol = 0;
  uint8_t tcp_flags = 0;
  bool has_ports = false;
  uint16_t source_port = 0, destination_port = 0;  // For ICMP: type and code.
  uint16_t echo_id = 0;                            // Of an ICMP echo or its reply.
  std::optional<AclQuote> quote = {};              // Of an ICMP error, when it can be read.
};

bool matches(const AclRule& rule, const AclKey& key);

struct AclSession {
  uint16_t interface = 0;
  net::IpAddress a, b;  // The flow's ends, the smaller first.
  // An ICMP session has its echo identifier at the end that asks, and 0 at the one that answers.
  uint16_t a_port = 0, b_port = 0;
  bool b_asks = false;  // ICMP's only.
  uint8_t protocol = 0;
  bool operator==(const AclSession&) const = default;
};

class AclSearch;

class AclTable {
 public:
  static constexpr size_t kMaxRules = 65'536;  // In all lists.
  static constexpr size_t kMaxSessions = 65'536;
  enum Side : uint8_t { kInput, kOutput };

  explicit AclTable(Stack& stack);
  ~AclTable();

  // A new list, or another content for one that is there; its number. Errors name the rule: two
  // families, ports of a protocol that has none, a range that ends before it begins, flags of no
  // TCP; no such list; too many rules.
  Result<uint32_t> add(std::vector<AclRule> rules, std::string tag = {});
  Result<void> replace(uint32_t acl, std::vector<AclRule> rules, std::string tag = {});
  // A list of a given number, new or with another content. Errors: as add().
  Result<void> put(uint32_t acl, std::vector<AclRule> rules, std::string tag = {});
  // Errors: no such list; an interface uses it.
  Result<void> remove(uint32_t acl);
  // The lists of one side of an interface, in order; none turns it off. They judge what is routed.
  // Errors: no such interface or list; a bridge has it.
  Result<void> bind(uint16_t interface, Side side, std::vector<uint32_t> acls);
  void forget(uint16_t interface);  // It is detached.

  struct List {
    std::string tag;
    std::vector<AclRule> rules;
    std::vector<uint64_t> hits;  // Per rule.
  };
  const std::map<uint32_t, List>& lists() const { return lists_; }
  const std::vector<uint32_t>& bound(uint16_t interface, Side side) const;
  size_t sessions() const { return ages_.size(); }
  void clear_sessions();

  // What the nodes ask: whether a packet passes one side of an interface.
  enum class Verdict : uint8_t { Permit, Session, DenyRule, DenyEnd };
  Verdict judge(uint16_t interface, Side side, const AclKey& key);
  uint64_t evicted() const { return evicted_; }

 private:
  struct SessionHash {
    SipKey key;
    size_t operator()(const AclSession& s) const;
  };
  enum Kind : uint8_t { kOther, kTcpOpening, kTcpOpen };
  struct SessionState : SessionAges::Session {
    const AclSession* flow = nullptr;
    uint8_t flags_seen = 0;  // SYN, FIN and RST of both ways.
  };

  static std::optional<AclSession> session_of(uint16_t interface, const AclKey& key);
  bool pass_session(const AclSession& session, const AclKey& key);
  bool is_about_session(uint16_t interface, const AclKey& key) const;
  void add_session(const AclSession& session, const AclKey& key);
  // The kind of one that a packet passes by.
  static uint8_t kind_of(SessionState& state, const AclKey& key);
  Result<void> check(const std::vector<AclRule>& rules, size_t replaced) const;

  Stack& stack_;
  std::map<uint32_t, List> lists_;
  std::map<uint32_t, std::unique_ptr<AclSearch>> searches_;  // Of each list.
  std::vector<std::array<std::vector<uint32_t>, 2>> bound_;  // By interface and side.
  SessionAges ages_;  // Of sessions, in groups of an interface.
  std::unordered_map<AclSession, SessionState, SessionHash> sessions_;  // Strangers choose flows.
  uint64_t evicted_ = 0;
};

void add_acl_nodes(Stack& stack);  // ip4-acl-input and its three siblings; makes stack.acls

}  // namespace wh::vnet
