// What happens to packets, told by the graph's own books: runtime, errors, traces, the graph.
#include "graph/show.h"
#include "router/command.h"
#include "vnet/show.h"

namespace wh::router {
namespace {

Result<Answer> show_runtime(Router& router, const Arguments&) {
  return Answer::of(vnet::runtime_report(router.vnet()));
}

Result<Answer> clear_runtime(Router& router, const Arguments&) {
  router.vnet().clear_runtime();
  return Answer::nothing();
}

Result<Answer> show_errors(Router& router, const Arguments&) {
  return Answer::of(graph::error_report(router.vnet().graph()));
}

Result<Answer> clear_errors(Router& router, const Arguments&) {
  router.vnet().graph().clear_errors();
  return Answer::nothing();
}

Result<Answer> show_graph(Router& router, const Arguments& a) {
  auto report = graph::graph_report(router.vnet().graph());
  if (!a.has("dot") && !a.has("--dot")) return Answer::of(std::move(report));
  return Answer{[report] { return format_dot(report); }, [report] { return to_json(report); }};
}

Result<Answer> add_trace(Router& router, const Arguments& a) {
  const auto count = static_cast<uint32_t>(a.number("count"));
  TRY_VOID(router.vnet().graph().trace_add(a["node"], count));
  return Answer::nothing();
}

Result<Answer> show_trace(Router& router, const Arguments&) {
  const graph::Graph& graph = router.vnet().graph();
  return Answer{[&graph] { return format_traces(graph); },
                [&graph] { return traces_to_json(graph); }};
}

Result<Answer> clear_trace(Router& router, const Arguments&) {
  router.vnet().graph().clear_trace();
  return Answer::nothing();
}

}  // namespace

Feature analysis_feature() {
  return {{{"show runtime", "calls, vectors and clocks of each node", show_runtime},
           {"clear runtime", "begin those books anew", clear_runtime},
           {"show errors", "what was counted, with node and reason", show_errors},
           {"clear errors", "set those counts to zero", clear_errors},
           {"show vlib graph [dot|--dot]", "the nodes and what they hand packets to", show_graph},
           {"trace add <node> <count:1..4096>", "trace the next packets that come to a node",
            add_trace},
           {"show trace", "what each node did to the traced packets", show_trace},
           {"clear trace", "forget the traces, and trace no more", clear_trace}}};
}

}  // namespace wh::router
