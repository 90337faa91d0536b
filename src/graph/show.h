// The graph's books as tables: what `show runtime`, `show errors`, `show trace` and `show vlib
// graph` print.
//
// Each has a report (plain values, taken at one instant), the report as text in VPP's columns, and
// as JSON. The reports are the interface; a command line, a metrics page or a test takes what it
// needs.
#pragma once

#include <nlohmann/json_fwd.hpp>
#include <string>
#include <vector>

#include "graph/graph.h"

namespace wh::graph {

struct RuntimeRow {
  std::string name;
  std::string state;  // "active", "polling", "interrupt wa", "any wait"
  uint64_t calls = 0, vectors = 0, suspends = 0;
  // Per packet; per call or suspend where no packets came. 0 without a cycle counter.
  double clocks = 0;
  double vectors_per_call = 0;
};
struct RuntimeReport {
  Duration elapsed{};      // Since the books were cleared.
  double vector_rate = 0;  // Packets per call over all internal nodes.
  double loops_per_second = 0;
  double in_per_second = 0, out_per_second = 0, drop_per_second = 0, punt_per_second = 0;
  std::vector<RuntimeRow> rows;  // By name; only nodes that did something.
};
// Packets that left and that were given to the host are counted by nodes the graph does not know.
struct Departures {
  uint64_t out = 0, punted = 0;
};
RuntimeReport runtime_report(const Graph& graph, Departures departures);
std::string format(const RuntimeReport& report);
nlohmann::json to_json(const RuntimeReport& report);

struct ErrorRow {
  uint64_t count = 0;
  std::string node, name, reason;
  Severity severity = Severity::Error;
};
struct ErrorReport {
  // Only what was counted, in the nodes' order; last, as of a node named `graph`, what it dropped
  // for want of a frame.
  std::vector<ErrorRow> rows;
};
ErrorReport error_report(const Graph& graph);
std::string format(const ErrorReport& report);
nlohmann::json to_json(const ErrorReport& report);
const char* to_string(Severity severity);

struct GraphRow {
  std::string name;
  std::vector<std::string> next;      // By arc, error-drop first.
  std::vector<std::string> previous;  // By name.
};
struct GraphReport {
  std::vector<GraphRow> rows;  // By name.
};
GraphReport graph_report(const Graph& graph);
std::string format(const GraphReport& report);
std::string format_dot(const GraphReport& report);  // For graphviz.
nlohmann::json to_json(const GraphReport& report);

// `show trace`: per packet, each node's account with the time since the graph was made. Thread 0 is
// the main one, the others are workers.
std::string format_traces(const Graph& graph, uint32_t thread = 0);
nlohmann::json traces_to_json(const Graph& graph);

// Table manners shared with the vnet's reports.
std::string centred(std::string_view text, size_t width);  // The odd space goes to the left.
std::string trimmed(std::string line);             // Without spaces at its end, and with a newline.
std::string scientific(double value, int digits);  // 1.03e3
std::string clock_time(Duration since_start);      // 00:00:18:805261

}  // namespace wh::graph
