// Every byte stream arrives intact, whatever the path does to its packets in either direction.
#include <algorithm>

#include "core/virtual_loop.h"
#include "lab/experiment.h"
#include "sim.h"
#include "world.h"

namespace wh::sim {
namespace {

// Takes the link down for a while now and then.
class Flapper {
 public:
  Flapper(lab::Experiment& experiment, Random random)
      : experiment_(experiment), random_(random), timer_(experiment.loop(), [this] { flip(); }) {
    if (random_.one_in(2)) left_ = static_cast<int>(random_.between(1, 3)) * 2;
    rest();
  }

 private:
  void rest() {
    if (left_-- > 0) {
      timer_.arm(experiment_.loop().now() + Duration(random_.between(1'000'000, 4'000'000'000)));
    }
  }
  void flip() {
    is_up_ = !is_up_;
    experiment_.link(0).set_up(is_up_);
    rest();
  }
  lab::Experiment& experiment_;
  Random random_;
  Timer timer_;
  int left_ = 0;
  bool is_up_ = true;
};

// Handles events until every flow is done, with all checkers every so many of them.
Result<void> run_checked(lab::Experiment& experiment, const lab::LabSpec& spec,
                         uint64_t check_every) {
  auto& loop = static_cast<VirtualLoop&>(experiment.loop());
  const Instant deadline = loop.now() + spec.duration;
  auto all_done = [&] {
    return std::all_of(experiment.flows().begin(), experiment.flows().end(),
                       [](const auto& f) { return f->is_done() || !f->failure().empty(); });
  };
  for (uint64_t n = 0;; ++n) {
    if (n % check_every == 0) {
      experiment.check_invariants();
      if (all_done()) return {};
    }
    if (loop.next_deadline() > deadline || !loop.step()) break;
  }
  return fail("not every flow was done after {}", to_string(spec.duration));
}

}  // namespace

Result<Outcome> tcp_bulk(uint64_t seed) {
  const lab::LabSpec spec = random_lab(seed);
  auto experiment = TRY(lab::Experiment::make(spec, {}));
  Flapper flapper(*experiment, Random(seed).fork("flaps"));
  const auto ended = run_checked(*experiment, spec, 1 + seed % 16);

  Outcome outcome{.world = net::to_string(spec.links[0].config),
                  .events = experiment->loop().events_handled()};
  for (const auto& flow : experiment->flows()) {
    const std::string what =
        fmt::format("flow {} ({}) over {} with {}", flow->name(), lab::print_flow(flow->spec()),
                    outcome.world, fmt::join(spec.sysctls, " "));
    if (!flow->failure().empty()) return fail("{}: {}", what, flow->failure());
    const int64_t wanted = flow->spec().bytes->count();
    if (static_cast<int64_t>(flow->delivered()) != wanted) {
      return fail("{}: {} of {} bytes arrived", what, flow->delivered(), wanted);
    }
    outcome.bytes += flow->delivered();
  }
  TRY(ended);
  return outcome;
}

}  // namespace wh::sim
