#include "lab/report.h"

#include <algorithm>
#include <cmath>

#include "lab/columns.h"

namespace wh::lab {
namespace {

std::string mbps_text(Rate rate) {
  return fmt::format("{:.3f}", static_cast<double>(rate.bps()) / 1e6);
}
std::string ms_text(double ns) {
  return fmt::format("{:.1f}", ns / 1e6);
}
std::string quantile_text(const Histogram& h, double q) {
  return h.count() == 0 ? "-" : ms_text(static_cast<double>(h.quantile(q)));
}

std::string flow_rows(const Report& report) {
  Columns table;
  table.add({"flow", "cc", "pace Mbps", "goodput Mbps", "retrans %", "rtt min ms", "mean", "p50",
             "p95", "p99", "cwnd kB"});
  for (const FlowReport& f : report.flows) {
    const double sent = static_cast<double>(std::max<int64_t>(1, f.sent.count()));
    const bool sampled = f.rtt.count() != 0;
    table.add({f.name, f.cc, f.pace ? mbps_text(*f.pace) : "-", mbps_text(f.goodput),
               fmt::format("{:.2f}", 100 * static_cast<double>(f.retransmitted.count()) / sent),
               sampled ? ms_text(static_cast<double>(f.rtt.min())) : "-",
               sampled ? ms_text(f.rtt.mean()) : "-", quantile_text(f.rtt, 0.50),
               quantile_text(f.rtt, 0.95), quantile_text(f.rtt, 0.99),
               fmt::format("{:.1f}", static_cast<double>(f.cwnd.count()) / 1e3)});
  }
  std::string text = table.text();
  for (const FlowReport& f : report.flows) {
    if (!f.failure.empty()) text += fmt::format("{}: {}\n", f.name, f.failure);
  }
  return text;
}

std::string link_rows(const Report& report) {
  Columns table;
  table.add({"link", "rate", "used %", "queue mean ms", "p50", "p95", "p99", "max", "drops"});
  for (const LinkReport& l : report.links) {
    if (l.rate.is_infinite() && l.drops.empty()) continue;  // A wire has nothing to say.
    std::string drops;
    for (const auto& [reason, count] : l.drops) {
      drops += fmt::format("{}{} {}", drops.empty() ? "" : ", ", count, reason);
    }
    const bool sampled = l.queue.count() != 0;
    table.add({l.name, to_string(l.rate), fmt::format("{:.2f}", 100 * l.utilization),
               sampled ? ms_text(l.queue.mean()) : "-", quantile_text(l.queue, 0.50),
               quantile_text(l.queue, 0.95), quantile_text(l.queue, 0.99),
               quantile_text(l.queue, 1.0), drops.empty() ? "none" : drops});
  }
  return table.text();
}

// Rows for the flows that have something else to say; "" when none has.
std::string workload_rows(const Report& report) {
  Columns videos, pages;
  videos.add({"video", "play delay ms", "rebuffers", "stalled s", "chunks", "fetch p50 ms", "p95"});
  pages.add({"short flows", "started", "completed", "failed", "completion p50 ms", "p95", "p99"});
  for (const FlowReport& f : report.flows) {
    if (f.video) {
      const bool has_begun = f.video->play_delay != Duration::max();
      videos.add({f.name, has_begun ? fmt::format("{:.1f}", to_ms(f.video->play_delay)) : "-",
                  std::to_string(f.video->rebuffers),
                  fmt::format("{:.2f}", to_seconds(f.video->stalled)),
                  std::to_string(f.video->chunks), quantile_text(f.video->fetch, 0.50),
                  quantile_text(f.video->fetch, 0.95)});
    }
    if (f.web) {
      pages.add({f.name, std::to_string(f.web->started), std::to_string(f.web->completed),
                 std::to_string(f.web->failed), quantile_text(f.web->completion, 0.50),
                 quantile_text(f.web->completion, 0.95), quantile_text(f.web->completion, 0.99)});
    }
  }
  std::string text;
  for (const Columns* table : {&videos, &pages}) {
    if (table->rows() > 1) text += "\n" + table->text();
  }
  return text;
}

std::string estimate_text(const std::optional<Estimate>& e, int digits) {
  if (!e) return "-";
  if (std::isnan(e->ci95)) return fmt::format("{:.{}f}", e->mean, digits);
  return fmt::format("{:.{}f} +-{:.{}f}", e->mean, digits, e->ci95, digits);
}

std::string spread_rows(const Spread& spread) {
  Columns table;
  table.add({fmt::format("over {} runs", spread.runs), "goodput Mbps", "retrans %", "rtt mean ms",
             "p50", "p95"});
  for (const FlowSpread& f : spread.flows) {
    table.add({f.name, estimate_text(f.goodput_mbps, 3), estimate_text(f.retransmitted_percent, 2),
               estimate_text(f.rtt_mean_ms, 1), estimate_text(f.rtt_p50_ms, 1),
               estimate_text(f.rtt_p95_ms, 1)});
  }
  return "\n" + table.text() + "(mean +- half of the 95 % confidence interval)\n";
}

// Two-sided 95 % quantiles of Student's t distribution for 1, 2 ... degrees of freedom.
double student_t95(size_t freedom) {
  static constexpr double kTable[] = {12.706, 4.303, 3.182, 2.776, 2.571, 2.447, 2.365, 2.306,
                                      2.262,  2.228, 2.201, 2.179, 2.160, 2.145, 2.131, 2.120,
                                      2.110,  2.101, 2.093, 2.086, 2.080, 2.074, 2.069, 2.064,
                                      2.060,  2.056, 2.052, 2.048, 2.045, 2.042};
  if (freedom <= std::size(kTable)) return kTable[freedom - 1];
  // Cornish-Fisher: within 0.001 from here on.
  constexpr double z = 1.959964;
  const auto n = static_cast<double>(freedom);
  return z + (z * z * z + z) / (4 * n) +
         (5 * std::pow(z, 5) + 16 * z * z * z + 3 * z) / (96 * n * n);
}

// The estimate of what `figure` says of flow i of each repetition; nothing where one has nothing.
template <class Figure>
std::optional<Estimate> over(const std::vector<Report>& repetitions, size_t i, Figure figure) {
  std::vector<double> values;
  for (const Report& r : repetitions) {
    const std::optional<double> value = figure(r.flows[i]);
    if (!value) return std::nullopt;
    values.push_back(*value);
  }
  return estimate(values);
}

std::optional<double> rtt_quantile(const FlowReport& f, double q) {
  if (f.rtt.count() == 0) return std::nullopt;
  return static_cast<double>(f.rtt.quantile(q)) * 1e-6;
}

}  // namespace

double Report::jain() const {
  double sum = 0, squares = 0;
  size_t n = 0;
  for (const FlowReport& f : flows) {
    if (f.background) continue;
    ++n;
    const auto x = static_cast<double>(f.goodput.bps());
    sum += x;
    squares += x * x;
  }
  return squares == 0 ? 1 : sum * sum / (static_cast<double>(n) * squares);
}

Estimate estimate(const std::vector<double>& values) {
  CHECK(!values.empty());
  const auto n = static_cast<double>(values.size());
  double sum = 0, squares = 0;
  for (const double v : values) sum += v;
  const double mean = sum / n;
  if (values.size() == 1) return {mean, kNone};
  for (const double v : values) squares += (v - mean) * (v - mean);
  return {mean, student_t95(values.size() - 1) * std::sqrt(squares / (n - 1) / n)};
}

Spread spread_of(const std::vector<Report>& repetitions) {
  Spread spread{.runs = repetitions.size()};
  if (repetitions.empty()) return spread;
  for (size_t i = 0; i < repetitions.front().flows.size(); ++i) {
    FlowSpread f{.name = repetitions.front().flows[i].name};
    f.goodput_mbps = *over(repetitions, i, [](const FlowReport& r) -> std::optional<double> {
      return static_cast<double>(r.goodput.bps()) * 1e-6;
    });
    f.retransmitted_percent =
        *over(repetitions, i, [](const FlowReport& r) -> std::optional<double> {
          const auto sent = static_cast<double>(std::max<int64_t>(1, r.sent.count()));
          return 100 * static_cast<double>(r.retransmitted.count()) / sent;
        });
    f.rtt_mean_ms = over(repetitions, i, [](const FlowReport& r) -> std::optional<double> {
      if (r.rtt.count() == 0) return std::nullopt;
      return r.rtt.mean() * 1e-6;
    });
    f.rtt_p50_ms = over(repetitions, i, [](const FlowReport& r) { return rtt_quantile(r, 0.50); });
    f.rtt_p95_ms = over(repetitions, i, [](const FlowReport& r) { return rtt_quantile(r, 0.95); });
    spread.flows.push_back(std::move(f));
  }
  return spread;
}

std::string to_table(const Report& report) {
  std::string text = flow_rows(report) + workload_rows(report) + "\n" + link_rows(report);
  if (report.spread) text += spread_rows(*report.spread);
  text += fmt::format("\nJain's index {:.4f}, {} of {} time, seed {}{}\n", report.jain(),
                      to_string(report.duration), report.real_time ? "real" : "virtual",
                      report.seed, report.interrupted ? ", interrupted" : "");
  return text;
}

}  // namespace wh::lab
