#include "lab/sweep.h"

#include <fmt/format.h>
#include <strings.h>
#include <toml++/toml.h>

#include <algorithm>
#include <cmath>
#include <map>
#include <tuple>

#include "lab/report_json.h"
#include "lab/runs.h"
#include "lab/synthetic.h"

namespace wh::lab {
namespace {

constexpr size_t kMaxValues = 100'000;

tl::unexpected<Error> bad(std::string_view where, const toml::node& node, std::string_view key,
                          std::string_view text) {
  return fail("{}:{}: sweep: {}: {}", where, node.source().begin.line, key, text);
}

std::string number_text(double value) {
  return value == std::floor(value) && std::abs(value) < 1e15
             ? std::to_string(static_cast<int64_t>(value))
             : fmt::format("{:.12g}", value);  // 0.3, not what is left of three times 0.1.
}

// { from = 1, to = 9, step = 2 }
Result<std::vector<std::string>> read_range(std::string_view where, std::string_view name,
                                            const toml::table& range) {
  for (const auto& [key, node] : range) {
    if (key != "from" && key != "to" && key != "step") {
      return bad(where, node, name, "unknown key of a range; accepted: from, to, step");
    }
  }
  const auto from = range["from"].value<double>(), to = range["to"].value<double>();
  const auto step = range.contains("step") ? range["step"].value<double>() : 1.0;
  // Not a number, where one of them is infinite or none.
  const double steps = from && to && step ? std::floor((*to - *from) / *step + 1e-9) : -1;
  if (!(steps >= 0) || !(*step > 0)) {
    return bad(where, range, name,
               "not a range; accepted: { from = 1, to = 9, step = 2 }, rising, step above 0");
  }
  if (steps >= static_cast<double>(kMaxValues)) {
    return bad(where, range, name, fmt::format("more than {} values", kMaxValues));
  }
  std::vector<std::string> values;
  for (double i = 0; i <= steps; ++i) values.push_back(number_text(*from + i * *step));
  return values;
}

Result<std::vector<std::string>> read_list(std::string_view where, std::string_view name,
                                           const toml::node& node) {
  const auto* array = node.as_array();
  if (array == nullptr || array->empty() || array->size() > kMaxValues) {
    return bad(where, node, name,
               "not a list of values; accepted: [\"1Mbps\", \"5Mbps\"], [1, 2], or a range "
               "{ from = 1, to = 9, step = 2 }");
  }
  std::vector<std::string> values;
  for (const toml::node& value : *array) {
    if (const auto* s = value.as_string()) {
      values.push_back(s->get());
    } else if (const auto* i = value.as_integer()) {
      values.push_back(std::to_string(i->get()));
    } else if (const auto* f = value.as_floating_point()) {
      values.push_back(number_text(f->get()));
    } else {
      return bad(where, value, name, "a value is a text or a number");
    }
  }
  return values;
}

Result<std::vector<std::string>> read_values(std::string_view where, std::string_view name,
                                             const toml::node& node) {
  const auto* range = node.as_table();
  auto values =
      TRY(range != nullptr ? read_range(where, name, *range) : read_list(where, name, node));
  auto sorted = values;
  std::sort(sorted.begin(), sorted.end());
  if (const auto twice = std::adjacent_find(sorted.begin(), sorted.end()); twice != sorted.end()) {
    return bad(where, node, name, fmt::format("the value '{}' stands there twice", *twice));
  }
  return values;
}

// Whether its traces can be read, and what they carry goes together with the rest.
Result<void> check_traces(net::LinkConfig& link,
                          std::map<std::string, std::shared_ptr<const net::Trace>>& known) {
  net::DirectionConfig* const directions[] = {&link.forward, &link.reverse};
  for (net::DirectionConfig* d : directions) {
    if (const auto at = known.find(d->trace_file); at != known.end()) d->trace = at->second;
  }
  TRY(load_traces(link));
  for (const net::DirectionConfig* d : directions) {
    if (d->trace != nullptr) known[d->trace_file] = d->trace;
  }
  return {};
}

bool is_identifier(std::string_view name) {
  return !name.empty() && std::all_of(name.begin(), name.end(), [](char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_';
  });
}

}  // namespace

Result<Sweep> Sweep::parse(std::string_view text, std::string_view where) {
  Sweep sweep{std::string(text), std::string(where)};
  TRY(sweep.read_parameters());
  TRY(sweep.check_all());
  return sweep;
}

Result<void> Sweep::read_parameters() {
  toml::table table;
  try {
    table = toml::parse(text_, where_);
  } catch (const toml::parse_error& e) {
    return fail("{}:{}: {}", where_, e.source().begin.line, e.description());
  }
  const toml::table* sweep = table["sweep"].as_table();
  if (sweep == nullptr) {
    return fail(
        "{}: there is no [sweep] table; accepted: one that lists the values of each "
        "parameter",
        where_);
  }
  // toml++ keeps keys in alphabetical order; people mean the order in which they wrote them.
  std::vector<std::tuple<uint32_t, uint32_t, std::string>> order;
  for (const auto& [key, node] : *sweep) {
    const auto& at = key.source().begin;
    order.emplace_back(at.line, at.column, std::string(key.str()));
  }
  std::sort(order.begin(), order.end());
  for (const auto& [line, column, name] : order) {
    const toml::node& node = *sweep->get(name);
    if (name == "repeat") {
      const auto n = node.value<int64_t>();
      if (!n || *n < 1 || *n > kMaxRepeat) {
        return bad(where_, node, name, fmt::format("a whole number from 1 to {}", kMaxRepeat));
      }
      repeat_ = static_cast<uint32_t>(*n);
      continue;
    }
    if (!is_identifier(name)) {
      return bad(where_, node, name, "a parameter's name has letters, digits and _");
    }
    // Its column in the results is called so, and SQL makes no difference.
    const auto alike = std::find_if(
        parameters_.begin(), parameters_.end(),
        [&](const SweepParameter& p) { return ::strcasecmp(p.name.c_str(), name.c_str()) == 0; });
    if (alike != parameters_.end()) {
      return bad(
          where_, node, name,
          fmt::format("differs from '{}' by capitals only; accepted: another name", alike->name));
    }
    if (text_.find("${" + name + "}") == std::string::npos) {
      return bad(where_, node, name, fmt::format("nothing in the lab says ${{{}}}", name));
    }
    parameters_.push_back({name, TRY(read_values(where_, name, node))});
  }
  double points = repeat_;
  for (const SweepParameter& p : parameters_) points *= static_cast<double>(p.values.size());
  if (points > static_cast<double>(kMaxSweepPoints)) {
    return fail("{}: {:.0f} points; one sweep takes at most {}", where_, points, kMaxSweepPoints);
  }
  return {};
}

size_t Sweep::combinations() const {
  size_t n = 1;
  for (const SweepParameter& p : parameters_) n *= p.values.size();
  return n;
}

std::vector<std::string> Sweep::values(size_t point) const {
  CHECK(point < points());
  size_t rest = point / repeat_;
  std::vector<std::string> values(parameters_.size());
  for (size_t i = parameters_.size(); i-- > 0;) {
    const auto& all = parameters_[i].values;
    values[i] = all[rest % all.size()];
    rest /= all.size();
  }
  return values;
}

Result<LabSpec> Sweep::lab(size_t point) const {
  LabValues names;
  const auto chosen = values(point);
  for (size_t i = 0; i < parameters_.size(); ++i) names[parameters_[i].name] = chosen[i];
  LabSpec spec = TRY(parse_lab(text_, where_, &names));
  spec.seed += repetition(point);
  if (repeat_ > 1 && spec.start_jitter == 0s) {
    spec.start_jitter = std::min<Duration>(kRepeatJitter, spec.duration / 10);
  }
  if (spec.is_real())
    return fail("{}: a sweep runs in virtual time; without a kernel host", where_);
  return spec;
}

Result<void> Sweep::check_all() const {
  std::map<std::string, std::shared_ptr<const net::Trace>> traces;  // Each is read once.
  for (size_t i = 0; i < points(); i += repeat_) {
    auto spec = lab(i);
    auto good = spec ? Result<void>() : Result<void>(tl::unexpected(spec.error()));
    for (size_t j = 0; good && j < spec->links.size(); ++j) {
      good = check_traces(spec->links[j].config, traces);
    }
    if (good) continue;
    const std::string with = fmt::to_string(fmt::join(values(i), ", "));
    return fail("{}{}", good.error().text, with.empty() ? "" : " (with " + with + ")");
  }
  return {};
}

Result<std::string> Sweep::run(size_t point, const std::atomic<bool>& stop) const {
  const RunResult result = TRY(run_plan(
      {.spec = TRY(lab(point))}, [](double) {}, stop));
  if (result.report.interrupted) {
    return fail_with(std::errc::operation_canceled, fmt::format("point {}", point));
  }
  return to_document(result.report).dump();
}

}  // namespace wh::lab
