// The JSON document and the CSV rows of a report.
#include <cmath>

#include "lab/report_json.h"

#include "core/json_text.h"
#include "lab/columns.h"

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

double round_to(double value, int digits) {
  const double scale = std::pow(10.0, digits);
  return std::round(value * scale) / scale;
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

Json video_json(const VideoReport& video) {
  Json json;
  const bool has_begun = video.play_delay != Duration::max();
  json["play_delay_ms"] =
      has_begun ? Json(ms(static_cast<uint64_t>(video.play_delay.count()))) : Json(nullptr);
  json["rebuffers"] = video.rebuffers;
  json["stalled_ms"] = ms(static_cast<uint64_t>(video.stalled.count()));
  json["chunks"] = video.chunks;
  json["fetch_ms"] = percentiles(video.fetch, true);
  return json;
}

Json web_json(const WebReport& web) {
  Json json;
  json["started"] = web.started;
  json["completed"] = web.completed;
  json["failed"] = web.failed;
  json["completion_ms"] = percentiles(web.completion, true);
  return json;
}

Json estimate_json(const Estimate& e) {
  Json json;
  json["mean"] = round_to(e.mean, 6);
  json["ci95"] = std::isnan(e.ci95) ? Json(nullptr) : Json(round_to(e.ci95, 6));
  return json;
}

template <class Of>
Json spread_json(const std::vector<SpreadRow>& rows, std::span<const Figure<Of>> figures) {
  Json json = Json::array();
  for (const SpreadRow& row : rows) {
    Json one = {{"name", row.name}};
    for (const Figure<Of>& figure : figures) {
      const auto found = row.figures.find(figure.key);
      if (found != row.figures.end()) one[figure.key] = estimate_json(found->second);
    }
    json.push_back(std::move(one));
  }
  return json;
}

Json spread_json(const Spread& spread) {
  return {{"runs", spread.runs},
          {"flows", spread_json(spread.flows, flow_figures())},
          {"links", spread_json(spread.links, link_figures())}};
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
  if (flow.background) json["background"] = true;
  if (!flow.workload.empty()) json["workload"] = flow.workload;
  if (flow.video) json["video"] = video_json(*flow.video);
  if (flow.web) json["web"] = web_json(*flow.web);
  if (!flow.failure.empty()) json["failure"] = flow.failure;
  return json;
}

Json link_json(const LinkReport& link) {
  Json json;
  json["name"] = link.name;
  json["rate_bps"] = link.rate.is_infinite() ? Json(nullptr) : Json(link.rate.bps());
  json["utilization"] = round_to(link.utilization, 6);
  json["queue_ms"] = percentiles(link.queue, false);
  json["drops"] = Json::object();
  for (const auto& [reason, count] : link.drops) json["drops"][reason] = count;
  json["events"] = Json::object();
  for (const auto& [what, count] : link.events) json["events"][what] = count;
  return json;
}

std::string ms_field(const Histogram& h, double q) {
  return h.count() == 0 ? "" : fmt::format("{}", ms(h.quantile(q)));
}

// What a flow's video and its short flows have to say.
std::string workload_fields(const FlowReport& f) {
  std::string out = ",,,,,";
  if (f.video) {
    const VideoReport& v = *f.video;
    const bool has_begun = v.play_delay != Duration::max();
    out = fmt::format("{},{},{},{},{},{}",
                      has_begun ? fmt::format("{}", round_to(to_ms(v.play_delay), 3)) : "",
                      v.rebuffers, round_to(to_ms(v.stalled), 3), v.chunks, ms_field(v.fetch, 0.50),
                      ms_field(v.fetch, 0.95));
  }
  if (!f.web) return out + ",,,,,,";
  const WebReport& w = *f.web;
  return out + fmt::format(",{},{},{},{},{},{}", w.started, w.completed, w.failed,
                           ms_field(w.completion, 0.50), ms_field(w.completion, 0.95),
                           ms_field(w.completion, 0.99));
}

std::string csv_row(const FlowReport& f, uint64_t seed) {
  const bool sampled = f.rtt.count() != 0;
  std::string out =
      fmt::format("{},{},{},{},{},{},{},{},{},", csv_field(f.name), csv_field(f.cc), f.profile,
                  csv_field(f.workload), f.background ? 1 : 0, f.goodput.bps(), f.delivered.count(),
                  f.sent.count(), f.retransmitted.count());
  out +=
      fmt::format("{},{},{},{},{},{},{},{},{},", sampled ? fmt::format("{}", ms(f.rtt.min())) : "",
                  sampled ? fmt::format("{}", ms(f.rtt.mean())) : "", ms_field(f.rtt, 0.50),
                  ms_field(f.rtt, 0.95), ms_field(f.rtt, 0.99), ms_field(f.rtt, 1.0),
                  f.cwnd.count(), f.pace ? fmt::format("{}", f.pace->bps()) : "", seed);
  return out + workload_fields(f) + "\n";
}

}  // namespace

nlohmann::ordered_json to_document(const Report& report) {
  Json json;
  json["version"] = WH_VERSION;
  json["seed"] = report.seed;
  json["time"] = report.real_time ? "real" : "virtual";
  if (report.real_time) json["behind_ms"] = round_to(to_ms(report.behind), 3);
  json["duration_s"] = to_seconds(report.duration);
  json["warmup_s"] = to_seconds(report.warmup);
  json["interrupted"] = report.interrupted;
  if (report.alone) json["alone"] = true;
  json["flows"] = Json::array();
  for (const FlowReport& flow : report.flows) json["flows"].push_back(flow_json(flow));
  json["links"] = Json::array();
  for (const LinkReport& link : report.links) json["links"].push_back(link_json(link));
  json["hosts"] = Json::array();
  for (const HostReport& h : report.hosts)
    json["hosts"].push_back({{"name", h.name}, {"tcp", h.tcp}});
  json["jain"] = round_to(report.jain(), 6);
  if (report.spread) json["repeat"] = spread_json(*report.spread);
  json["lab"] = report.lab;
  return json;
}

std::string to_json(const Report& report) {
  return json_text(to_document(report), 2) + "\n";
}

std::string csv_head() {
  return "name,cc,profile,workload,background,goodput_bps,delivered_bytes,sent_bytes,"
         "retransmitted_bytes,rtt_min_ms,rtt_mean_ms,rtt_p50_ms,rtt_p95_ms,rtt_p99_ms,rtt_max_ms,"
         "cwnd_bytes,pace_bps,seed,play_delay_ms,rebuffers,stalled_ms,chunks,fetch_p50_ms,"
         "fetch_p95_ms,started,completed,failed,completion_p50_ms,completion_p95_ms,"
         "completion_p99_ms\n";
}

std::string csv_rows(const Report& report) {
  std::string out;
  for (const FlowReport& f : report.flows) out += csv_row(f, report.seed);
  return out;
}

}  // namespace wh::lab
