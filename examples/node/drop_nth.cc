// A node in a shared object: drops every n-th packet that passes it, with its reason counted.
//
// The whole of it: a Spec (name, where packets go on, reasons, that it may stand anywhere),
// process() and account(). `n` is a sysctl, so `set sysctl net.graph.drop-nth.n 10` changes it
// while packets flow. docs/router.md shows it at work.
#include "router/plugin.h"

namespace {

using wh::graph::Batch;
using wh::graph::Severity;

class DropNth final : public wh::graph::Node {
 public:
  explicit DropNth(wh::SysctlTree& sysctl)
      : Node({.name = "drop-nth",
              .next = {"ip4-lookup"},
              .errors = {{"nth", Severity::Error, "every n-th packet"}},
              .is_insertable = true}) {
    sysctl.add_int("net.graph.drop-nth.n", &n_,
                   {.description = "drop one of so many packets; 0: none",
                    .unit = "packets",
                    .min = 0,
                    .max = 1'000'000});
  }

  void process(Batch& batch) override {
    for (uint32_t i = 0; i < batch.size(); ++i) {
      if (n_ > 0 && ++seen_ % n_ == 0) {
        batch.drop(i, kNth);
      } else {
        batch.send(i, kOn);
      }
    }
  }
  std::string account(const wh::net::Packet&) const override {
    return fmt::format("packet {} of every {}", n_ > 0 ? seen_ % n_ : 0, n_);
  }

 private:
  enum : wh::graph::Arc { kOn = 1 };
  enum : uint16_t { kNth };
  int64_t n_ = 2, seen_ = 0;
};

}  // namespace

WH_NODE_PLUGIN(plugin) {
  plugin.graph.add(std::make_unique<DropNth>(plugin.sysctl));
}
