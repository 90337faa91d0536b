#include "vnet/router_advertisements.h"

#include <algorithm>

#include "net/wire/describe.h"
#include "vnet/bridge.h"
#include "vnet/nd_message.h"
#include "vnet/nodes.h"

namespace wh::vnet {

using graph::Batch;
using graph::Severity;
using net::Ip6;
using net::Packet;

namespace {

// RFC 4861 section 10.
constexpr int kInitial = 3;
constexpr Duration kInitialInterval = 16s, kMinDelay = 3s, kMaxAnswerDelay = 500ms;
// Of a prefix that an interface's address has (RFC 4861 section 6.2.1).
constexpr std::chrono::seconds kValid{2'592'000}, kPreferred{604'800};

}  // namespace

struct RouterAdvertiser::Sender {
  Sender(RouterAdvertiser& owner, uint16_t index)
      : interface(index), timer(owner.stack_.loop, [this, &owner] { owner.tick(*this); }) {}
  uint16_t interface;
  RouterAdvertisementConfig config;
  int initial_left = kInitial;
  bool ever_sent = false;
  Instant last_sent{};
  uint64_t sent = 0, solicited = 0;
  Timer timer;
};

RouterAdvertiser::RouterAdvertiser(Stack& stack)
    : stack_(stack), random_(stack.random.fork("router-advertisements")) {}

RouterAdvertiser::~RouterAdvertiser() = default;

Result<void> RouterAdvertiser::enable(uint16_t interface, RouterAdvertisementConfig config) {
  InterfaceEntry& entry = *TRY(stack_.interfaces.attached(interface));
  TRY(stack_.bridges->check_routed(interface, "router advertisements"));
  if (config.max_interval < 4s || config.max_interval > 1800s) {
    return fail("router advertisements on {}: interval out of 4s..1800s", entry.name);
  }
  if (config.lifetime < 0s || config.lifetime > 9000s ||
      (config.lifetime != 0s && config.lifetime < config.max_interval)) {
    return fail("router advertisements on {}: lifetime; accepted: 0, or the interval up to 9000s",
                entry.name);
  }
  if (config.prefixes.size() > net::RouterAdvertisement::kMaxPrefixes) {
    return fail("router advertisements on {}: at most {} prefixes", entry.name,
                net::RouterAdvertisement::kMaxPrefixes);
  }
  for (const net::PrefixInformation& p : config.prefixes) {
    if (!p.prefix.is_link_local() && !p.prefix.is_multicast()) continue;
    return fail("router advertisements on {}: prefix {} is no host's to use (RFC 4861 4.6.2)",
                entry.name, to_string(net::Prefix{p.prefix, p.length}));
  }
  auto& sender = senders_[interface];
  if (sender == nullptr) sender = std::make_unique<Sender>(*this, interface);
  sender->config = std::move(config);
  send_soon(*sender);
  return {};
}

Result<void> RouterAdvertiser::disable(uint16_t interface) {
  const auto it = senders_.find(interface);
  if (it == senders_.end()) return fail("interface {}: no router advertisements", interface);
  going_down(interface);
  senders_.erase(interface);
  return {};
}

void RouterAdvertiser::going_down(uint16_t interface) {
  const auto it = senders_.find(interface);
  if (it == senders_.end() || !may_send(*it->second) || !it->second->ever_sent) return;
  send(*it->second, true);
  stack_.graph.run();
}

void RouterAdvertiser::came_up(uint16_t interface) {
  const auto it = senders_.find(interface);
  if (it == senders_.end()) return;
  it->second->initial_left = kInitial;
  send_soon(*it->second);
}

void RouterAdvertiser::send_soon(Sender& sender) {
  Instant when = stack_.loop.now() + kMaxAnswerDelay;
  if (sender.ever_sent) when = std::max(when, sender.last_sent + kMinDelay);
  sender.timer.arm(when);
}

bool RouterAdvertiser::may_send(const Sender& sender) const {
  const InterfaceEntry& entry = stack_.interfaces[sender.interface];
  return stack_.handoff == nullptr && stack_.settings.ip6_forwarding != 0 && entry.is_up() &&
         entry.link_local() != nullptr;
}

bool RouterAdvertiser::solicited(uint16_t interface) {
  const auto it = senders_.find(interface);
  if (it == senders_.end()) return false;
  Sender& sender = *it->second;
  ++sender.solicited;
  const auto delay =
      Duration(static_cast<int64_t>(random_.below(uint64_t(kMaxAnswerDelay.count()))));
  Instant when = stack_.loop.now() + delay;
  if (sender.ever_sent) when = std::max(when, sender.last_sent + kMinDelay);
  sender.timer.arm(std::min(when, sender.timer.deadline()));
  return true;
}

void RouterAdvertiser::tick(Sender& sender) {
  if (may_send(sender)) send(sender, false);
  // RFC 4861 section 6.2.1 has MinRtrAdvInterval no less than 3 s.
  const Duration most = sender.config.max_interval, least = std::max<Duration>(most / 3, kMinDelay);
  Duration next(
      static_cast<int64_t>(random_.between(uint64_t(least.count()), uint64_t(most.count()))));
  if (sender.initial_left > 0) {
    --sender.initial_left;
    next = std::min<Duration>(next, kInitialInterval);
  }
  sender.timer.arm(stack_.loop.now() + next);
  stack_.graph.run();
}

void RouterAdvertiser::send(Sender& sender, bool last) {
  const InterfaceEntry& entry = stack_.interfaces[sender.interface];
  const RouterAdvertisementConfig& config = sender.config;
  net::PacketPtr p = stack_.pool.allocate();
  if (p == nullptr) return;  // The pool counts it; the next is soon.
  net::RouterAdvertisement m{.hop_limit = static_cast<uint8_t>(stack_.settings.ip6_hlim),
                             .managed = config.managed,
                             .other_config = config.other,
                             .source_mac = entry.device->mac()};
  if (!last) m.router_lifetime = std::chrono::duration_cast<std::chrono::seconds>(config.lifetime);
  if (config.send_mtu) m.mtu = entry.mtu();
  auto add = [&](const net::PrefixInformation& prefix) {
    if (m.prefix_count < net::RouterAdvertisement::kMaxPrefixes) {
      m.prefixes[m.prefix_count++] = prefix;
    }
  };
  for (const net::PrefixInformation& prefix : config.prefixes) add(prefix);
  if (config.prefixes.empty()) {
    for (const InterfaceAddress& a : entry.addresses) {
      if (a.prefix.address.is_v4() || a.prefix.address.v6().is_link_local()) continue;
      add({.prefix = a.prefix.network().address.v6(),
           .length = a.prefix.length,
           .on_link = true,
           .autonomous = a.prefix.length == 64,
           .valid_lifetime = kValid,
           .preferred_lifetime = kPreferred});
    }
  }
  write_discovery(*p, m, *entry.link_local(), all_nodes(), entry.device->mac(),
                  multicast_mac(all_nodes()));
  p->interface = sender.interface;
  sender.ever_sent = true;
  sender.last_sent = stack_.loop.now();
  ++sender.sent;
  stack_.graph.enqueue(stack_.node.interface_output, std::move(p));
}

std::vector<RouterAdvertiser::Row> RouterAdvertiser::rows() const {
  std::vector<Row> all;
  for (const auto& [interface, s] : senders_) {
    all.push_back({interface, s->config, s->sent, s->solicited});
  }
  return all;
}

namespace {

class RouterSolicitationNode final : public graph::Node {
 public:
  explicit RouterSolicitationNode(Stack& stack)
      : Node({.name = "icmp6-router-solicitation",
              .errors = {{"invalid", Severity::Error, "router solicitation invalid"},
                         {"not_router", Severity::Info, "router solicitations not for a host"},
                         {"heard", Severity::Info, "router solicitations received"}}}),
        stack_(stack) {}

