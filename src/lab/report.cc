#include "lab/report.h"

#include <algorithm>

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

std::string counts_text(const std::map<std::string, uint64_t>& counts) {
  std::string text;
  for (const auto& [what, count] : counts) {
    text += fmt::format("{}{} {}", text.empty() ? "" : ", ", count, what);
  }
  return text.empty() ? "none" : text;
}

// The column of events is there when there were any.
std::string link_rows(const Report& report) {
  const bool has_events = std::any_of(report.links.begin(), report.links.end(),
                                      [](const LinkReport& l) { return !l.events.empty(); });
  Columns table;
  const auto add = [&](std::vector<std::string> row, std::string events) {
    if (has_events) row.push_back(std::move(events));
    table.add(std::move(row));
  };
  add({"link", "rate", "used %", "queue mean ms", "p50", "p95", "p99", "max", "drops"}, "events");
  for (const LinkReport& l : report.links) {
    // A wire has nothing to say.
    if (l.rate.is_infinite() && l.drops.empty() && l.events.empty()) continue;
    const bool sampled = l.queue.count() != 0;
    add({l.name, to_string(l.rate), fmt::format("{:.2f}", 100 * l.utilization),
         sampled ? ms_text(l.queue.mean()) : "-", quantile_text(l.queue, 0.50),
         quantile_text(l.queue, 0.95), quantile_text(l.queue, 0.99), quantile_text(l.queue, 1.0),
         counts_text(l.drops)},
        counts_text(l.events));
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

}  // namespace

void FlowReport::leave_out(const FlowReport& warmup) {
  delivered -= warmup.delivered;
  sent -= warmup.sent;
  retransmitted -= warmup.retransmitted;
  rtt = rtt.since(warmup.rtt);
  if (video && warmup.video) {
    const VideoReport& before = *warmup.video;
    if (before.play_delay != Duration::max()) video->play_delay = Duration::max();
    video->chunks -= before.chunks;
    video->rebuffers -= before.rebuffers;
    video->stalled -= before.stalled;
    video->fetch = video->fetch.since(before.fetch);
  }
  if (web && warmup.web) {
    const WebReport& before = *warmup.web;
    web->started -= before.started;
    web->completed -= before.completed;
    web->failed -= before.failed;
    web->completion = web->completion.since(before.completion);
  }
}

void HostReport::leave_out(const HostReport& warmup) {
  for (const auto& [counter, before] : warmup.tcp) {
    const auto now = tcp.find(counter);
    if ((now->second -= before) == 0) tcp.erase(now);
  }
}

bool Report::is_behind() const {
  return behind * 10 > duration - warmup;
}

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

std::string to_table(const Report& report) {
  std::string text;
  if (report.spread) text += fmt::format("The first of {} runs:\n", report.spread->runs);
  text += flow_rows(report) + workload_rows(report) + "\n" + link_rows(report);
  if (report.spread) text += to_table(*report.spread);
  text += fmt::format("\nJain's index {:.4f}, {} of {} time, seed {}{}\n", report.jain(),
                      to_string(report.duration), report.real_time ? "real" : "virtual",
                      report.seed, report.interrupted ? ", interrupted" : "");
  if (report.is_behind()) {
    text += fmt::format(
        "This machine was {:.0f} ms behind, more than a tenth of the time: figures that say little "
        "of the path.\nA longer --duration helps, and so do fewer flows.\n",
        to_ms(report.behind));
  }
  return text;
}

}  // namespace wh::lab
