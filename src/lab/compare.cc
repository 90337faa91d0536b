#include "lab/compare.h"

#include <cmath>
#include <deque>
#include <map>
#include <optional>
#include <set>

#include "core/json_text.h"
#include "lab/columns.h"
#include "lab/report_json.h"

namespace wh::lab {
namespace {

using Json = nlohmann::ordered_json;

// The flows or the links of one document; `spread` is what its repetitions say of them.
struct Side {
  std::string name;  // Of the document.
  Json rows, spread;
};

struct Value {
  double mean = 0;
  std::optional<double> ci95;
};

std::optional<double> number_at(const Json& json, const std::string& path) {
  const Json::json_pointer pointer(path);
  if (!json.contains(pointer) || !json.at(pointer).is_number()) return std::nullopt;
  return json.at(pointer).get<double>();
}

// A figure of one run that a document does not have as such.
std::optional<double> made_of_several(const Json& row, std::string_view key) {
  if (key == "retransmitted_percent") {
    const auto sent = number_at(row, "/sent_bytes"), again = number_at(row, "/retransmitted_bytes");
    if (!sent || !again) return std::nullopt;
    return *sent == 0 ? 0 : 100 * *again / *sent;
  }
  const auto drops = row.find("drops");
  if (key != "drops" || drops == row.end() || !drops->is_object()) return std::nullopt;
  double n = 0;
  for (const Json& count : *drops) n += count.is_number() ? count.get<double>() : 0;
  return n;
}

template <class Of>
std::optional<Value> value_of(const Side& side, size_t i, const Figure<Of>& figure) {
  const Json& row = side.rows[i];
  // The mean of repetitions is a better value than one of them; its rows are those of the flows.
  if (i < side.spread.size() && side.spread[i]["name"] == row["name"]) {
    const auto at = [&](const char* part) {
      return number_at(side.spread[i], fmt::format("/{}/{}", figure.key, part));
    };
    if (const auto mean = at("mean")) return Value{*mean, at("ci95")};
  }
  if (figure.path == nullptr) {
    const auto several = made_of_several(row, figure.key);
    return several ? std::optional(Value{*several, std::nullopt}) : std::nullopt;
  }
  const auto plain = number_at(row, figure.path);
  return plain ? std::optional(Value{*plain * figure.scale, std::nullopt}) : std::nullopt;
}

// Means whose intervals do not reach each other differ by more than chance. Nothing without
// intervals.
std::optional<bool> is_beyond_chance(const Value& a, const Value& b) {
  if (!a.ci95 || !b.ci95) return std::nullopt;
  return std::abs(a.mean - b.mean) > *a.ci95 + *b.ci95;
}

std::string text_of(const Value& v, int digits) {
  if (!v.ci95) return fmt::format("{:.{}f}", v.mean, digits);
  return fmt::format("{:.{}f} +-{:.{}f}", v.mean, digits, *v.ci95, digits);
}

Result<Json> read(std::string_view text, std::string_view name) {
  Json json = Json::parse(text, nullptr, false);
  if (json.is_discarded()) return fail("{}: not a JSON document", name);
  if (!json.is_object() || !json.contains("flows") || !json["flows"].is_array()) {
    return fail("{}: not a report of wh pace; accepted: what `wh pace --json` wrote", name);
  }
  for (const char* rows : {"flows", "links", "repeat/flows", "repeat/links"}) {
    const Json::json_pointer at(fmt::format("/{}", rows));
    if (!json.contains(at)) continue;
    const auto is_named = [](const Json& row) {
      return row.is_object() && row.contains("name") && row["name"].is_string();
    };
    if (!json[at].is_array() || !std::all_of(json[at].begin(), json[at].end(), is_named)) {
      return fail("{}: one of its {} has no name; accepted: what `wh pace --json` wrote", name,
                  rows);
    }
  }
  return json;
}

Side side_of(const Json& document, std::string_view name, const char* rows) {
  const Json none = Json::array();
  const Json::json_pointer spread(fmt::format("/repeat/{}", rows));
  return {std::string(name), document.contains(rows) ? document[rows] : none,
          document.contains(spread) ? document[spread] : none};
}

using Pair = std::pair<std::optional<size_t>, std::optional<size_t>>;

// By name, the n-th of one name with the n-th of it there; when no name is on both sides, by order.
// Who has nobody comes too, without the other.
std::vector<Pair> pairs_of(const Json& a, const Json& b) {
  std::map<std::string, std::deque<size_t>> called;  // Those of b that have nobody yet.
  for (size_t j = 0; j < b.size(); ++j) called[b[j]["name"]].push_back(j);
  std::vector<Pair> pairs;
  std::set<size_t> taken;
  for (size_t i = 0; i < a.size(); ++i) {
    std::optional<size_t> partner;
    if (auto& alike = called[a[i]["name"]]; !alike.empty()) {
      partner = alike.front();
      alike.pop_front();
      taken.insert(*partner);
    }
    pairs.emplace_back(i, partner);
  }
  if (taken.empty()) {
    for (size_t i = 0; i < std::min(a.size(), b.size()); ++i) pairs[i].second = i, taken.insert(i);
  }
  for (size_t j = 0; j < b.size(); ++j) {
    if (!taken.contains(j)) pairs.emplace_back(std::nullopt, j);
  }
  return pairs;
}

// A way back that never had a queue is of no interest.
bool is_idle(const Side& side, size_t i) {
  const std::string name = side.rows[i]["name"];
  const bool is_back = name.ends_with(".rev") || name.find(".rev (") != std::string::npos;
  return is_back && number_at(side.rows[i], "/queue_ms/p95").value_or(0) <= 1 &&
         made_of_several(side.rows[i], "drops").value_or(0) == 0;
}

// What is compared so far.
struct Comparing {
  Json rows = Json::array();
  std::vector<std::string> only_a, only_b;  // Flows that are in one document alone.
  bool has_single = false;                  // Figures that chance may have made.
};

template <class Of>
void add_figures(Comparing& c, Columns& table, const char* what, const std::string& label,
                 const Side& a, size_t i, const Side& b, size_t j,
                 std::span<const Figure<Of>> figures) {
  for (const Figure<Of>& figure : figures) {
    const auto x = value_of(a, i, figure), y = value_of(b, j, figure);
    if (!x || !y) continue;
    const double change = y->mean - x->mean;
    const auto beyond = is_beyond_chance(*x, *y);
    c.has_single |= !beyond.has_value();
    table.add({label, figure.name, text_of(*x, figure.digits), text_of(*y, figure.digits),
               fmt::format("{:+.{}f}", change, figure.digits),
               x->mean == 0 ? "-" : fmt::format("{:+.1f}", 100 * change / x->mean),
               !beyond ? "?" : (*beyond ? "yes" : "no")});
    c.rows.push_back({{what, label},
                      {"figure", figure.name},
                      {"a", x->mean},
                      {"b", y->mean},
                      {"difference", change},
                      {"beyond_chance", beyond ? Json(*beyond) : Json(nullptr)}});
  }
}

// The table of all flows, or of all links; "" when there is nothing to compare.
template <class Of>
std::string add_rows(Comparing& c, const char* what, const Side& a, const Side& b,
                     std::span<const Figure<Of>> figures) {
  Columns table;
  table.add({what, "figure", a.name, b.name, "difference", "%", "beyond chance"});
  for (const auto& [i, j] : pairs_of(a.rows, b.rows)) {
    if (!i || !j) {
      (i ? c.only_a : c.only_b).push_back(i ? a.rows[*i]["name"] : b.rows[*j]["name"]);
      continue;
    }
    if (is_idle(a, *i) && is_idle(b, *j)) continue;
    const std::string first = a.rows[*i]["name"], second = b.rows[*j]["name"];
    add_figures(c, table, what, first == second ? first : first + " / " + second, a, *i, b, *j,
                figures);
  }
  return table.rows() > 1 ? table.text() : "";
}

}  // namespace

Result<Comparison> compare(std::string_view a, std::string_view name_a, std::string_view b,
                           std::string_view name_b) {
  const Json left = TRY(read(a, name_a)), right = TRY(read(b, name_b));
  Comparing c;
  Comparison result;
  result.table = add_rows(c, "flow", side_of(left, name_a, "flows"),
                          side_of(right, name_b, "flows"), flow_figures());
  if (c.rows.empty()) return fail("{} and {} have no flow in common", name_a, name_b);
  const std::string links = add_rows(c, "link", side_of(left, name_a, "links"),
                                     side_of(right, name_b, "links"), link_figures());
  if (!links.empty()) result.table += "\n" + links;
  if (c.has_single) {
    result.table += "(?: a figure of one run; `wh pace --repeat N` tells chance from difference)\n";
  }
  for (const auto& [name, only] : {std::pair(name_a, &c.only_a), {name_b, &c.only_b}}) {
    if (!only->empty()) {
      result.table += fmt::format("only in {}: {}\n", name, fmt::join(*only, ", "));
    }
  }
  const Json json = {{"a", name_a},
                     {"b", name_b},
                     {"rows", std::move(c.rows)},
                     {"only_a", c.only_a},
                     {"only_b", c.only_b}};
  result.json = json_text(json, 2) + "\n";
  return result;
}

}  // namespace wh::lab
