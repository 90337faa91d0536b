#include "vnet/policer.h"

#include <algorithm>

#include "net/wire/describe.h"
#include "net/wire/ip4.h"
#include "vnet/bridge.h"
#include "vnet/feature_node.h"

namespace wh::vnet {

using graph::Batch;
using graph::Severity;
using net::Packet;

// --- one policer ---

void Policer::Bucket::fill(double bytes, Bytes limit) {
  tokens = std::min(tokens + bytes, static_cast<double>(limit.count()));
}

Colour Policer::meter(uint32_t size, Instant now) {
  const bool two_rates = config_.peak.has_value();
  if (!started_) {
    started_ = true;
    committed_.tokens = static_cast<double>(config_.burst.count());
    excess_.tokens = static_cast<double>(config_.excess_burst.count());
  } else {
    const double elapsed = to_seconds(now - last_);
    double gain = elapsed * static_cast<double>(config_.rate.bps()) / 8;
    if (two_rates) {
      excess_.fill(elapsed * static_cast<double>(config_.peak->bps()) / 8, config_.excess_burst);
    } else {
      // What the first bucket has no room for goes to the second (RFC 2697 section 3).
      const double room = static_cast<double>(config_.burst.count()) - committed_.tokens;
      excess_.fill(std::max(0.0, gain - room), config_.excess_burst);
    }
    committed_.fill(gain, config_.burst);
  }
  last_ = now;
  const double bytes = size;
  if (two_rates) {  // RFC 2698 section 3, colour-blind.
    if (excess_.tokens < bytes) return Colour::Violate;
    excess_.tokens -= bytes;
    if (committed_.tokens < bytes) return Colour::Exceed;
    committed_.tokens -= bytes;
    return Colour::Conform;
  }
  if (committed_.tokens >= bytes) {
    committed_.tokens -= bytes;
    return Colour::Conform;
  }
  if (config_.excess_burst.count() == 0) return Colour::Exceed;
  if (excess_.tokens >= bytes) {
    excess_.tokens -= bytes;
    return Colour::Exceed;
  }
  return Colour::Violate;
}

// --- all of them ---

Result<void> PolicerTable::add(PolicerConfig config) {
  const std::string what = fmt::format("policer '{}'", config.name);
  if (config.name.empty()) return fail("policer: no name");
  if (by_name_.count(config.name) != 0) return fail("{}: there is one", what);
  if (by_name_.size() >= kMaxPolicers) return fail("{}: at most {}", what, kMaxPolicers);
  if (config.rate.bps() == 0) return fail("{}: rate 0", what);
  if (config.burst.count() == 0) return fail("{}: burst 0", what);
  if (config.peak) {
    if (config.peak->bps() < config.rate.bps()) {
      return fail("{}: the peak rate is below the rate", what);
    }
    if (config.excess_burst.count() == 0) return fail("{}: peak burst 0", what);
  }
  for (const PolicerAction& action : config.actions) {
    if (action.dscp && *action.dscp > 63) {
      return fail("{}: DSCP {}; accepted: 0..63", what, *action.dscp);
    }
  }
  std::string name = config.name;
  by_name_.emplace(std::move(name), std::make_unique<Policer>(std::move(config)));
  return {};
}

Result<void> PolicerTable::remove(std::string_view name) {
  const auto it = by_name_.find(name);
  if (it == by_name_.end()) return fail("no policer '{}'", name);
  if (it->second->bindings != 0) {
    return fail("policer '{}': bound to {} interfaces", name, it->second->bindings);
  }
  by_name_.erase(it);
  return {};
}

namespace {

void enable(Stack& stack, uint16_t interface, PolicerSide side, bool on) {
  const bool in = side == PolicerSide::Input;
  set_feature(stack, interface, in ? FeatureArc::Ip4Input : FeatureArc::Ip4Output,
              in ? "ip4-policer-input" : "ip4-policer-output", on);
  set_feature(stack, interface, in ? FeatureArc::Ip6Input : FeatureArc::Ip6Output,
              in ? "ip6-policer-input" : "ip6-policer-output", on);
}

}  // namespace

Result<void> PolicerTable::bind(uint16_t interface, PolicerSide side, std::string_view name) {
  const InterfaceEntry& entry = *TRY(stack_.interfaces.attached(interface));
  const auto it = by_name_.find(name);
  if (it == by_name_.end()) return fail("no policer '{}'", name);
  TRY(stack_.bridges->check_routed(interface, "a policer"));
  if (bound_.size() <= interface) bound_.resize(interface + 1u);
  Policer*& place = bound_[interface][static_cast<size_t>(side)];
  if (place != nullptr) {
    return fail("interface {}: policer '{}' is bound to it", entry.name, place->config().name);
  }
  place = it->second.get();
  ++place->bindings;
  enable(stack_, interface, side, true);
  return {};
}

Result<void> PolicerTable::unbind(uint16_t interface, PolicerSide side) {
  const InterfaceEntry& entry = *TRY(stack_.interfaces.attached(interface));
  if (!is_bound(interface, side)) {
    return fail("interface {}: no policer is bound to it", entry.name);
  }
  --std::exchange(bound_[interface][static_cast<size_t>(side)], nullptr)->bindings;
  enable(stack_, interface, side, false);
  return {};
}

void PolicerTable::forget(uint16_t interface) {
  for (const PolicerSide side : {PolicerSide::Input, PolicerSide::Output}) {
    (void)unbind(interface, side);  // Having none is as good.
  }
}

std::vector<const Policer*> PolicerTable::policers() const {
  std::vector<const Policer*> all;
  for (const auto& [name, policer] : by_name_) all.push_back(policer.get());
  return all;
}

std::vector<PolicerTable::Binding> PolicerTable::bindings() const {
  std::vector<Binding> all;
  for (uint16_t i = 0; i < bound_.size(); ++i) {
    for (const PolicerSide side : {PolicerSide::Input, PolicerSide::Output}) {
      if (const Policer* p = bound_[i][static_cast<size_t>(side)]) {
        all.push_back({i, side, p->config().name});
      }
    }
  }
  return all;
}

// --- the nodes ---

namespace {

class PolicerNode final : public FeatureNode {
 public:
  PolicerNode(Stack& stack, FeatureArc arc, const std::string& name, PolicerSide side)
      : FeatureNode(stack, arc, name,
                    {{"exceed", Severity::Warning, "packets above the rate dropped"},
                     {"violate", Severity::Warning, "packets above the peak dropped"},
                     {"conform", Severity::Warning, "packets within the rate dropped"}}),
        side_(side) {}

