#include "lab/compare.h"

#include <cmath>
#include <nlohmann/json.hpp>
#include <optional>

#include "lab/columns.h"

namespace wh::lab {
namespace {

using Json = nlohmann::ordered_json;

// One figure of a flow: where a document has it, and where its repetitions do.
struct Figure {
  const char* name;    // In the comparison.
  const char* path;    // Of the flow.
  const char* spread;  // In repeat.flows; null when it is not there.
  double scale;
  int digits;
};
constexpr Figure kFigures[] = {
    {"goodput Mbps", "/goodput_bps", "goodput_mbps", 1e-6, 3},
    {"rtt mean ms", "/rtt_ms/mean", "rtt_mean_ms", 1, 1},
    {"rtt p50 ms", "/rtt_ms/p50", "rtt_p50_ms", 1, 1},
    {"rtt p95 ms", "/rtt_ms/p95", "rtt_p95_ms", 1, 1},
    {"rtt p99 ms", "/rtt_ms/p99", nullptr, 1, 1},
    {"retrans %", nullptr, "retransmitted_percent", 1, 2},
};

struct Value {
  double mean = 0;
  std::optional<double> ci95;
};

std::optional<double> number_at(const Json& json, const char* path) {
  const Json::json_pointer pointer(path);
  if (!json.contains(pointer) || !json.at(pointer).is_number()) return std::nullopt;
  return json.at(pointer).get<double>();
}

std::optional<Value> value_of(const Json& document, const Json& flow, const Figure& figure) {
  // The mean of repetitions is a better value than one of them.
  if (figure.spread != nullptr && document.contains("/repeat/flows"_json_pointer)) {
    for (const Json& f : document["repeat"]["flows"]) {
      if (f.value("name", "") != flow.value("name", "") || !f.contains(figure.spread)) continue;
      const std::string at = fmt::format("/{}/", figure.spread);
      if (const auto mean = number_at(f, (at + "mean").c_str())) {
        return Value{*mean, number_at(f, (at + "ci95").c_str())};
      }
    }
  }
  if (figure.path == nullptr) {
    const auto sent = number_at(flow, "/sent_bytes"),
               again = number_at(flow, "/retransmitted_bytes");
    if (!sent || !again) return std::nullopt;
    return Value{*sent == 0 ? 0 : 100 * *again / *sent, std::nullopt};
  }
  const auto plain = number_at(flow, figure.path);
  if (!plain) return std::nullopt;
  return Value{*plain * figure.scale, std::nullopt};
}

// Means whose intervals do not reach each other differ by more than chance. Nothing without
// intervals.
std::optional<bool> is_beyond_chance(const Value& a, const Value& b) {
  if (!a.ci95 || !b.ci95) return std::nullopt;
  return std::abs(a.mean - b.mean) > *a.ci95 + *b.ci95;
}

std::string text_of(const std::optional<Value>& v, int digits) {
  if (!v) return "-";
  if (!v->ci95) return fmt::format("{:.{}f}", v->mean, digits);
  return fmt::format("{:.{}f} +-{:.{}f}", v->mean, digits, *v->ci95, digits);
}

Result<Json> read(std::string_view text, std::string_view name) {
  Json json = Json::parse(text, nullptr, false);
  if (json.is_discarded()) return fail("{}: not a JSON document", name);
  if (!json.is_object() || !json.contains("flows") || !json["flows"].is_array()) {
    return fail("{}: not a report of wh pace; accepted: what `wh pace --json` wrote", name);
  }
  for (const Json& flow : json["flows"]) {
    if (!flow.is_object() || !flow.contains("name") || !flow["name"].is_string()) {
      return fail("{}: a flow without a name; accepted: what `wh pace --json` wrote", name);
    }
  }
  return json;
}

const Json* partner_of(const Json& flow, size_t index, const Json& others, bool by_name) {
  if (!by_name) return index < others.size() ? &others[index] : nullptr;
  for (const Json& other : others) {
    if (other["name"] == flow["name"]) return &other;
  }
  return nullptr;
}

bool share_a_name(const Json& a, const Json& b) {
  for (const Json& flow : a) {
    if (partner_of(flow, 0, b, true) != nullptr) return true;
  }
  return false;
}

}  // namespace

Result<Comparison> compare(std::string_view a, std::string_view name_a, std::string_view b,
                           std::string_view name_b) {
  const Json left = TRY(read(a, name_a)), right = TRY(read(b, name_b));
  const bool by_name = share_a_name(left["flows"], right["flows"]);
  Columns table;
  table.add({"flow", "figure", std::string(name_a), std::string(name_b), "difference", "%",
             "beyond chance"});
  Json rows = Json::array();
  size_t index = 0;
  for (const Json& flow : left["flows"]) {
    const Json* other = partner_of(flow, index++, right["flows"], by_name);
    if (other == nullptr) continue;
    const std::string first = flow["name"], second = (*other)["name"];
    const std::string label = first == second ? first : first + " / " + second;
    for (const Figure& figure : kFigures) {
      const auto x = value_of(left, flow, figure), y = value_of(right, *other, figure);
      if (!x || !y) continue;
      const double change = y->mean - x->mean;
      const auto beyond = is_beyond_chance(*x, *y);
      table.add({label, figure.name, text_of(x, figure.digits), text_of(y, figure.digits),
                 fmt::format("{:+.{}f}", change, figure.digits),
                 x->mean == 0 ? "-" : fmt::format("{:+.1f}", 100 * change / x->mean),
                 !beyond ? "?" : (*beyond ? "yes" : "no")});
      rows.push_back({{"flow", label},
                      {"figure", figure.name},
                      {"a", x->mean},
                      {"b", y->mean},
                      {"difference", change},
                      {"beyond_chance", beyond ? Json(*beyond) : Json(nullptr)}});
    }
  }
  if (rows.empty()) return fail("{} and {} have no flow in common", name_a, name_b);
  Comparison result{.table = table.text()};
  if (table.text().find(" ?\n") != std::string::npos) {
    result.table += "(?: a figure of one run; `wh pace --repeat N` tells chance from difference)\n";
  }
  const Json json = {{"a", name_a}, {"b", name_b}, {"rows", std::move(rows)}};
  result.json = json.dump(2) + "\n";
  return result;
}

}  // namespace wh::lab
