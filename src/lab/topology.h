// A whole network as one file describes it, for `wh lab`: hosts, links between them, real devices,
// programs to start, checks to hold.
//
//   [[host]]
//   name = "client"
//   kind = "jail"                # a jail; "vnet": a stack of ours; "router": one with VPP's
//   commands route = "default via 10.1.0.1"
//   [[link]]
//   from = "client"
//   to = "router"
//   to_interface = "epair0a"     # else named by the lab
//   from_address = "10.1.0.2/24" # else 10.0.N.1 and 10.0.N.2 on the N-th link
//   to_address = "10.1.0.1/24"
//   delay = "10ms"               # the keys of net/link/link_config.h; none between jails: an epair
//   [[interface]]
//   name = "eth1"                # a device of the machine's, for a jail or a router
//   host = "router"
//   [[program]]
//   host = "server"
//   command = "iperf3 -s"
//   ready = "Server listening"   # what it prints once it can be used
//   [[check]]
//   host = "client"
//   ping = "10.2.0.2"            # or command = "..." with output = "...", or flow with goodput
//   [[flow]]                     # as in `wh pace`'s lab files, between vnets
//
// What `wh pace --print-lab` prints is such a file, of a path of one link: here routes are said.
// When every host is a vnet or a router without devices the lab runs in virtual time. docs/lab.md
// has all keys.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "lab/spec.h"
#include "net/address.h"

namespace wh::lab {

enum class PlaceKind : uint8_t { Vnet, Router, Jail };
std::string_view name_of(PlaceKind kind);

struct RouteSpec {
  net::Prefix destination;
  net::IpAddress gateway;
};

struct PlaceSpec {
  std::string name;
  PlaceKind kind = PlaceKind::Vnet;
  std::vector<std::string> parameters;  // Of a jail, as `jail -c` takes them, besides what it has.
  std::vector<std::string> commands;    // Once the links are there: VPP's of a router, a shell's.
  std::vector<RouteSpec> routes;
  bool forwards = false;
};

struct CableEnd {
  std::string host;
  std::string interface;
  std::vector<net::Prefix> addresses;
};

struct CableSpec {
  std::string name;
  CableEnd from, to;
  std::string config;  // As parse_link_config takes it; empty: a plain cable.
};

struct DeviceSpec {
  std::string name, host;
  std::vector<net::Prefix> addresses;
};

struct ProgramSpec {
  std::string host, command;
  std::string ready;      // Empty: it counts as ready at once.
  Duration within = 10s;  // For it to become so.
};

struct CheckSpec {
  std::string host;
  std::string command, output;  // A shell command, its status 0, and what it must print.
  std::optional<net::IpAddress> ping;
  uint64_t count = 3;        // Of echo requests.
  std::string flow;          // A flow's name,
  Rate goodput;              // and the least it must get.
  Duration within = 10s;     // It is tried again until then.
  std::string text() const;  // "client: ping 10.2.0.2"
};

struct Topology {
  std::string name;
  uint64_t seed = 1;
  Duration duration = 30s;  // Of a run in virtual time.
  std::vector<std::string> sysctls;
  std::vector<PlaceSpec> hosts;
  std::vector<CableSpec> links;
  std::vector<DeviceSpec> devices;
  std::vector<ProgramSpec> programs;
  std::vector<CheckSpec> checks;
  std::vector<FlowSpec> flows;

  bool is_real() const;  // Some host is a jail, or some device the machine's.
  const PlaceSpec* host(std::string_view name) const;
};

// `where` names the file in errors, and the lab if the file does not. Errors name the file, the
// line, the key, and what would be accepted.
Result<Topology> parse_topology(std::string_view toml, std::string_view where);

}  // namespace wh::lab
