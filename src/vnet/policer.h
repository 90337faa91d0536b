// Policers: token buckets that say of each packet whether it keeps to a rate (RFC 2697, RFC 2698).
//
//   add({.name = "gold", .rate = 10Mbit/s, .burst = 100 kB});   bind(interface, Input, "gold");
//
// One rate and one burst: packets conform or exceed. An excess burst (single rate, three colours)
// or a peak rate (two rates, three colours) adds "violate". What is done with each colour is
// configured: pass, pass with another DSCP, drop. A policer counts each colour and may be bound to
// several interfaces, whose packets then share it. Sizes are of IP packets, without link headers.
#pragma once

#include <array>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "core/result.h"
#include "core/units.h"

namespace wh::vnet {

struct Stack;

enum class Colour : uint8_t { Conform, Exceed, Violate };

struct PolicerAction {
  bool drop = false;
  std::optional<uint8_t> dscp = std::nullopt;  // 0..63, written into packets that pass.
  bool operator==(const PolicerAction&) const = default;
};

struct PolicerConfig {
  std::string name;
  Rate rate;                                // Committed.
  Bytes burst{};                            // Committed: how much may come at once.
  std::optional<Rate> peak = std::nullopt;  // At least `rate`.
  Bytes excess_burst{};  // For the peak rate, or beyond `burst` when there is none.
  std::array<PolicerAction, 3> actions{{{}, {.drop = true}, {.drop = true}}};  // By Colour.
};

class Policer {
 public:
  explicit Policer(PolicerConfig config) : config_(std::move(config)) {}
  // The colour of a packet that comes now.
  Colour meter(uint32_t size, Instant now);
  const PolicerConfig& config() const { return config_; }
  struct Count {
    uint64_t packets = 0, bytes = 0;
  };
  const std::array<Count, 3>& counts() const { return counts_; }
  void count(Colour colour, uint32_t size) {
    Count& c = counts_[static_cast<size_t>(colour)];
    ++c.packets;
    c.bytes += size;
  }
  uint32_t bindings = 0;

 private:
  struct Bucket {
    double tokens = 0;  // Bytes.
    void fill(double bytes, Bytes limit);
  };
  PolicerConfig config_;
  Bucket committed_, excess_;
  bool started_ = false;
  Instant last_{};
  std::array<Count, 3> counts_{};
};

enum class PolicerSide : uint8_t { Input, Output };

class PolicerTable {
 public:
  static constexpr size_t kMaxPolicers = 4096;
  explicit PolicerTable(Stack& stack) : stack_(stack) {}

  // Errors: the name is in use or empty, a rate or burst of 0, a peak below the rate, a DSCP above
  // 63, too many.
  Result<void> add(PolicerConfig config);
  // Errors: none of that name; it is bound.
  Result<void> remove(std::string_view name);
  // All IPv4 and IPv6 packets of one side of an interface. Errors: no such interface or policer; it
  // has one on that side, or is a bridge's.
  Result<void> bind(uint16_t interface, PolicerSide side, std::string_view name);
  Result<void> unbind(uint16_t interface, PolicerSide side);
  void forget(uint16_t interface);  // It is detached.

  bool is_bound(uint16_t interface, PolicerSide side) const {
    return interface < bound_.size() && bound_[interface][static_cast<size_t>(side)] != nullptr;
  }
  // REQUIRES: one is bound.
  Policer& of(uint16_t interface, PolicerSide side) {
    return *bound_[interface][static_cast<size_t>(side)];
  }
  std::vector<const Policer*> policers() const;  // By name.
  struct Binding {
    uint16_t interface;
    PolicerSide side;
    std::string policer;
  };
  std::vector<Binding> bindings() const;

 private:
  Stack& stack_;
  std::map<std::string, std::unique_ptr<Policer>, std::less<>> by_name_;
  std::vector<std::array<Policer*, 2>> bound_;  // By interface and side.
};

void add_policer_nodes(Stack& stack);  // ip4-policer-input and its three siblings

}  // namespace wh::vnet