  void process(Batch& batch) override {
    for (uint32_t i = 0; i < batch.size(); ++i) {
      Packet& p = batch[i];
      const auto message =
          net::Icmp6View::parse(p.head().subspan(p.l4_offset))->router_solicitation();
      Ip6 from;
      std::memcpy(from.bytes.data(), p.data() + 8, 16);
      // RFC 4861 section 6.1.1.
      if (p.data()[7] != 255 || p.data()[p.l4_offset + 1] != 0 ||
          (from.is_unspecified() && message.source_mac)) {
        batch.drop(i, kInvalid);
      } else if (stack_.settings.ip6_forwarding == 0 ||
                 !stack_.advertiser->solicited(p.interface)) {
        batch.drop(i, kNotRouter);
      } else {
        batch.count(kHeard);
        batch.take(i);
      }
    }
  }
  std::string account(const Packet& p) const override { return net::describe_ip(p); }

 private:
  enum : uint16_t { kInvalid, kNotRouter, kHeard };
  Stack& stack_;
};

}  // namespace

void add_router_advertisement_nodes(Stack& stack) {
  stack.advertiser = std::make_unique<RouterAdvertiser>(stack);
  stack.graph.add(std::make_unique<RouterSolicitationNode>(stack));
}

}  // namespace wh::vnet
