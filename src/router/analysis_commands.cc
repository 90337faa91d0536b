// What happens to packets, told by the graph's own books: runtime, errors, traces, the graph; and
// nodes added to it.
#include <filesystem>

#include "router/command.h"
#include "router/reports.h"
#include "vnet/show.h"

namespace wh::router {
namespace {

Result<Answer> show_runtime(Router& router, const Arguments&) {
  return Answer::of(runtime_report(router));
}

Result<Answer> clear_runtime(Router& router, const Arguments&) {
  router.vnet().clear_runtime();
  return Answer::nothing();
}

Result<Answer> show_errors(Router& router, const Arguments&) {
  return Answer::of(error_report(router));
}

Result<Answer> clear_errors(Router& router, const Arguments&) {
  router.clear_errors();
  return Answer::nothing();
}

Result<Answer> show_graph(Router& router, const Arguments& a) {
  auto report = graph::graph_report(router.vnet().graph());
  if (!a.has("dot") && !a.has("--dot")) return Answer::of(std::move(report));
  return Answer{[report] { return format_dot(report); }, [report] { return to_json(report); }};
}

Result<Answer> add_trace(Router& router, const Arguments& a) {
  const auto count = static_cast<uint32_t>(a.number("count"));
  TRY(router.vnet().graph().trace_add(a["node"], count));
  return Answer::nothing();
}

Result<Answer> show_trace(Router& router, const Arguments&) {
  std::string text;
  nlohmann::json all = nlohmann::json::array();
  router.for_all([&](const Router& r) {
    text += format_traces(r.vnet().graph(), r.thread());
    for (auto& packet : traces_to_json(r.vnet().graph())) all.push_back(std::move(packet));
  });
  return Answer{[text] { return text; }, [all] { return all; }};
}

Result<Answer> clear_trace(Router& router, const Arguments&) {
  router.vnet().graph().clear_trace();
  return Answer::nothing();
}

Result<Answer> start_pcap(Router& router, const Arguments& a) {
  PcapTrace::Options options{.rx = a.has("rx"),
                             .tx = a.has("tx"),
                             .drop = a.has("drop"),
                             .max = a.number("max", 1000),
                             .path = a.get("file", "/tmp/trace.pcap")};
  if (a.has("intfc") && !a.has("any")) options.interface = TRY(router.index_of(a["intfc"]));
  // VPP's users give a name, which goes to /tmp.
  if (options.path.find('/') == std::string::npos) options.path = "/tmp/" + options.path;
  // With workers each thread writes what it sees to a part of its own, until all are stopped.
  if (router.thread() != 0 || router.has_replicas()) {
    options.part = fmt::format(".{}", router.thread());
  }
  TRY(router.pcap().start(options));
  return Answer::of_text("pcap trace to " + options.path);
}

uint64_t pcap_packets(const Router& router) {
  uint64_t packets = 0;
  router.for_all([&](const Router& r) { packets += r.pcap().packets(); });
  const auto& options = router.pcap().options();
  return options ? std::min(packets, options->max) : packets;
}

// One file of what all threads saw, in order; the parts go. Stops all of them whatever fails.
Result<uint64_t> stop_everywhere(Router& router) {
  if (!router.has_replicas()) return router.pcap().stop();
  if (!router.pcap().is_on()) return fail("no pcap trace is going on");
  std::vector<std::string> parts;
  Result<void> stopped;
  router.each([&](Router& r) {
    if (!r.pcap().is_on()) return;  // It could not begin there.
    parts.push_back(r.pcap().options()->path + r.pcap().options()->part);
    if (auto end = r.pcap().stop(); !end && stopped) stopped = tl::unexpected(end.error());
  });
  TRY(stopped);
  const PcapTrace::Options& options = *router.pcap().options();
  const uint64_t packets = TRY(net::merge_captures(parts, options.path, options.max));
  std::error_code stays;  // In a folder that may not be written any more.
  for (const std::string& part : parts) std::filesystem::remove(part, stays);
  return packets;
}

Result<Answer> stop_pcap(Router& router, const Arguments&) {
  const uint64_t packets = TRY(stop_everywhere(router));
  const std::string path = router.pcap().options()->path;
  return Answer{
      [=] { return fmt::format("Write {} packets to {}, and stop capture...\n", packets, path); },
      [=] {
        return nlohmann::json{{"packets", packets}, {"file", path}};
      }};
}

Result<Answer> show_pcap(Router& router, const Arguments&) {
  const auto& options = router.pcap().options();
  const bool is_on = router.pcap().is_on();
  const uint64_t packets = pcap_packets(router);
  const std::string path = options ? options->path : "";
  return Answer{[=] {
                  if (!is_on) return std::string("no pcap trace is going on\n");
                  return fmt::format("pcap trace to {}: {} packets\n", path, packets);
                },
                [=] {
                  return nlohmann::json{{"on", is_on}, {"packets", packets}, {"file", path}};
                }};
}

Result<Answer> load_plugin(Router& router, const Arguments& a) {
  // A startup configuration may have loaded what a saved one asks for.
  if (!router.has_plugin(a["file"])) TRY(router.load_plugin(a["file"]));
  return Answer::nothing();
}

Result<Answer> show_plugins(Router& router, const Arguments&) {
  std::string text;
  nlohmann::json all = nlohmann::json::array();
  for (const auto& library : router.plugins()) {
    text += library->path() + "\n";
    all.push_back(library->path());
  }
  return Answer{[text] { return text; }, [all] { return all; }};
}

Result<Answer> insert_node(Router& router, const Arguments& a) {
  graph::Graph& graph = router.vnet().graph();
  TRY(graph.insert(TRY(graph.index_of(a["node"])), TRY(graph.index_of(a["before"]))));
  return Answer::nothing();
}

Result<Answer> take_out_node(Router& router, const Arguments& a) {
  graph::Graph& graph = router.vnet().graph();
  TRY(graph.take_out(TRY(graph.index_of(a["node"]))));
  return Answer::nothing();
}

void list_nodes(const Router& router, ConfigurationLines& lines) {
  for (const auto& library : router.plugins()) {
    lines.push_back({"plugin load " + quote_word(library->path()), ""});
  }
  const graph::Graph& graph = router.vnet().graph();
  auto name = [&](graph::NodeIndex node) { return graph.nodes()[node].node->name(); };
  for (const auto& i : graph.insertions()) {
    lines.push_back({fmt::format("node insert {} before {}", name(i.node), name(i.before)),
                     fmt::format("node remove {}", name(i.node))});
  }
}

}  // namespace

Feature analysis_feature() {
  return {{{"show runtime", "calls, vectors and clocks of each node", show_runtime},
           everywhere("clear runtime", "begin those books anew", clear_runtime),
           {"show errors", "what was counted, with node and reason", show_errors},
           everywhere("clear errors", "set those counts to zero", clear_errors),
           {"show vlib graph [dot|--dot]", "the nodes and what they hand packets to", show_graph},
           everywhere("trace add <node> <count:1..4096>",
                      "trace the next packets that come to a node", add_trace),
           {"show trace", "what each node did to the traced packets", show_trace},
           everywhere("clear trace", "forget the traces, and trace no more", clear_trace),
           everywhere("pcap trace (rx|tx|drop) [rx|tx|drop | max <max:1..1000000000> | intfc "
                      "(any|<intfc:interface>) | file <file>]*",
                      "write packets to a capture file", start_pcap),
           {"pcap trace off", "end that", stop_pcap},
           {"show pcap trace", "how far it is", show_pcap},
           setting("plugin load <file>", "add the nodes of a shared object, for good", load_plugin),
           {"show plugins", "the shared objects that were loaded", show_plugins},
           setting("node insert <node:insertable> before <before:node>",
                   "put a plugin's node into every way to another", insert_node),
           setting("node remove <node:insertable>", "take it out again", take_out_node)},
          list_nodes};
}

}  // namespace wh::router
