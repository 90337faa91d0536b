#include "pacing/hpts_books.h"

#include "pacing/hpts.h"

namespace wh::pacing {
namespace {

constexpr int64_t kMostSleep = int64_t{kHptsWheelSlots} / 2;  // Slots: half the wheel.
constexpr int64_t kMostSleepUs = kMostSleep * (kHptsSlot / 1us);
constexpr int64_t kLeastSleepUs = 50;
constexpr const char* kNode = "net.inet.tcp.hpts.";

std::string late_text(const HptsCounters& counters) {
  std::string text;
  for (size_t k = 0; k < counters.late_calls.size(); ++k) {
    if (counters.late_calls[k] == 0) continue;
    const uint64_t from_us = k == 0 ? 0 : 10 * (uint64_t{1} << (k - 1));
    text += fmt::format("{}>={}us:{}", text.empty() ? "" : " ", from_us, counters.late_calls[k]);
  }
  return text;
}

class Registrar {
 public:
  Registrar(SysctlTree& tree, HptsBooks& books) : tree_(tree), books_(books) {}

  void add_switches() {
    HptsTunables& t = books_.tunables;
    add("no_wake_over_thresh", "nowake_over_thresh", &t.no_wake_over_thresh,
        {.description = "with cnt_thresh or more connections an insert does not set off a run",
         .unit = "bool",
         .min = 0,
         .max = 1});
    add("precise", "", &t.precise,
        {.description = "sleep exactly until the next client is due (not in FreeBSD)",
         .unit = "bool",
         .min = 0,
         .max = 1});
    add("cnt_thresh", "", &t.cnt_thresh,
        {.description = "connections on the wheel from which softclock() drives it too",
         .unit = "connections",
         .min = 0});
    add("loop_max", "loopmax", &t.loop_max,
        {.description = "times that a run from the callout loops before it is forced to sleep",
         .unit = "count",
         .min = 0,
         .max = 1'000'000});
    add("less_sleep", "", &t.less_sleep,
        {.description = "the dynamic sleep is decreased when a run spans more than this",
         .unit = "slots",
         .min = 0,
         .max = kHptsWheelSlots});
    add("more_sleep", "", &t.more_sleep,
        {.description = "the dynamic sleep is increased when a run spans less than this",
         .unit = "slots",
         .min = 0,
         .max = kHptsWheelSlots});
  }

  void add_sleeps() {
    HptsTunables& t = books_.tunables;
    add("min_sleep", "minsleep", &t.min_sleep,
        {.description = "least sleep of the callout: the precision that HPTS attempts",
         .unit = "us",
         .min = kLeastSleepUs,
         .max = kMostSleepUs});
    add("max_sleep", "maxsleep", &t.max_sleep,
        {.description = "longest sleep of the callout, when no connection waits; dyn_minsleep / 10 "
                        "or more",
         .unit = "slots",
         .min = kLeastSleepUs / 10,
         .max = kMostSleep,
         .check = [&t](int64_t v) -> Result<void> {
           const int64_t least = t.dyn_minsleep / 10;
           if (v >= least) return {};
           return fail("{} is out of range; accepted: {}..{} slots", v, least, kMostSleep);
         }});
    add("dyn_maxsleep", "", &t.dyn_maxsleep,
        {.description = "the dynamic sleep is not raised above this",
         .unit = "us",
         .min = kLeastSleepUs,
         .max = kMostSleepUs,
         .check = [&t](int64_t v) -> Result<void> {
           if (v >= t.dyn_minsleep) return {};
           return fail("{} is below dyn_minsleep, {} us", v, t.dyn_minsleep);
         }});
    add("dyn_minsleep", "", &t.dyn_minsleep,
        {.description = "the dynamic sleep is not lowered below this",
         .unit = "us",
         .min = kLeastSleepUs,
         .max = kMostSleepUs,
         .check = [&t](int64_t v) -> Result<void> {
           if (v > t.dyn_maxsleep)
             return fail("{} is above dyn_maxsleep, {} us", v, t.dyn_maxsleep);
           if (v / 10 > t.max_sleep) return fail("{} is above max_sleep, {} slots", v, t.max_sleep);
           return {};
         }});
  }