  void process(Batch& batch) override {
    const Instant now = stack_.loop.now();
    for (uint32_t i = 0; i < batch.size(); ++i) {
      Packet& p = batch[i];
      Policer& policer = stack_.policers->of(p.interface, side_);
      const uint32_t size = p.size() - p.l3_offset;
      const Colour colour = policer.meter(size, now);
      policer.count(colour, size);
      const PolicerAction& action = policer.config().actions[static_cast<size_t>(colour)];
      if (action.drop) {
        batch.drop(i, reason_of(colour));
        continue;
      }
      if (action.dscp) mark(p, *action.dscp);
      batch.send(i, next(p));
    }
  }
  std::string account(const Packet& p) const override {
    return fmt::format("interface {}, {} bytes", stack_.interfaces[p.interface].name, p.size());
  }

 private:
  enum : uint16_t { kExceed, kViolate, kConform };
  static uint16_t reason_of(Colour colour) {
    switch (colour) {
      case Colour::Conform: return kConform;
      case Colour::Exceed: return kExceed;
      case Colour::Violate: return kViolate;
    }
    UNREACHABLE();
  }
  static void mark(Packet& p, uint8_t dscp) {
    uint8_t* ip = ip_of(p);
    const uint16_t word = net::load16(ip);
    if (ip[0] >> 4 == 4) {
      net::replace_ip4_word({ip, net::Ip4Header::kMinSize}, 0,
                            static_cast<uint16_t>((word & 0xff03) | dscp << 2));
    } else {
      net::store16(ip, static_cast<uint16_t>((word & 0xf03f) | dscp << 6));
    }
  }
  PolicerSide side_;
};

}  // namespace

void add_policer_nodes(Stack& stack) {
  stack.policers = std::make_unique<PolicerTable>(stack);
  auto add = [&stack](FeatureArc arc, const char* name, PolicerSide side) {
    stack.graph.add(std::make_unique<PolicerNode>(stack, arc, name, side));
  };
  add(FeatureArc::Ip4Input, "ip4-policer-input", PolicerSide::Input);
  add(FeatureArc::Ip6Input, "ip6-policer-input", PolicerSide::Input);
  add(FeatureArc::Ip4Output, "ip4-policer-output", PolicerSide::Output);
  add(FeatureArc::Ip6Output, "ip6-policer-output", PolicerSide::Output);
}

}  // namespace wh::vnet
