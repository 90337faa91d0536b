#include "lab/advise.h"

#include <algorithm>
#include <cmath>
#include <mutex>
#include <nlohmann/json.hpp>
#include <set>

#include "lab/columns.h"
#include "lab/parallel.h"
#include "lab/runs.h"
#include "pacing/dgp.h"

namespace wh::lab {
namespace {

constexpr uint32_t kRoomFor = 7;
using pacing::kDefaultFcc;

// 4'960'000 becomes 4'900'000: nobody sets a rate to more digits than this.
Rate two_digits(Rate rate) {
  uint64_t unit = 1;
  while (rate.bps() / unit >= 100) unit *= 10;
  return Rate::bits_per_second(rate.bps() / unit * unit);
}

// 1 becomes "1st".
std::string ordinal(uint32_t n) {
  const bool is_teen = n % 100 >= 11 && n % 100 <= 13;
  const char* ending = is_teen || n % 10 == 0 || n % 10 > 3 ? "th"
                       : n % 10 == 1                        ? "st"
                       : n % 10 == 2                        ? "nd"
                                                            : "rd";
  return fmt::format("{}{}", n, ending);
}

// How many pushes of that fit.
uint32_t crowd_in(Rate rate, Rate fcc) {
  return static_cast<uint32_t>(rate.bps() / fcc.bps());
}

// The number of connections whose pushes together reach the path, to three digits.
uint32_t reached_by(Rate up, Rate fcc) {
  uint32_t n = crowd_in(up, fcc);
  while (three_digits(Rate::bits_per_second(fcc.bps() * n)) < three_digits(up)) ++n;
  return n;
}

LabSpec lab_of(const PathFacts& path, const std::vector<std::string>& flows, Duration duration) {
  net::LinkConfig link;
  link.forward.rate = path.up;
  link.forward.delay = path.rtt / 2;
  const Duration least = path.up.transfer_time(net::kFullFrame) * 2;
  link.forward.buffer = std::max(path.buffer, least);
  link.reverse.rate = path.down;
  link.reverse.delay = path.rtt - path.rtt / 2;
  std::vector<FlowSpec> parsed;
  for (const std::string& text : flows) parsed.push_back(MUST(parse_flow(text)));  // Our own words.
  LabSpec spec = MUST(pace_lab({std::move(link)}, std::move(parsed)));  // No flow has an rtt.
  spec.duration = duration;
  spec.warmup = warmup_of(duration);
  spec.start_jitter = std::min<Duration>(1s, duration / 10);
  return spec;
}

// The figures of one run that a trial is made of.
struct Figures {
  double total = 0, each = 0, p50 = 0, p95 = 0, again = 0, first = 0;
};

Figures figures_of(const Report& report) {
  Figures f;
  Histogram rtt;
  double sent = 0, again = 0;
  for (const FlowReport& flow : report.flows) {
    f.total += static_cast<double>(flow.goodput.bps()) * 1e-6;
    rtt.merge(flow.rtt);
    sent += static_cast<double>(flow.sent.count());
    again += static_cast<double>(flow.retransmitted.count());
  }
  f.first = static_cast<double>(report.flows.front().goodput.bps()) * 1e-6;
  f.each = f.total / static_cast<double>(report.flows.size());
  const auto ms = [&](double q) {
    return rtt.count() == 0 ? kNone : static_cast<double>(rtt.quantile(q)) * 1e-6;
  };
  f.p50 = ms(0.50);
  f.p95 = ms(0.95);
  f.again = sent > 0 ? 100 * again / sent : 0;
  return f;
}

// A trial's runs: with its own kind, and one of it beside a CUBIC flow.
struct Job {
  Trial* trial;
  LabSpec spec;
  bool is_beside = false;
  std::optional<Result<Figures>> figures;
};

Trial trial_of(uint32_t connections, Rate fcc, bool is_advised) {
  Trial t{.connections = connections, .fcc = fcc, .is_advised = is_advised};
  t.label = fcc.is_zero() ? "0 (no cap)" : to_string(fcc);
  if (fcc == kDefaultFcc) t.label += " (default)";
  t.flow = "dgp,fcc=" + (fcc.is_zero() ? "0" : to_string(fcc));
  t.beside_cubic_mbps = {kNone, kNone};
  return t;
}

Trials plan_trials(const TrialPlan& plan, const Advice& advice) {
  Trials trials;
  std::vector<Rate> rates = {two_digits(advice.fcc.percent(20)), two_digits(advice.fcc.percent(50)),
                             advice.fcc, two_digits(advice.fcc.percent(200)), kDefaultFcc};
  for (Rate& rate : rates) rate = std::max(rate, pacing::kLeastPaceRate);
  std::sort(rates.begin(), rates.end());
  rates.erase(std::unique(rates.begin(), rates.end()), rates.end());
  rates.push_back(Rate());
  const uint32_t n = plan.path.connections;
  for (const Rate fcc : rates) trials.candidates.push_back(trial_of(n, fcc, fcc == advice.fcc));
  Trial cubic = trial_of(n, Rate(), false);
  cubic.label = "cubic, unpaced";
  cubic.flow = "cubic";
  trials.candidates.push_back(cubic);
  const uint32_t from = advice.pushing_from;
  for (const uint32_t crowd : std::set{advice.room_for, from - 1, from, from + 1}) {
    if (crowd < 1) continue;
    Trial t = trial_of(crowd, advice.fcc, false);
    t.label = fmt::format("{}", crowd);
    trials.crowd.push_back(t);
  }
  return trials;
}

std::vector<Job> jobs_of(const TrialPlan& plan, Trials& trials) {
  std::vector<Job> jobs;
  auto add = [&](Trial& trial, bool is_beside, int lasts) {
    for (uint32_t i = 0; i < plan.repeat; ++i) {
      std::vector<std::string> flows = {trial.flow + fmt::format(",count={}", trial.connections)};
      if (is_beside) flows = {trial.flow, "cubic"};
      Job job{&trial, lab_of(plan.path, flows, plan.duration * lasts), is_beside, {}};
      if (lasts > 1) job.spec.warmup = job.spec.duration / 3 * 2;
      job.spec.seed = 1 + i;
      jobs.push_back(std::move(job));
    }
  };
  for (Trial& trial : trials.candidates) {
    add(trial, false, 1);
    add(trial, true, 1);
  }
  for (Trial& trial : trials.crowd) add(trial, false, kCrowdLasts);
  return jobs;
}

// The jobs of one trial lie together, in the order of their seeds.
void conclude(const std::vector<Job>& jobs, uint32_t repeat) {
  for (size_t i = 0; i < jobs.size(); i += repeat) {
    auto over = [&](double Figures::*figure) {
      std::vector<double> values;
      for (size_t j = i; j < i + repeat; ++j) values.push_back((**jobs[j].figures).*figure);
      return estimate(values);
    };
    Trial& t = *jobs[i].trial;
    if (jobs[i].is_beside) {
      t.beside_cubic_mbps = over(&Figures::first);
      continue;
    }
    t.total_mbps = over(&Figures::total);
    t.each_mbps = over(&Figures::each);
    t.rtt_p50_ms = over(&Figures::p50);
    t.rtt_p95_ms = over(&Figures::p95);
    t.retransmitted_percent = over(&Figures::again);
  }
}

std::string text_of(const Estimate& e, int digits) {
  if (std::isnan(e.mean)) return "-";
  if (std::isnan(e.ci95)) return fmt::format("{:.{}f}", e.mean, digits);
  return fmt::format("{:.{}f} +-{:.{}f}", e.mean, digits, e.ci95, digits);
}

// What the trials say of the advised rate, whatever the rule expects: beside CUBIC, the last one.
std::string verdict(const std::vector<Trial>& candidates) {
  const Trial& cubic = candidates.back();
  for (const Trial& t : candidates) {
    if (!t.is_advised) continue;
    if (!(cubic.total_mbps.mean > 0 && t.total_mbps.mean > 0)) {
      return "Nothing arrived in the time that counts: a longer --duration says more.\n";
    }
    return fmt::format(
        "{} connections at {}: {:.0f} % of CUBIC's goodput, at {:.0f} % of its median round "
        "trip.\n",
        t.connections, t.fcc, 100 * t.total_mbps.mean / cubic.total_mbps.mean,
        100 * t.rtt_p50_ms.mean / cubic.rtt_p50_ms.mean);
  }
  return "";
}

// The knee as the trials show it: the one more connection at which the round trip grows most.
std::string knee(const std::vector<Trial>& crowd) {
  size_t at = 0;
  double most = 0;
  for (size_t i = 1; i < crowd.size(); ++i) {
    const double growth = crowd[i].rtt_p50_ms.mean / crowd[i - 1].rtt_p50_ms.mean;
    if (growth > most) most = growth, at = i;
  }
  if (at == 0) return "";
  const uint32_t before = crowd[at - 1].connections, with = crowd[at].connections;
  const std::string what = with == before + 1
                               ? fmt::format("The {} connection takes", ordinal(with))
                               : fmt::format("Going from {} connections to {} takes", before, with);
  return fmt::format("{} the median round trip from {:.0f} ms to {:.0f} ms.\n", what,
                     crowd[at - 1].rtt_p50_ms.mean, crowd[at].rtt_p50_ms.mean);
}

double percent_of(Rate part, Rate whole) {
  return 100 * static_cast<double>(part.bps()) / static_cast<double>(whole.bps());
}

// How many connections there may be.
std::string explain_crowds(const PathFacts& path, const Advice& advice) {
  const uint32_t n = advice.pushing_from, room = advice.room_for;
  const auto total = [&](uint32_t k) {
    return to_string(three_digits(Rate::bits_per_second(advice.fcc.bps() * k)));
  };
  std::string text = fmt::format(
      "With {} connection{} the pushes are {} together, and the path has room for them.\n", room,
      room == 1 ? "" : "s", total(room));
  if (room < n - 1) {
    text += fmt::format(
        "With {} they are {}: so little is left that a queue, once it is there, hardly goes.\n",
        n - 1, total(n - 1));
  }
  // One more that shows it in three digits.
  uint32_t more = n + 1;
  const auto each = [&] { return three_digits(Rate::bits_per_second(path.up.bps() / more)); };
  while (each() >= three_digits(advice.fcc)) ++more;
  return text + fmt::format(
                    "From the {} connection on they push against each other ({} x {} = {}): the "
                    "buffer\n"
                    "fills, and the round trip grows as with any loss-based control. With {} each "
                    "can have\n"
                    "{} of the {} that it pushes for.\n",
                    ordinal(n), n, advice.fcc, total(n), more, each(), advice.fcc);
}

nlohmann::ordered_json json_of(const Estimate& e) {
  auto number = [](double v) -> nlohmann::ordered_json {
    if (std::isnan(v)) return nullptr;
    return std::round(v * 1e4) / 1e4;
  };
  return {{"mean", number(e.mean)}, {"ci95", number(e.ci95)}};
}

nlohmann::ordered_json json_of(const std::vector<Trial>& trials) {
  auto json = nlohmann::ordered_json::array();
  for (const Trial& t : trials) {
    json.push_back({{"label", t.label},
                    {"flow", t.flow},
                    {"connections", t.connections},
                    {"fcc_bps", t.fcc.bps()},
                    {"advised", t.is_advised},
                    {"total_mbps", json_of(t.total_mbps)},
                    {"each_mbps", json_of(t.each_mbps)},
                    {"rtt_p50_ms", json_of(t.rtt_p50_ms)},
                    {"rtt_p95_ms", json_of(t.rtt_p95_ms)},
                    {"retransmitted_percent", json_of(t.retransmitted_percent)},
                    {"beside_cubic_mbps", json_of(t.beside_cubic_mbps)}});
  }
  return json;
}

}  // namespace

Rate three_digits(Rate rate) {
  if (rate.is_infinite()) return rate;
  uint64_t unit = 1;
  while (rate.bps() / unit >= 1000) unit *= 10;
  return Rate::bits_per_second((rate.bps() + unit / 2) / unit * unit);
}

Duration usual_duration(Rate up) {
  if (up <= 100_Mbps) return 60s;
  return up <= 300_Mbps ? 45s : 30s;
}

Duration warmup_of(Duration duration) {
  return std::min<Duration>(30s, duration / 3 * 2);
}

Advice advise(const PathFacts& path) {
  CHECK(!path.up.is_infinite() && path.up >= 80_kbps);
  const uint32_t room = std::max(path.connections, kRoomFor) + 1;
  const Rate share = two_digits(Rate::bits_per_second(path.up.bps() / room));
  Advice advice{.fcc = std::clamp(share, pacing::kLeastPaceRate, kDefaultFcc)};
  advice.is_default = advice.fcc == kDefaultFcc;
  advice.is_slowest = share < advice.fcc;
  advice.pushing_from = reached_by(path.up, advice.fcc);
  advice.room_for = std::min(crowd_in(path.up.percent(95), advice.fcc), advice.pushing_from - 1);
  return advice;
}

Result<Trials> try_out(const TrialPlan& plan, const Advice& advice,
                       const std::function<void(double)>& progress, const std::atomic<bool>& stop) {
  Trials trials = plan_trials(plan, advice);
  std::vector<Job> jobs = jobs_of(plan, trials);
  std::atomic<size_t> done{0};
  auto tell = [&] { progress(static_cast<double>(done) / static_cast<double>(jobs.size())); };
  run_parallel(
      jobs.size(), plan.jobs,
      [&](size_t i) {
        if (stop) return;
        auto result = run_plan(
            {.spec = jobs[i].spec}, [](double) {}, stop);
        if (result) {
          jobs[i].figures = figures_of(result->report);
        } else {
          jobs[i].figures = tl::unexpected(result.error());
        }
        ++done;
        if (plan.jobs == 1) tell();
      },
      tell);
  if (stop) return fail_with(std::errc::operation_canceled, "try other settings");
  for (const Job& job : jobs) {
    if (!*job.figures) return tl::unexpected(job.figures->error());
  }
  conclude(jobs, plan.repeat);
  return trials;
}

std::string explain(const PathFacts& path, const Advice& advice) {
  std::string text = advice.is_default
                         ? fmt::format("FCC {}: the default stays.\n\n", advice.fcc)
                         : fmt::format("FCC {}: net.inet.tcp.rack.pacing.fillcw_cap={}\n\n",
                                       advice.fcc, advice.fcc.bytes_per_second());
  if (advice.is_slowest) {
    text += fmt::format(
        "A share of the path for each of {} and one more would be less than {}, but no connection\n"
        "is paced slower than that.{}\n",
        std::max(path.connections, kRoomFor), advice.fcc,
        path.connections < advice.pushing_from ? "" : " So many fill the buffer, whatever FCC is.");
  }
  text += fmt::format(
      "Each connection pushes with its loss-based half up to {}, {:.1f} % of the {} that the path\n"
      "carries; what it takes beyond that, it takes only while the round trip does not grow.\n",
      advice.fcc, percent_of(advice.fcc, path.up), three_digits(path.up));
  if (!advice.is_default) {
    const uint64_t filling = (path.up.bps() + kDefaultFcc.bps() - 1) / kDefaultFcc.bps();
    text += fmt::format(
        "The default of {} would be {:.0f} % of the path: {} would fill it by pushing.\n",
        kDefaultFcc, percent_of(kDefaultFcc, path.up),
        filling == 1   ? "one connection"
        : filling == 2 ? "two connections"
                       : fmt::format("{} connections", filling));
  }
  return text + explain_crowds(path, advice);
}

std::string to_table(const Trials& trials) {
  std::string text;
  if (!trials.candidates.empty()) {
    Columns table;
    table.add({fmt::format("FCC, {} connections", trials.candidates.front().connections),
               "goodput Mbps", "rtt p50 ms", "p95", "retrans %", "one beside CUBIC Mbps"});
    for (const Trial& t : trials.candidates) {
      table.add({t.label + (t.is_advised ? "  <--" : ""), text_of(t.total_mbps, 2),
                 text_of(t.rtt_p50_ms, 1), text_of(t.rtt_p95_ms, 1),
                 text_of(t.retransmitted_percent, 2), text_of(t.beside_cubic_mbps, 2)});
    }
    text += table.text() + verdict(trials.candidates);
  }
  if (!trials.crowd.empty()) {
    Columns table;
    table.add({fmt::format("connections, FCC {}", trials.crowd.front().fcc), "goodput Mbps",
               "each Mbps", "rtt p50 ms", "p95", "retrans %"});
    for (const Trial& t : trials.crowd) {
      table.add({t.label, text_of(t.total_mbps, 2), text_of(t.each_mbps, 2),
                 text_of(t.rtt_p50_ms, 1), text_of(t.rtt_p95_ms, 1),
                 text_of(t.retransmitted_percent, 2)});
    }
    text += "\n" + table.text() + knee(trials.crowd);
  }
  return text;
}

std::string to_json(const PathFacts& path, const Advice& advice, const Trials& trials) {
  nlohmann::ordered_json json;
  json["version"] = WH_VERSION;
  json["path"] = {{"up_bps", path.up.bps()},
                  {"down_bps", path.down.is_infinite() ? nlohmann::ordered_json(nullptr)
                                                       : nlohmann::ordered_json(path.down.bps())},
                  {"rtt_ms", to_ms(path.rtt)},
                  {"buffer_ms", to_ms(path.buffer)},
                  {"connections", path.connections}};
  json["fcc_bps"] = advice.fcc.bps();
  json["fillcw_cap"] = advice.fcc.bytes_per_second();
  json["is_default"] = advice.is_default;
  json["is_slowest"] = advice.is_slowest;
  json["room_for"] = advice.room_for;
  json["pushing_from"] = advice.pushing_from;
  json["why"] = explain(path, advice);
  json["candidates"] = json_of(trials.candidates);
  json["crowd"] = json_of(trials.crowd);
  return json.dump(2) + "\n";
}

}  // namespace wh::lab