  void add_counters() {
    const HptsCounters& c = books_.counters;
    count("hopeless", &c.hopeless, "runs that gave up after loop_max further passes");
    count("loops", &c.loops, "further passes of runs during which time moved on");
    count("no_tcbsfound", &c.no_tcbsfound, "runs of the callout that found nobody to call");
    count("comb_wheel_wrap", &c.comb_wheel_wrap, "inserts during a run that was a wheel behind");
    count("wheel_wrap", &c.wheel_wrap, "passes that came more than a wheel of time late");
    count("direct_call", &c.direct_call, "runs by softclock()");
    count("timeout_wakeup", &c.timeout_wakeup, "runs at the end of the callout's sleep");
    count("direct_awakening", &c.direct_awakening, "runs that an insert set off");
    count("back_tosleep", &c.back_tosleep, "callouts that came during a run");
    count("cpusel_flowid", &c.cpusel_flowid, "wheels chosen by flow id");
    count("cpusel_random", &c.cpusel_random, "wheels chosen at random");
    count("inserts", &c.inserts, "connections put on a wheel");
    count("removes", &c.removes, "connections taken off before their time");
    count("calls", &c.calls, "connections called");
    count("moves", &c.moves, "parked connections placed anew");
    count("long_timers", &c.long_timers, "inserts beyond the wheel's reach, which were parked");
    count("soft_noop", &c.soft_noop, "softclock() during a run");
    count("max_queued", &c.max_queued, "most connections on one wheel");
    tree_.add_text(std::string(kNode) + "stats.lateness",
                   {.description = "calls by how late their slot was served",
                    .get = [&c] { return late_text(c); }});
  }

 private:
  void add(const char* name, const char* also, int64_t* storage, SysctlTree::IntSpec spec) {
    if (*also != '\0') spec.also = {std::string(kNode) + also};
    tree_.add_int(std::string(kNode) + name, storage, std::move(spec));
  }
  void count(const char* name, const uint64_t* storage, const char* description) {
    tree_.add_counter(std::string(kNode) + "stats." + name, storage, description);
  }

  SysctlTree& tree_;
  HptsBooks& books_;
};

}  // namespace

void HptsBooks::add_sysctls(SysctlTree& tree) {
  Registrar registrar(tree, *this);
  registrar.add_switches();
  registrar.add_sleeps();
  registrar.add_counters();
}

void Hpts::add_sysctls(SysctlTree& tree, uint32_t index) {
  const auto add = [&](const char* name, const char* description, std::function<int64_t()> get) {
    tree.add_text(fmt::format("{}{}.{}", kNode, index, name),
                  {.description = description,
                   .get = [get = std::move(get)] { return std::to_string(get()); }});
  };
  const auto ticks = [](Instant t) { return t.time_since_epoch() / kHptsSlot; };
  add("out_qcnt", "connections on the wheel", [this] { return int64_t(queued_); });
  add("active", "1 while a run is in progress", [this] { return int64_t{active_}; });
  add("curslot", "the last slot served", [this] { return int64_t{prev_slot()}; });
  add("runtick", "the tick up to which slots are served", [this] { return drained_; });
  add("curtick", "the tick now", [this, ticks] { return ticks(loop_.clock()); });
  add("lastran", "the tick of the last run", [this, ticks] { return ticks(last_run_); });
  add("cur_min_sleep", "the dynamic sleep, us", [this] { return mysleep_ / 1us; });
  add("now_sleeping", "us until the callout; -1 when it is off",
      [this] { return callout_.is_armed() ? (callout_.deadline() - loop_.clock()) / 1us : -1; });
  add("syscall_cnt", "runs by softclock()", [this] { return int64_t(soft_runs_); });
}

}  // namespace wh::pacing
