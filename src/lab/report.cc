#include "lab/report.h"

#include <algorithm>
#include <nlohmann/json.hpp>

namespace wh::lab {
namespace {

using Json = nlohmann::ordered_json;

// Rounded to the microsecond, so that a document does not claim more than a histogram bucket knows.
double ms(uint64_t ns) {
  return std::round(static_cast<double>(ns) / 1e3) / 1e3;
}
double ms(double ns) {
  return std::round(ns / 1e3) / 1e3;
}

Json percentiles(const Histogram& h, bool with_min) {
  if (h.count() == 0) return nullptr;
  Json json;
  if (with_min) json["min"] = ms(h.min());
  json["mean"] = ms(h.mean());
  json["p50"] = ms(h.quantile(0.50));
  json["p95"] = ms(h.quantile(0.95));
  json["p99"] = ms(h.quantile(0.99));
  json["max"] = ms(h.max());
  return json;
}

Json flow_json(const FlowReport& flow) {
  Json json;
  json["name"] = flow.name;
  json["cc"] = flow.cc;
  json["profile"] = flow.profile;
  json["goodput_bps"] = flow.goodput.bps();
  json["delivered_bytes"] = flow.delivered.count();
  json["sent_bytes"] = flow.sent.count();
  json["retransmitted_bytes"] = flow.retransmitted.count();
  json["rtt_ms"] = percentiles(flow.rtt, true);
  json["cwnd_bytes"] = flow.cwnd.count();
  json["pace_bps"] = flow.pace ? Json(flow.pace->bps()) : Json(nullptr);
  if (!flow.failure.empty()) json["failure"] = flow.failure;
  return json;
}

Json link_json(const LinkReport& link) {
  Json json;
  json["name"] = link.name;
  json["rate_bps"] = link.rate.is_infinite() ? Json(nullptr) : Json(link.rate.bps());
  json["utilization"] = std::round(link.utilization * 1e6) / 1e6;
  json["queue_ms"] = percentiles(link.queue, false);
  json["drops"] = Json::object();
  for (const auto& [reason, count] : link.drops) json["drops"][reason] = count;
  return json;
}

// Rows of cells, each column as wide as its widest cell; the first column to the left, the rest to
// the right.
class Columns {
 public:
  void add(std::vector<std::string> row) { rows_.push_back(std::move(row)); }
  std::string text() const {
    std::vector<size_t> width;
    for (const auto& row : rows_) {
      width.resize(std::max(width.size(), row.size()));
      for (size_t i = 0; i < row.size(); ++i) width[i] = std::max(width[i], row[i].size());
    }
    std::string out;
    for (const auto& row : rows_) {
      std::string line;
      for (size_t i = 0; i < row.size(); ++i) {
        line += i == 0 ? fmt::format("{:<{}}", row[i], width[i])
                       : fmt::format("  {:>{}}", row[i], width[i]);
      }
      line.erase(line.find_last_not_of(' ') + 1);
      out += line + '\n';
    }
    return out;
  }

 private:
  std::vector<std::vector<std::string>> rows_;
};

std::string mbps(Rate rate) {
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
    table.add({f.name, f.cc, f.pace ? mbps(*f.pace) : "-", mbps(f.goodput),
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

}  // namespace

double Report::jain() const {
  double sum = 0, squares = 0;
  for (const FlowReport& f : flows) {
    const auto x = static_cast<double>(f.goodput.bps());
    sum += x;
    squares += x * x;
  }
  return squares == 0 ? 1 : sum * sum / (static_cast<double>(flows.size()) * squares);
}

std::string to_table(const Report& report) {
  std::string text = flow_rows(report) + "\n" + link_rows(report);
  text += fmt::format("\nJain's index {:.4f}, {} of {} time, seed {}{}\n", report.jain(),
                      to_string(report.duration), report.real_time ? "real" : "virtual",
                      report.seed, report.interrupted ? ", interrupted" : "");
  return text;
}

std::string to_json(const Report& report) {
  Json json;
  json["version"] = WH_VERSION;
  json["seed"] = report.seed;
  json["time"] = report.real_time ? "real" : "virtual";
  json["duration_s"] = to_seconds(report.duration);
  json["warmup_s"] = to_seconds(report.warmup);
  json["interrupted"] = report.interrupted;
  json["flows"] = Json::array();
  for (const FlowReport& flow : report.flows) json["flows"].push_back(flow_json(flow));
  json["links"] = Json::array();
  for (const LinkReport& link : report.links) json["links"].push_back(link_json(link));
  json["jain"] = std::round(report.jain() * 1e6) / 1e6;
  json["lab"] = report.lab;
  return json.dump(2) + "\n";
}

}  // namespace wh::lab
