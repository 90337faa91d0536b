// A vnet's tables as reports: plain values taken at one instant, the same as text in VPP's columns,
// and as JSON. What the graph counts (runtime, errors, traces) is in graph/show.h; runtime_report()
// here adds what left.
#pragma once

#include <map>
#include <nlohmann/json_fwd.hpp>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "graph/show.h"
#include "vnet/vnet.h"

namespace wh::vnet {

struct InterfaceRow {
  std::string name;
  uint16_t index = 0;
  bool up = false;
  uint32_t mtu = 0;
  std::vector<std::pair<std::string, uint64_t>> counters = {};  // All of them, by VPP's names.
  bool has_carrier = true;  // As far as whoever has the devices can tell.
};
std::vector<InterfaceRow> interface_report(const Vnet& vnet);  // By name.
std::string format(const std::vector<InterfaceRow>& rows);     // `show interface`
nlohmann::json to_json(const std::vector<InterfaceRow>& rows);

struct AddressRow {
  std::string name;
  bool up = false;
  struct Address {
    net::Prefix prefix;
    std::string state;  // "", "tentative", "duplicated"
  };
  std::vector<Address> addresses;
};
std::vector<AddressRow> address_report(const Vnet& vnet);  // By name.
std::string format(const std::vector<AddressRow>& rows);   // `show interface address`
nlohmann::json to_json(const std::vector<AddressRow>& rows);

struct NeighbourRow {
  Duration age{};  // Since what is known was last heard.
  net::IpAddress address;
  std::string state;
  bool is_static = false;
  std::optional<net::MacAddress> mac;  // Nothing while it is being asked for.
  std::string interface;
  size_t pending = 0;
};
std::vector<NeighbourRow> neighbour_report(const Vnet& vnet, net::Family family);
std::string format(const std::vector<NeighbourRow>& rows);  // `show ip neighbors`
nlohmann::json to_json(const std::vector<NeighbourRow>& rows);

struct FibRow {
  net::Prefix prefix;
  std::string source;
  AdjacencyIndex adjacency = 0;
  std::string forwarding;           // What is done with a packet.
  uint64_t packets = 0, bytes = 0;  // That took this adjacency.
  struct Way {
    std::string forwarding;
    uint32_t buckets = 0;   // Of Balance::kBuckets.
    std::vector<Way> ways;  // Of a recursive one: where that leads, to the end.
  };
  std::vector<Way> ways;  // Of a balance: where its flows go now. Empty for all else.
};
struct FibReport {
  net::Family family = net::Family::V4;
  uint32_t vrf = 0;
  std::vector<FibRow> rows;  // By prefix.
};
// Of a VRF that exists; no rows for another.
FibReport fib_report(const Vnet& vnet, net::Family family, uint32_t vrf = 0);
// How many prefixes of each length a table has, of those that it has.
std::map<uint8_t, size_t> fib_lengths(const Vnet& vnet, net::Family family, uint32_t vrf);
// At most so many prefixes of a table, in order, behind one of them or from the first on; and of
// those the ones that are known still: for a table that is told in pieces.
std::vector<net::Prefix> fib_prefixes(const Vnet& vnet, net::Family family, uint32_t vrf,
                                      size_t most, const std::optional<net::Prefix>& behind);
FibReport fib_report(const Vnet& vnet, net::Family family, uint32_t vrf,
                     std::span<const net::Prefix> prefixes);
// Only the entry that packets to `address` take; without one, what is done with them.
FibReport fib_report(const Vnet& vnet, const net::IpAddress& address, uint32_t vrf = 0);
std::string format(const FibReport& report);  // `show ip fib`: a heading, and the rows.
std::string format_heading(const FibReport& report);
std::string format_rows(const FibReport& report);
nlohmann::json to_json(const FibReport& report);

// What a table of routes takes.
struct FibMemoryRow {
  net::Family family = net::Family::V4;
  uint32_t vrf = 0;
  size_t routes = 0, bytes = 0;
};
std::vector<FibMemoryRow> fib_memory_report(const Vnet& vnet);
std::string format(const std::vector<FibMemoryRow>& rows);  // `show fib memory`
nlohmann::json to_json(const std::vector<FibMemoryRow>& rows);

// What goes to the local stack instead of on: who takes it, and how much went.
struct LocalReport {
  net::Family family = net::Family::V4;
  std::vector<uint8_t> protocols;  // In order.
  std::vector<uint16_t> udp_ports;
  uint64_t packets = 0;  // Since the runtime books were cleared.
};
LocalReport local_report(const Vnet& vnet, net::Family family);
std::string format(const LocalReport& report);  // `show ip local`
nlohmann::json to_json(const LocalReport& report);

graph::RuntimeReport runtime_report(const Vnet& vnet);

}  // namespace wh::vnet
