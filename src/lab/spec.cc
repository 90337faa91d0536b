#include "lab/spec.h"

#include <algorithm>
#include <charconv>
#include <set>

#include "core/sysctl.h"
#include "pacing/path_capacity.h"
#include "tcp/congestion/builtin.h"

namespace wh::lab {
namespace {

const std::vector<std::string> kFlowKeys = {
    "name", "cc",   "rate", "profile", "fcc",        "start", "bytes", "count", "ip",
    "rtt",  "from", "to",   "reverse", "background", "onoff", "web",   "video"};

Result<uint64_t> parse_count(std::string_view text, uint64_t low, uint64_t high) {
  uint64_t n = 0;
  const char* end = text.data() + text.size();
  const auto [stop, error] = std::from_chars(text.data(), end, n);
  if (error != std::errc() || stop != end || n < low || n > high) {
    return fail("'{}' is not a whole number from {} to {}", text, low, high);
  }
  return n;
}

Result<void> set_cc(FlowSpec& flow, std::string_view value) {
  const auto known = congestion_controls();
  if (std::find(known.begin(), known.end(), value) == known.end()) {
    return fail("unknown congestion control '{}'; accepted: {}", value, fmt::join(known, ", "));
  }
  flow.cc = value;
  return {};
}

// A rate, 0 for no cap, a share of the capacity, or `auto`, the default share.
Result<void> set_fcc(FlowSpec& flow, std::string_view value) {
  flow.fcc.reset();
  flow.fcc_share = 0;
  if (value == "auto") {
    flow.fcc_share = pacing::PathCapacity::kAutoShare;
  } else if (value.ends_with('%')) {
    flow.fcc_share =
        static_cast<uint32_t>(TRY(parse_count(value.substr(0, value.size() - 1), 1, 100)));
  } else if (const auto rate = value == "0" ? Result<Rate>(Rate()) : parse_rate(value);
             rate && *rate <= net::kFastestLink) {
    flow.fcc = *rate;
  } else {
    return fail(
        "'{}' is not an FCC; accepted: a rate such as 5Mbps, at most {}, 0 for no cap, a share of "
        "the capacity such as 25%, auto",
        value, net::kFastestLink);
  }
  return {};
}

bool is_workload(std::string_view word) {
  const auto& words = workload_words();
  return std::find(words.begin(), words.end(), word) != words.end();
}

Result<void> set_flow_key(FlowSpec& flow, std::string_view key, std::string_view value) {
  if (key == "cc") {
    TRY(set_cc(flow, value));
  } else if (key == "rate") {
    const Rate rate = TRY(parse_rate(value));
    if (rate < 8_kbps || rate > net::kFastestLink) {
      return fail("'{}' cannot be paced; accepted: 8kbps to {}", value, net::kFastestLink);
    }
    flow.rate = rate;
  } else if (key == "profile") {
    if (value != "dgp" && value != "fill") {
      return fail("unknown profile '{}'; accepted: dgp, fill", value);
    }
    flow.is_dgp = value == "dgp";
    flow.is_fill = value == "fill";
  } else if (key == "fcc") {
    TRY(set_fcc(flow, value));
  } else if (key == "start") {
    flow.start = TRY(parse_duration(value));
    if (flow.start < 0s) return fail("'{}' is before the run begins; accepted: 0s or more", value);
  } else if (key == "bytes") {
    flow.bytes = TRY(parse_bytes(value));
    if (*flow.bytes <= 0_B) return fail("'{}' sends nothing; accepted: 1B or more", value);
  } else if (key == "count") {
    flow.count = static_cast<uint32_t>(TRY(parse_count(value, 1, kMaxConnections)));
  } else if (key == "ip") {
    if (value != "4" && value != "6")
      return fail("'{}' is not an IP version; accepted: 4, 6", value);
    flow.ip = value == "6" ? 6 : 4;
  } else if (key == "name" || key == "from" || key == "to") {
    TRY(check_name(value));
    (key == "name" ? flow.name : key == "from" ? flow.from : flow.to) = value;
  } else if (key == "rtt") {
    flow.rtt = TRY(parse_duration(value));
    if (*flow.rtt <= 0s || *flow.rtt > std::chrono::hours(1)) {
      return fail("'{}' is no round trip; accepted: above 0s, at most 1h", value);
    }
  } else if (key == "background") {
    if (!value.empty()) return fail("'{}' given to a word that takes no value", value);
    flow.background = true;
  } else if (is_workload(key)) {
    if (!flow.is_bulk())
      return fail("the flow has a workload already: {}", print_workload(flow.workload));
    flow.workload = TRY(parse_workload(key, value));
  } else {
    const std::string near = nearest(key, kFlowKeys);
    return fail("unknown key; accepted: {}{}", fmt::join(kFlowKeys, ", "),
                near.empty() ? "" : fmt::format(" (did you mean {}?)", near));
  }
  return {};
}

struct FlowWord {
  std::string_view key, value;
  bool has_value = false;
};

// The first word may be a congestion control's bare name, or `dgp`.
FlowWord read_word(std::string_view word, bool is_first) {
  const size_t equals = word.find('=');
  if (equals != std::string_view::npos) {
    return {word.substr(0, equals), word.substr(equals + 1), true};
  }
  const auto known = congestion_controls();
  if (is_first && std::find(known.begin(), known.end(), word) != known.end()) {
    return {"cc", word, true};
  }
  if (is_first && word == "dgp") return {"profile", word, true};
  return {word};
}

// What a flow is called where no other is like it.
std::string label_of(const FlowSpec& flow) {
  if (!flow.name.empty()) return flow.name;
  std::string label = flow.cc;
  if (flow.is_dgp) label = flow.cc == "newreno" ? "dgp" : "dgp/" + flow.cc;
  if (flow.is_fill) label += " fill";
  if (flow.fcc_share > 0) label += fmt::format(" {}%", flow.fcc_share);
  if (flow.fcc) label += flow.fcc->is_zero() ? " no-fcc" : " " + to_string(*flow.fcc);
  if (flow.rate) label += " " + to_string(*flow.rate);
  if (!flow.is_bulk()) {
    const std::string workload = print_workload(flow.workload);
    label += " " + workload.substr(0, workload.find('='));
  }
  return label;
}

}  // namespace

uint64_t LabSpec::connections() const {
  uint64_t n = 0;
  for (const FlowSpec& flow : flows) n += flow.count;
  return n;
}

bool LabSpec::has_host(std::string_view name) const {
  return std::any_of(hosts.begin(), hosts.end(), [&](const HostSpec& h) { return h.name == name; });
}

void LabSpec::assign(std::string sysctl) {
  const std::string begins = sysctl.substr(0, sysctl.find('=')) + "=";
  std::erase_if(sysctls, [&](const std::string& s) { return s.starts_with(begins); });
  sysctls.push_back(std::move(sysctl));
}

bool LabSpec::is_real() const {
  return std::any_of(hosts.begin(), hosts.end(),
                     [](const HostSpec& h) { return h.kind == HostKind::Kernel; });
}

Result<void> check_name(std::string_view name) {
  auto is_plain = [](char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
           std::string_view(" ._-+/").find(c) != std::string_view::npos;
  };
  if (!name.empty() && std::all_of(name.begin(), name.end(), is_plain)) return {};
  return fail("'{}' is not a name; accepted: letters, digits, space and ._-+/", name);
}

std::vector<std::string> congestion_controls() {
  return {tcp::kBuiltinCongestion.begin(), tcp::kBuiltinCongestion.end()};
}

Result<FlowSpec> parse_flow(std::string_view text) {
  if (text.empty()) {
    return fail(
        "flow: nothing is said of it; accepted: a congestion control ({}), dgp, or KEY=VALUE,... "
        "such as cc=cubic,start=5s",
        fmt::join(congestion_controls(), ", "));
  }
  FlowSpec flow{.from = "sender", .to = "receiver"};
  bool reverse = false;
  std::set<std::string_view> seen;
  for (size_t at = 0; at <= text.size();) {
    const size_t end = std::min(text.find(',', at), text.size());
    const FlowWord word = read_word(text.substr(at, end - at), at == 0);
    at = end + 1;
    if (word.key.empty()) return fail("flow '{}': a key is missing beside a comma", text);
    Result<void> set = {};
    if (!seen.insert(word.key).second) {
      set = fail("is given twice");
    } else if (word.key != "reverse") {
      set = set_flow_key(flow, word.key, word.value);
    } else if (word.has_value) {
      set = fail("'{}' given to a word that takes no value", word.value);
    } else {
      reverse = true;
    }
    if (!set) {
      return tl::unexpected(
          std::move(set.error()).within(fmt::format("flow '{}': {}", text, word.key)));
    }
  }
  if ((flow.fcc || flow.fcc_share > 0) && !flow.is_dgp) {
    return fail("flow '{}': fcc: only DGP has an FCC; write dgp,fcc=...", text);
  }
  const auto& under_dgp = tcp::kLossBasedCongestion;
  if (flow.is_dgp && std::find(under_dgp.begin(), under_dgp.end(), flow.cc) == under_dgp.end()) {
    return fail("flow '{}': cc: DGP goes over a loss-based control; accepted: {}", text,
                fmt::join(under_dgp, ", "));
  }
  if (flow.rate && (flow.is_dgp || flow.is_fill)) {
    return fail("flow '{}': rate: a profile chooses the rate itself; leave out one of the two",
                text);
  }
  if (reverse) std::swap(flow.from, flow.to);
  return flow;
}

std::vector<std::string> flow_names(const std::vector<FlowSpec>& flows) {
  std::map<std::string, uint64_t> alike, numbered;
  for (const FlowSpec& flow : flows) alike[label_of(flow)] += flow.count;
  const auto is_anothers = [&](const std::string& name) {
    const auto found = alike.find(name);
    return found != alike.end() && found->second == 1;
  };
  std::vector<std::string> names;
  for (const FlowSpec& flow : flows) {
    const std::string label = label_of(flow);
    for (uint32_t i = 0; i < flow.count; ++i) {
      std::string name = label;
      if (alike[label] > 1) {
        do {
          name = fmt::format("{}-{}", label, ++numbered[label]);
        } while (is_anothers(name));
      }
      names.push_back(std::move(name));
    }
  }
  return names;
}

std::string print_flow(const FlowSpec& flow) {
  const std::string text = print_flow_without_ends(flow);
  if (flow.from == "receiver" && flow.to == "sender") return text + ",reverse";
  if (flow.from == "sender" && flow.to == "receiver") return text;
  return text + fmt::format(",from={},to={}", flow.from, flow.to);
}

std::string print_flow_without_ends(const FlowSpec& flow) {
  std::string text = "cc=" + flow.cc;
  if (!flow.name.empty()) text += ",name=" + flow.name;
  if (flow.rate) text += ",rate=" + to_string(*flow.rate);
  if (flow.is_dgp || flow.is_fill) text += flow.is_dgp ? ",profile=dgp" : ",profile=fill";
  if (flow.fcc_share > 0) text += fmt::format(",fcc={}%", flow.fcc_share);
  if (flow.fcc) text += ",fcc=" + (flow.fcc->is_zero() ? "0" : to_string(*flow.fcc));
  if (flow.start != 0s) text += ",start=" + to_string(flow.start);
  if (flow.bytes) text += ",bytes=" + to_string(*flow.bytes);
  if (flow.count != 1) text += fmt::format(",count={}", flow.count);
  if (flow.ip != 4) text += ",ip=6";
  if (flow.rtt) text += ",rtt=" + to_string(*flow.rtt);
  if (!flow.is_bulk()) text += "," + print_workload(flow.workload);
  if (flow.background) text += ",background";
  return text;
}

}  // namespace wh::lab
