#include "graph/show.h"

#include <algorithm>
#include <nlohmann/json.hpp>

namespace wh::graph {
namespace {

using nlohmann::json;

const char* state_of(NodeKind kind) {
  switch (kind) {
    case NodeKind::Internal:
    case NodeKind::Input: return "active";            // Devices hand it frames; nothing polls it.
    case NodeKind::Interrupt: return "interrupt wa";  // As VPP's column cuts it.
    case NodeKind::Process: return "any wait";
  }
  UNREACHABLE();
}

double ratio(double a, double b) {
  return b > 0 ? a / b : 0;
}

}  // namespace

std::string centred(std::string_view text, size_t width) {
  const size_t pad = width > text.size() ? width - text.size() : 0;
  return fmt::format("{:{}}{}{:{}}", "", (pad + 1) / 2, text, "", pad / 2);
}

std::string trimmed(std::string line) {
  line.erase(line.find_last_not_of(' ') + 1);
  return line + '\n';
}

std::string scientific(double value, int digits) {
  const std::string text = fmt::format("{:.{}e}", value, digits);  // 1.03e+03
  const size_t e = text.find('e');
  return fmt::format("{}e{}", text.substr(0, e), std::stoi(text.substr(e + 1)));
}

std::string clock_time(Duration since_start) {
  const int64_t us = since_start.count() / 1000;
  const int64_t s = us / 1'000'000;
  return fmt::format("{:02}:{:02}:{:02}:{:06}", s / 3600, s / 60 % 60, s % 60, us % 1'000'000);
}

// --- runtime ---

RuntimeReport runtime_report(const Graph& graph, Departures departures) {
  RuntimeReport report;
  report.elapsed = graph.loop().now() - graph.runtime_since();
  const double seconds = to_seconds(report.elapsed);
  uint64_t calls = 0, vectors = 0;
  for (const NodeRuntime& node : graph.nodes()) {
    if (node.calls == 0 && node.suspends == 0) continue;
    const NodeKind kind = node.node->spec().kind;
    if (kind == NodeKind::Internal) calls += node.calls, vectors += node.vectors;
    const uint64_t per = node.vectors > 0 ? node.vectors : node.calls + node.suspends;
    report.rows.push_back({.name = node.node->name(),
                           .state = state_of(kind),
                           .calls = node.calls,
                           .vectors = node.vectors,
                           .suspends = node.suspends,
                           .clocks = ratio(double(node.clocks), double(per)),
                           .vectors_per_call = ratio(double(node.vectors), double(node.calls))});
  }
  std::sort(report.rows.begin(), report.rows.end(),
            [](const RuntimeRow& a, const RuntimeRow& b) { return a.name < b.name; });
  report.vector_rate = ratio(double(vectors), double(calls));
  report.loops_per_second = ratio(double(graph.loops()), seconds);
  report.in_per_second = ratio(double(graph.vectors_in()), seconds);
  report.out_per_second = ratio(double(departures.out), seconds);
  report.drop_per_second = ratio(double(graph.drops()), seconds);
  report.punt_per_second = ratio(double(departures.punted), seconds);
  return report;
}

std::string format(const RuntimeReport& r) {
  std::string out = fmt::format(
      "Time {:.1f}, 10 sec internal node vector rate {:.2f} loops/sec {:.2f}\n"
      "  vector rates in {}, out {}, drop {}, punt {}\n",
      to_seconds(r.elapsed), r.vector_rate, r.loops_per_second, scientific(r.in_per_second, 4),
      scientific(r.out_per_second, 4), scientific(r.drop_per_second, 4),
      scientific(r.punt_per_second, 4));
  std::string header = centred("Name", 30) + centred("State", 12);
  for (const char* column : {"Calls", "Vectors", "Suspends", "Clocks", "Vectors/Call"}) {
    header += centred(column, 16);
  }
  out += trimmed(std::move(header));
  for (const RuntimeRow& row : r.rows) {
    out += fmt::format("{:<30}{}{:16}{:16}{:16}{:>16}{:16.2f}\n", row.name.substr(0, 30),
                       centred(row.state, 12), row.calls, row.vectors, row.suspends,
                       scientific(row.clocks, 2), row.vectors_per_call);
  }
  return out;
}

json to_json(const RuntimeReport& r) {
  json nodes = json::array();
  for (const RuntimeRow& row : r.rows) {
    nodes.push_back({{"name", row.name},
                     {"state", row.state},
                     {"calls", row.calls},
                     {"vectors", row.vectors},
                     {"suspends", row.suspends},
                     {"clocks", row.clocks},
                     {"vectors_per_call", row.vectors_per_call}});
  }
  return {{"elapsed_s", to_seconds(r.elapsed)},     {"vector_rate", r.vector_rate},
          {"loops_per_second", r.loops_per_second}, {"in_per_second", r.in_per_second},
          {"out_per_second", r.out_per_second},     {"drop_per_second", r.drop_per_second},
          {"punt_per_second", r.punt_per_second},   {"nodes", nodes}};
}

// --- errors ---

const char* to_string(Severity severity) {
  switch (severity) {
    case Severity::Error: return "error";
    case Severity::Warning: return "warn";
    case Severity::Info: return "info";
  }
  UNREACHABLE();
}

ErrorReport error_report(const Graph& graph) {
  ErrorReport report;
  for (const ErrorCount& e : graph.errors()) {
    if (e.count == 0) continue;
    const ErrorSpec& spec = graph.error_spec(e);
    report.rows.push_back(
        {e.count, graph.nodes()[e.node].node->name(), spec.name, spec.text, spec.severity});
  }
  if (graph.overflow_drops() > 0) {
    report.rows.push_back({graph.overflow_drops(), "graph", "overflow", "too many frames pending"});
  }
  return report;
}

std::string format(const ErrorReport& report) {
  std::string out = trimmed(centred("Count", 10) + centred("Node", 35) + centred("Reason", 35) +
                            centred("Severity", 10));
  for (const ErrorRow& row : report.rows) {
    // A text that fills its column is still parted from the next.
    auto column = [](const std::string& text) {
      return centred(text, 35) + (text.size() < 35 ? "" : " ");
    };
    out += trimmed(fmt::format("{:10}{}{}{}", row.count, column(row.node), column(row.reason),
                               centred(to_string(row.severity), 10)));
  }
  return out;
}

json to_json(const ErrorReport& report) {
  json rows = json::array();
  for (const ErrorRow& row : report.rows) {
    rows.push_back({{"count", row.count},
                    {"node", row.node},
                    {"name", row.name},
                    {"reason", row.reason},
                    {"severity", to_string(row.severity)}});
  }
  return rows;
}

// --- graph ---

GraphReport graph_report(const Graph& graph) {
  GraphReport report;
  const auto& nodes = graph.nodes();
  std::vector<std::vector<std::string>> previous(nodes.size());
  for (const NodeRuntime& node : nodes) {
    for (const NodeIndex next : node.arcs) previous[next].push_back(node.node->name());
  }
  for (const NodeRuntime& node : nodes) {
    GraphRow row{node.node->name(), {}, std::move(previous[node.node->index()])};
    for (const NodeIndex next : node.arcs) row.next.push_back(nodes[next].node->name());
    std::sort(row.previous.begin(), row.previous.end());
    row.previous.erase(std::unique(row.previous.begin(), row.previous.end()), row.previous.end());
    report.rows.push_back(std::move(row));
  }
  std::sort(report.rows.begin(), report.rows.end(),
            [](const GraphRow& a, const GraphRow& b) { return a.name < b.name; });
  return report;
}

std::string format(const GraphReport& report) {
  std::string out = trimmed(centred("Name", 26) + centred("Next", 26) + centred("Previous", 26));
  for (const GraphRow& row : report.rows) {
    const size_t lines = std::max({row.next.size(), row.previous.size(), size_t{1}});
    for (size_t i = 0; i < lines; ++i) {
      const std::string next =
          i < row.next.size() ? fmt::format("{} [{}]", row.next[i], i) : std::string();
      const std::string previous = i < row.previous.size() ? row.previous[i] : std::string();
      out += trimmed(fmt::format("{:<26}{}{}", i == 0 ? row.name : "", centred(next, 26),
                                 centred(previous, 26)));
    }
    out += '\n';
  }
  return out;
}

std::string format_dot(const GraphReport& report) {
  std::string out = "digraph vlib {\n";
  for (const GraphRow& row : report.rows) {
    for (const std::string& next : row.next) {
      if (next != "error-drop") out += fmt::format("  \"{}\" -> \"{}\";\n", row.name, next);
    }
  }
  return out + "}\n";
}

json to_json(const GraphReport& report) {
  json rows = json::array();
  for (const GraphRow& row : report.rows) {
    rows.push_back({{"name", row.name}, {"next", row.next}, {"previous", row.previous}});
  }
  return rows;
}

// --- traces ---

std::string format_traces(const Graph& graph, uint32_t thread) {
  const std::string name = thread == 0 ? "vpp_main" : fmt::format("vpp_wk_{}", thread - 1);
  std::string out =
      fmt::format("------------------- Start of thread {} {} -------------------\n", thread, name);
  if (graph.traces().empty()) return out + "No packets in trace buffer\n";
  size_t number = 0;
  for (const PacketTrace& trace : graph.traces()) {
    out += fmt::format("Packet {}\n\n", ++number);
    for (const TraceRecord& record : trace.records) {
      out += fmt::format("{}: {}\n", clock_time(record.when - graph.started()), record.node);
      std::string_view text = record.text;
      while (!text.empty()) {
        const size_t end = std::min(text.find('\n'), text.size());
        out += fmt::format("  {}\n", text.substr(0, end));
        text.remove_prefix(std::min(end + 1, text.size()));
      }
    }
    if (trace.records_lost > 0) out += fmt::format("({} more)\n", trace.records_lost);
    out += '\n';
  }
  return out;
}

json traces_to_json(const Graph& graph) {
  json packets = json::array();
  for (const PacketTrace& trace : graph.traces()) {
    json records = json::array();
    for (const TraceRecord& record : trace.records) {
      records.push_back({{"time_s", to_seconds(record.when - graph.started())},
                         {"node", record.node},
                         {"text", record.text}});
    }
    packets.push_back({{"records", records}, {"records_lost", trace.records_lost}});
  }
  return packets;
}

}  // namespace wh::graph
