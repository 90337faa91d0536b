#include "lab/page.h"

#include <array>
#include <cmath>

#include "core/json_text.h"
#include "kyua/report/report.h"
#include "lab/report_json.h"
#include "web.h"

namespace wh::lab {
namespace {

using Json = nlohmann::ordered_json;

// Four digits are more than a chart shows.
Json rounded(double value) {
  if (!std::isfinite(value)) return nullptr;
  if (value == 0) return 0;
  const double scale = std::pow(10.0, 3 - std::floor(std::log10(std::abs(value))));
  const double near = std::round(value * scale) / scale;
  if (near == std::floor(near) && std::abs(near) < 1e15) return static_cast<int64_t>(near);
  return near;
}

Json tracks_json(const std::vector<Track>& tracks) {
  Json json = Json::array();
  for (const Track& track : tracks) {
    Json one;
    one["name"] = track.name;
    one["channels"] = Json::object();
    for (const Channel& channel : track.channels) {
      bool has_any = false;
      Json values = Json::array();
      for (const double v : channel.values) {
        has_any |= std::isfinite(v);
        values.push_back(rounded(v));
      }
      if (has_any) one["channels"][channel.name] = std::move(values);
    }
    json.push_back(std::move(one));
  }
  return json;
}

Json series_json(const Series& series) {
  Json json;
  json["seconds"] = Json::array();
  for (const double s : series.seconds) json["seconds"].push_back(std::round(s * 1e6) / 1e6);
  json["flows"] = tracks_json(series.flows);
  json["links"] = tracks_json(series.links);
  json["winners"] = kPaceWinners;
  return json;
}

// The distribution of a histogram of nanoseconds: the values, in ms, that so many percent of all
// are at or below.
Json distribution(const Histogram& h) {
  if (h.count() == 0) return nullptr;
  Json json = Json::array();
  json.push_back({0, rounded(static_cast<double>(h.min()) * 1e-6)});
  for (int i = 1; i <= 200; ++i) {
    json.push_back({i / 2.0, rounded(static_cast<double>(h.quantile(i / 200.0)) * 1e-6)});
  }
  return json;
}

Json distributions_json(const Report& report) {
  Json json = {{"flows", Json::array()}, {"links", Json::array()}};
  for (const FlowReport& f : report.flows) {
    json["flows"].push_back({{"name", f.name}, {"rtt_ms", distribution(f.rtt)}});
  }
  for (const LinkReport& l : report.links) {
    json["links"].push_back({{"name", l.name}, {"queue_ms", distribution(l.queue)}});
  }
  return json;
}

// JSON that stands inside a script element: no tag can begin in it.
std::string embedded(const std::string& json) {
  std::string out;
  out.reserve(json.size());
  for (const char c : json) {
    if (c == '<') {
      out += "\\u003c";
    } else {
      out += c;
    }
  }
  return out;
}

// A page: `script`, one of web/'s own, draws `json`; `plain` stands for it without JavaScript.
struct PageParts {
  std::string title, json, plain;
  std::string_view script;
  bool has_charts = false;  // Needs dygraphs.
};

std::string make_page(const PageParts& parts) {
  const std::string style = parts.has_charts
                                ? fmt::format("{}\n{}", web::dygraph_min_css, web::page_css)
                                : std::string(web::page_css);
  const std::string library = parts.has_charts
                                  ? fmt::format("<script>{}</script>\n<script>{}</script>",
                                                web::dygraph_min_js, web::charts_js)
                                  : "";
  const std::pair<std::string_view, std::string> values[] = {
      {"{{title}}", kyua::escape_markup(parts.title)},
      {"{{style}}", style},
      {"{{plain}}", kyua::escape_markup(parts.plain)},
      {"{{data}}", embedded(parts.json)},
      {"{{library}}", library},
      {"{{script}}", fmt::format("{}\n{}", web::page_js, parts.script)},
  };
  // One pass over the frame, so that what is put in is not looked at again.
  std::string out;
  std::string_view frame = web::page_html;
  while (!frame.empty()) {
    const size_t at = std::min(frame.find("{{"), frame.size());
    out += frame.substr(0, at);
    frame.remove_prefix(at);
    for (const auto& [name, value] : values) {
      if (!frame.starts_with(name)) continue;
      out += value;
      frame.remove_prefix(name.size());
      break;
    }
  }
  return out;
}

}  // namespace

std::string to_page(const Report& report, const std::string& command) {
  Json json;
  json["report"] = to_document(report);
  json["command"] = command;
  json["seed"] = std::to_string(report.seed);  // A script's numbers are exact to 2^53 only.
  json["series"] = series_json(report.series);
  json["distributions"] = distributions_json(report);
  std::vector<std::string> names;
  for (const FlowReport& f : report.flows) names.push_back(f.name);
  if (names.size() > 4) names.resize(4), names.push_back("...");
  return make_page({.title = fmt::format("wh pace: {}", fmt::join(names, ", ")),
                    .json = json_text(json),
                    .plain = to_table(report),
                    .script = web::report_js,
                    .has_charts = true});
}

std::string to_sweep_page(const std::string& title, const std::string& json,
                          const std::string& plain) {
  return make_page({.title = title, .json = json, .plain = plain, .script = web::heatmap_js});
}

}  // namespace wh::lab
