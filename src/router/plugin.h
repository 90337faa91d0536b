// A node in a shared object of its own.
//
//   // drop_nth.cc, built to drop_nth.so (examples/node)
//   WH_NODE_PLUGIN(plugin) { plugin.graph.add(std::make_unique<DropNth>(plugin)); }
//
//   wh router unix { interactive } plugins { path /usr/lib/wheelhouse plugin drop_nth.so { enable }
//   } vpp# node insert drop-nth before ip4-lookup
//
// The object is built against these headers with the compiler that built the router, and refused
// when it was not: WH_PLUGIN_ABI says what both must agree on. Nodes it adds declare arc 1 to
// where packets go on; when a node that is_insertable is inserted before another, that arc leads
// there.
#pragma once

#include "vnet/vnet.h"

#define WH_PLUGIN_ABI "wheelhouse node 2, g++ ABI " WH_PLUGIN_TEXT(__GXX_ABI_VERSION)
#define WH_PLUGIN_TEXT(x) WH_PLUGIN_TEXT_(x)
#define WH_PLUGIN_TEXT_(x) #x

namespace wh::router {

// What a plugin's function is given.
struct NodePlugin {
  vnet::Vnet& vnet;
  graph::Graph& graph;
  SysctlTree& sysctl;  // For the plugin's tunables.
};

}  // namespace wh::router

// NOLINTBEGIN: the names are what the loader asks for.
#define WH_NODE_PLUGIN(argument)                                                      \
  extern "C" __attribute__((visibility("default"))) const char wh_node_plugin_abi[] = \
      WH_PLUGIN_ABI;                                                                  \
  extern "C" __attribute__((visibility("default"))) void wh_node_plugin(              \
      wh::router::NodePlugin& argument);                                              \
  void wh_node_plugin(wh::router::NodePlugin& argument)
// NOLINTEND
