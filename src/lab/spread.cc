#include "lab/spread.h"

#include <algorithm>
#include <cmath>

#include "lab/columns.h"
#include "lab/report.h"

namespace wh::lab {
namespace {

using Number = std::optional<double>;

Number mean_ms(const Histogram& h) {
  if (h.count() == 0) return std::nullopt;
  return h.mean() * 1e-6;
}
Number quantile_ms(const Histogram& h, double q) {
  if (h.count() == 0) return std::nullopt;
  return static_cast<double>(h.quantile(q)) * 1e-6;
}

Number retransmitted_percent(const FlowReport& f) {
  const auto sent = static_cast<double>(std::max<int64_t>(1, f.sent.count()));
  return 100 * static_cast<double>(f.retransmitted.count()) / sent;
}
Number play_delay_ms(const FlowReport& f) {
  if (!f.video || f.video->play_delay == Duration::max()) return std::nullopt;
  return to_ms(f.video->play_delay);
}
Number drops(const LinkReport& l) {
  uint64_t n = 0;
  for (const auto& [reason, count] : l.drops) n += count;
  return static_cast<double>(n);
}

// What `of` says of the flow's video, or of its short flows; nothing where it has none.
template <class Of>
Number of_video(const FlowReport& f, Of of) {
  return f.video ? Number(of(*f.video)) : std::nullopt;
}
template <class Of>
Number of_web(const FlowReport& f, Of of) {
  return f.web ? Number(of(*f.web)) : std::nullopt;
}

using F = FlowReport;
using L = LinkReport;
constexpr Figure<F> kFlowFigures[] = {
    {"goodput_mbps", "goodput Mbps", "/goodput_bps", 1e-6, 3,
     [](const F& f) -> Number { return static_cast<double>(f.goodput.bps()) * 1e-6; }},
    {"rtt_mean_ms", "rtt mean ms", "/rtt_ms/mean", 1, 1, [](const F& f) { return mean_ms(f.rtt); }},
    {"rtt_p50_ms", "rtt p50 ms", "/rtt_ms/p50", 1, 1,
     [](const F& f) { return quantile_ms(f.rtt, 0.50); }},
    {"rtt_p95_ms", "rtt p95 ms", "/rtt_ms/p95", 1, 1,
     [](const F& f) { return quantile_ms(f.rtt, 0.95); }},
    {"rtt_p99_ms", "rtt p99 ms", "/rtt_ms/p99", 1, 1,
     [](const F& f) { return quantile_ms(f.rtt, 0.99); }},
    {"retransmitted_percent", "retrans %", nullptr, 1, 2, retransmitted_percent},
    {"play_delay_ms", "play delay ms", "/video/play_delay_ms", 1, 1, play_delay_ms},
    {"rebuffers", "rebuffers", "/video/rebuffers", 1, 1,
     [](const F& f) {
       return of_video(f, [](const auto& v) { return static_cast<double>(v.rebuffers); });
     }},
    {"stalled_ms", "stalled ms", "/video/stalled_ms", 1, 1,
     [](const F& f) { return of_video(f, [](const auto& v) { return to_ms(v.stalled); }); }},
    {"fetch_p50_ms", "fetch p50 ms", "/video/fetch_ms/p50", 1, 1,
     [](const F& f) { return f.video ? quantile_ms(f.video->fetch, 0.50) : std::nullopt; }},
    {"fetch_p95_ms", "fetch p95 ms", "/video/fetch_ms/p95", 1, 1,
     [](const F& f) { return f.video ? quantile_ms(f.video->fetch, 0.95) : std::nullopt; }},
    {"completed", "completed", "/web/completed", 1, 1,
     [](const F& f) {
       return of_web(f, [](const auto& w) { return static_cast<double>(w.completed); });
     }},
    {"completion_p50_ms", "completion p50 ms", "/web/completion_ms/p50", 1, 1,
     [](const F& f) { return f.web ? quantile_ms(f.web->completion, 0.50) : std::nullopt; }},
    {"completion_p95_ms", "completion p95 ms", "/web/completion_ms/p95", 1, 1,
     [](const F& f) { return f.web ? quantile_ms(f.web->completion, 0.95) : std::nullopt; }},
    {"completion_p99_ms", "completion p99 ms", "/web/completion_ms/p99", 1, 1,
     [](const F& f) { return f.web ? quantile_ms(f.web->completion, 0.99) : std::nullopt; }},
};
constexpr Figure<L> kLinkFigures[] = {
    {"used_percent", "used %", "/utilization", 100, 2,
     [](const L& l) { return l.rate.is_infinite() ? std::nullopt : Number(100 * l.utilization); }},
    {"queue_mean_ms", "queue mean ms", "/queue_ms/mean", 1, 1,
     [](const L& l) { return mean_ms(l.queue); }},
    {"queue_p50_ms", "queue p50 ms", "/queue_ms/p50", 1, 1,
     [](const L& l) { return quantile_ms(l.queue, 0.50); }},
    {"queue_p95_ms", "queue p95 ms", "/queue_ms/p95", 1, 1,
     [](const L& l) { return quantile_ms(l.queue, 0.95); }},
    {"drops", "drops", nullptr, 1, 1, drops},
};

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

template <class Of>
std::vector<double> values_of(const std::vector<Of>& rows, std::span<const Figure<Of>> figures) {
  std::vector<double> values;
  for (const Of& row : rows) {
    for (const Figure<Of>& figure : figures) values.push_back(figure.of(row).value_or(kNone));
  }
  return values;
}

// The rows of a report that has `rows`.
template <class Of>
std::vector<SpreadRow> spread_rows(const std::vector<Of>& rows, std::span<const Figure<Of>> figures,
                                   const std::vector<RunFigures>& repetitions,
                                   std::vector<double> RunFigures::*values_of) {
  std::vector<SpreadRow> result;
  size_t at = 0;
  for (const Of& of : rows) {
    SpreadRow row{.name = of.name};
    for (const Figure<Of>& figure : figures) {
      std::vector<double> values;
      for (const RunFigures& r : repetitions) values.push_back((r.*values_of).at(at));
      ++at;
      if (std::none_of(values.begin(), values.end(), [](double v) { return std::isnan(v); })) {
        row.figures[figure.key] = estimate(values);
      }
    }
    result.push_back(std::move(row));
  }
  return result;
}

std::string text_of(const SpreadRow& row, const char* key, int digits) {
  const auto found = row.figures.find(key);
  if (found == row.figures.end()) return "-";
  const Estimate& e = found->second;
  if (std::isnan(e.ci95)) return fmt::format("{:.{}f}", e.mean, digits);
  return fmt::format("{:.{}f} +-{:.{}f}", e.mean, digits, e.ci95, digits);
}

struct Shown {
  const char* key;
  const char* head;
  int digits;
};

// A table of the rows that have this figure; "" when none has.
std::string table_of(std::string_view what, const char* has, const std::vector<SpreadRow>& rows,
                     std::span<const Shown> shown) {
  Columns table;
  std::vector<std::string> head = {std::string(what)};
  for (const Shown& s : shown) head.emplace_back(s.head);
  table.add(std::move(head));
  for (const SpreadRow& row : rows) {
    if (!row.figures.contains(has)) continue;
    std::vector<std::string> cells = {row.name};
    for (const Shown& s : shown) cells.push_back(text_of(row, s.key, s.digits));
    table.add(std::move(cells));
  }
  return table.rows() > 1 ? "\n" + table.text() : "";
}

constexpr Shown kFlows[] = {{"goodput_mbps", "goodput Mbps", 3},
                            {"retransmitted_percent", "retrans %", 2},
                            {"rtt_mean_ms", "rtt mean ms", 1},
                            {"rtt_p50_ms", "p50", 1},
                            {"rtt_p95_ms", "p95", 1},
                            {"rtt_p99_ms", "p99", 1}};
constexpr Shown kVideos[] = {{"play_delay_ms", "play delay ms", 1},
                             {"rebuffers", "rebuffers", 1},
                             {"stalled_ms", "stalled ms", 1},
                             {"fetch_p50_ms", "fetch p50 ms", 1},
                             {"fetch_p95_ms", "p95", 1}};
constexpr Shown kPages[] = {{"completed", "completed", 1},
                            {"completion_p50_ms", "completion p50 ms", 1},
                            {"completion_p95_ms", "p95", 1},
                            {"completion_p99_ms", "p99", 1}};
constexpr Shown kLinks[] = {{"used_percent", "used %", 2},
                            {"queue_mean_ms", "queue mean ms", 1},
                            {"queue_p50_ms", "p50", 1},
                            {"queue_p95_ms", "p95", 1},
                            {"drops", "drops", 1}};

}  // namespace

std::span<const Figure<FlowReport>> flow_figures() {
  return kFlowFigures;
}
std::span<const Figure<LinkReport>> link_figures() {
  return kLinkFigures;
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

RunFigures run_figures(const Report& report) {
  return {.flows = values_of(report.flows, flow_figures()),
          .links = values_of(report.links, link_figures())};
}

Spread spread_of(const Report& report, const std::vector<RunFigures>& repetitions) {
  CHECK(!repetitions.empty());
  return {.runs = repetitions.size(),
          .flows = spread_rows(report.flows, flow_figures(), repetitions, &RunFigures::flows),
          .links = spread_rows(report.links, link_figures(), repetitions, &RunFigures::links)};
}

std::string to_table(const Spread& spread) {
  return table_of(fmt::format("over {} runs", spread.runs), "goodput_mbps", spread.flows, kFlows) +
         table_of("video", "rebuffers", spread.flows, kVideos) +
         table_of("short flows", "completed", spread.flows, kPages) +
         table_of("link", "used_percent", spread.links, kLinks) +
         "(mean +- half of the 95 % confidence interval)\n";
}

}  // namespace wh::lab
