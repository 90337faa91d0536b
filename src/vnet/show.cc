#include "vnet/show.h"

#include <algorithm>
#include <map>
#include <nlohmann/json.hpp>

#include "vnet/stack.h"
#include "vnet/udp.h"

namespace wh::vnet {

using graph::centred;
using graph::trimmed;
using net::Family;
using net::IpAddress;
using nlohmann::json;

namespace {

// local0 and every attached interface, by name.
std::vector<const InterfaceEntry*> entries_by_name(const Vnet& vnet) {
  std::vector<const InterfaceEntry*> entries;
  const InterfaceTable& table = vnet.interfaces();
  for (uint16_t i = 0; i < table.size(); ++i) {
    if (i == kLocalInterface || table[i].device != nullptr) entries.push_back(&table[i]);
  }
  std::sort(entries.begin(), entries.end(), [](auto* a, auto* b) { return a->name < b->name; });
  return entries;
}

const char* state_text(InterfaceAddress::State state) {
  switch (state) {
    case InterfaceAddress::State::Ready: return "";
    case InterfaceAddress::State::Tentative: return "tentative";
    case InterfaceAddress::State::Duplicated: return "duplicated";
  }
  UNREACHABLE();
}

}  // namespace

// --- interfaces ---

std::vector<InterfaceRow> interface_report(const Vnet& vnet) {
  std::vector<InterfaceRow> rows;
  for (const InterfaceEntry* e : entries_by_name(vnet)) {
    InterfaceRow row{e->name, e->index, e->is_up(), e->mtu()};
    const net::InterfaceCounters c =
        e->device != nullptr ? e->device->counters() : net::InterfaceCounters{};
    row.counters = {{"rx packets", c.rx_packets},
                    {"rx bytes", c.rx_bytes},
                    {"tx packets", c.tx_packets},
                    {"tx bytes", c.tx_bytes},
                    {"drops", e->drops + c.rx_down},
                    {"tx-error", c.tx_errors + c.tx_down + c.tx_too_big},
                    {"ip4", e->ip4},
                    {"ip6", e->ip6}};
    rows.push_back(std::move(row));
  }
  return rows;
}

std::string format(const std::vector<InterfaceRow>& rows) {
  constexpr size_t kBeforeCounters = 32 + 5 + 10 + 21;
  std::string out =
      trimmed(centred("Name", 32) + centred("Idx", 5) + centred("State", 10) +
              centred("MTU (L3/IP4/IP6/MPLS)", 21) + centred("Counter", 16) + centred("Count", 16));
  for (const InterfaceRow& row : rows) {
    std::string line = fmt::format("{:<32}{}{}{}", row.name, centred(std::to_string(row.index), 5),
                                   centred(!row.up           ? "down"
                                           : row.has_carrier ? "up"
                                                             : "no link",
                                           10),
                                   centred(fmt::format("{}/0/0/0", row.mtu), 21));
    for (const auto& [name, count] : row.counters) {
      if (count == 0) continue;
      out += fmt::format("{}{:<16}{:16}\n", line, name, count);
      line = std::string(kBeforeCounters, ' ');
    }
    if (line[0] != ' ') out += trimmed(std::move(line));
  }
  return out;
}

json to_json(const std::vector<InterfaceRow>& rows) {
  json all = json::array();
  for (const InterfaceRow& row : rows) {
    json counters = json::object();
    for (const auto& [name, count] : row.counters) counters[name] = count;
    all.push_back({{"name", row.name},
                   {"index", row.index},
                   {"up", row.up},
                   {"mtu", row.mtu},
                   {"carrier", row.has_carrier},
                   {"counters", counters}});
  }
  return all;
}

// --- addresses ---

std::vector<AddressRow> address_report(const Vnet& vnet) {
  std::vector<AddressRow> rows;
  for (const InterfaceEntry* e : entries_by_name(vnet)) {
    AddressRow row{e->name, e->is_up(), {}};
    for (const InterfaceAddress& a : e->addresses) {
      row.addresses.push_back({a.prefix, state_text(a.state)});
    }
    rows.push_back(std::move(row));
  }
  return rows;
}

std::string format(const std::vector<AddressRow>& rows) {
  std::string out;
  for (const AddressRow& row : rows) {
    out += fmt::format("{} ({}):\n", row.name, row.up ? "up" : "dn");
    for (const auto& a : row.addresses) {
      out += trimmed(fmt::format("  L3 {} {}", to_string(a.prefix), a.state));
    }
  }
  return out;
}

json to_json(const std::vector<AddressRow>& rows) {
  json all = json::array();
  for (const AddressRow& row : rows) {
    json addresses = json::array();
    for (const auto& a : row.addresses) {
      addresses.push_back({{"prefix", to_string(a.prefix)}, {"state", a.state}});
    }
    all.push_back({{"name", row.name}, {"up", row.up}, {"addresses", addresses}});
  }
  return all;
}

// --- neighbours ---

std::vector<NeighbourRow> neighbour_report(const Vnet& vnet, Family family) {
  const Stack& stack = vnet.stack();
  std::vector<NeighbourRow> rows;
  for (const Neighbour* n : (family == Family::V4 ? *stack.arp : *stack.nd).entries()) {
    rows.push_back({.age = stack.loop.now() - n->updated(),
                    .address = n->address(),
                    .state = to_string(n->state()),
                    .is_static = n->is_static(),
                    .mac = n->is_resolved() ? std::optional(n->mac()) : std::nullopt,
                    .interface = stack.interfaces[n->interface()].name,
                    .pending = n->pending()});
  }
  return rows;
}

std::string format(const std::vector<NeighbourRow>& rows) {
  std::string out = trimmed(centred("Age", 12) + centred("IP", 40) + centred("Flags", 6) +
                            centred("Ethernet", 20) + centred("Interface", 24));
  for (const NeighbourRow& row : rows) {
    out += fmt::format("{:12.4f}{}{}{}{}\n", to_seconds(row.age),
                       centred(to_string(row.address), 40), centred(row.is_static ? "S" : "D", 6),
                       centred(row.mac ? to_string(*row.mac) : "(" + row.state + ")", 20),
                       row.interface);
  }
  return out;
}

json to_json(const std::vector<NeighbourRow>& rows) {
  json all = json::array();
  for (const NeighbourRow& row : rows) {
    all.push_back({{"age_s", to_seconds(row.age)},
                   {"address", to_string(row.address)},
                   {"state", row.state},
                   {"static", row.is_static},
                   {"mac", row.mac ? json(to_string(*row.mac)) : json(nullptr)},
                   {"interface", row.interface},
                   {"pending", row.pending}});
  }
  return all;
}

// --- the FIB ---

namespace {

// Where a balance leads, and what it leads to in turn; nothing for all else.
std::vector<FibRow::Way> ways_of(const Stack& stack, AdjacencyIndex index, uint32_t depth = 0) {
  std::vector<FibRow::Way> ways;
  const bool is_balance = stack.adjacencies[index].kind == AdjacencyKind::Balance;
  if (!is_balance || depth == Balance::kMaxDepth) return ways;
  std::map<AdjacencyIndex, uint32_t> buckets;
  for (const AdjacencyIndex way : stack.adjacencies.balance(index).buckets) ++buckets[way];
  for (const auto& [way, count] : buckets) {
    ways.push_back({describe_adjacency(stack, way), count, ways_of(stack, way, depth + 1)});
  }
  return ways;
}

FibRow fib_row(const Stack& stack, const Fib::Entry& entry) {
  const AdjacencyIndex index = entry.adjacency;
  const Adjacency& a = stack.adjacencies[index];
  return {entry.prefix, to_string(entry.source), index, describe_adjacency(stack, index), a.packets,
          a.bytes,      ways_of(stack, index)};
}

// What packets find where nothing is known, as `show ip fib` has it: a default route to nowhere.
FibRow no_route_row(const Stack& stack, Family family) {
  const IpAddress all = family == Family::V4 ? IpAddress(net::Ip4{0}) : IpAddress(net::Ip6{});
  const Adjacency& none = stack.adjacencies[kNoRoute];
  return {net::Prefix{all, 0}, "none",     kNoRoute, describe_adjacency(stack, kNoRoute),
          none.packets,        none.bytes, {}};
}

// Each way in the place of its chain, those of a recursive one below it.
void format_ways(fmt::memory_buffer& out, const std::vector<FibRow::Way>& ways, size_t indent) {
  for (size_t i = 0; i < ways.size(); ++i) {
    const FibRow::Way& way = ways[i];
    fmt::format_to(std::back_inserter(out), "{:{}}[{}] [@{}]: {} ({} of {} flows)\n", "", indent, i,
                   way.ways.empty() ? 5 : 12, way.forwarding, way.buckets, Balance::kBuckets);
    format_ways(out, way.ways, indent + 6);
  }
}

json ways_to_json(const std::vector<FibRow::Way>& ways) {
  json all = json::array();
  for (const FibRow::Way& way : ways) {
    all.push_back({{"forwarding", way.forwarding}, {"buckets", way.buckets}});
    if (!way.ways.empty()) all.back()["ways"] = ways_to_json(way.ways);
  }
  return all;
}

}  // namespace

FibReport fib_report(const Vnet& vnet, Family family, uint32_t vrf) {
  FibReport report{family, vrf, {}};
  const Stack& stack = vnet.stack();
  if (const auto slot = stack.find_vrf(vrf)) {
    stack.fib(family, *slot).for_each([&](const Fib::Entry& entry) {
      report.rows.push_back(fib_row(stack, entry));
    });
  }
  return report;
}

std::map<uint8_t, size_t> fib_lengths(const Vnet& vnet, Family family, uint32_t vrf) {
  std::map<uint8_t, size_t> counts;
  const auto slot = vnet.stack().find_vrf(vrf);
  if (!slot) return counts;
  const Fib& fib = vnet.stack().fib(family, *slot);
  for (uint8_t length = 0; length <= (family == Family::V4 ? 32 : 128); ++length) {
    if (const size_t n = fib.size(length); n != 0) counts[length] = n;
  }
  return counts;
}

std::vector<net::Prefix> fib_prefixes(const Vnet& vnet, Family family, uint32_t vrf, size_t most,
                                      const std::optional<net::Prefix>& behind) {
  const auto slot = vnet.stack().find_vrf(vrf);
  if (!slot) return {};
  return vnet.stack().fib(family, *slot).prefixes(most, behind);
}

FibReport fib_report(const Vnet& vnet, Family family, uint32_t vrf,
                     std::span<const net::Prefix> prefixes) {
  FibReport report{family, vrf, {}};
  const Stack& stack = vnet.stack();
  const auto slot = stack.find_vrf(vrf);
  if (!slot) return report;
  const Fib& fib = stack.fib(family, *slot);
  for (const net::Prefix& prefix : prefixes) {
    if (const auto entry = fib.find(prefix)) {
      report.rows.push_back(fib_row(stack, *entry));
    } else if (prefix.length == 0) {
      report.rows.push_back(no_route_row(stack, family));
    }
  }
  return report;
}

FibReport fib_report(const Vnet& vnet, const IpAddress& address, uint32_t vrf) {
  FibReport report{address.family, vrf, {}};
  const Stack& stack = vnet.stack();
  const auto slot = stack.find_vrf(vrf);
  if (!slot) return report;
  if (const auto found = stack.fib(address.family, *slot).covering(address)) {
    report.rows.push_back(fib_row(stack, *found));
  } else {
    report.rows.push_back(no_route_row(stack, address.family));
  }
  return report;
}

std::string format(const FibReport& report) {
  return format_heading(report) + format_rows(report);
}

std::string format_heading(const FibReport& report) {
  return fmt::format(
      "{}-VRF:{}, fib_index:{}, flow hash:[src dst sport dport proto flowlabel ] epoch:0 "
      "flags:none locks:[adjacency:1, default-route:1, ]\n",
      report.family == Family::V4 ? "ipv4" : "ipv6", report.vrf, report.vrf);
}

std::string format_rows(const FibReport& report) {
  const char* family = report.family == Family::V4 ? "ip4" : "ip6";
  fmt::memory_buffer text;  // A full table's is long.
  const auto out = std::back_inserter(text);
  for (const FibRow& row : report.rows) {
    fmt::format_to(out,
                   "{}\n  unicast-{}-chain\n"
                   "  [@0]: dpo-load-balance: [proto:{} index:{} buckets:{} uRPF:0 to:[{}:{}]]\n",
                   to_string(row.prefix), family, family, row.adjacency,
                   std::max<size_t>(1, row.ways.size()), row.packets, row.bytes);
    if (row.ways.empty()) fmt::format_to(out, "    [0] [@5]: {}\n", row.forwarding);
    format_ways(text, row.ways, 4);
  }
  return fmt::to_string(text);
}

json to_json(const FibReport& report) {
  json rows = json::array();
  for (const FibRow& row : report.rows) {
    rows.push_back({{"prefix", to_string(row.prefix)},
                    {"source", row.source},
                    {"adjacency", row.adjacency},
                    {"forwarding", row.forwarding},
                    {"packets", row.packets},
                    {"bytes", row.bytes}});
    if (!row.ways.empty()) rows.back()["ways"] = ways_to_json(row.ways);
  }
  return rows;
}

std::vector<FibMemoryRow> fib_memory_report(const Vnet& vnet) {
  std::vector<FibMemoryRow> rows;
  const Stack& stack = vnet.stack();
  for (const uint32_t id : vnet.vrfs()) {
    const auto slot = stack.find_vrf(id);
    for (const Family family : {Family::V4, Family::V6}) {
      const Fib& fib = stack.fib(family, *slot);
      rows.push_back({family, id, fib.size(), fib.memory()});
    }
  }
  return rows;
}

std::string format(const std::vector<FibMemoryRow>& rows) {
  std::string out = fmt::format("{:<16}{:>12}{:>14}\n", "Table", "Routes", "Bytes");
  for (const FibMemoryRow& row : rows) {
    const char* family = row.family == Family::V4 ? "ipv4" : "ipv6";
    out += fmt::format("{:<16}{:>12}{:>14}\n", fmt::format("{}-VRF:{}", family, row.vrf),
                       row.routes, row.bytes);
  }
  return out;
}

json to_json(const std::vector<FibMemoryRow>& rows) {
  json all = json::array();
  for (const FibMemoryRow& row : rows) {
    all.push_back({{"family", row.family == Family::V4 ? "ipv4" : "ipv6"},
                   {"table", row.vrf},
                   {"routes", row.routes},
                   {"bytes", row.bytes}});
  }
  return all;
}

// --- the local stack ---

LocalReport local_report(const Vnet& vnet, Family family) {
  const Stack& stack = vnet.stack();
  const bool v4 = family == Family::V4;
  LocalReport report{.family = family, .udp_ports = stack.udp->ports(family)};
  for (uint32_t number = 0; number < stack.protocols.size(); ++number) {
    const bool is_ours = number == (v4 ? net::kProtocolIcmp : net::kProtocolIcmp6) ||
                         number == net::kProtocolUdp || stack.protocols[number] != nullptr;
    if (is_ours) report.protocols.push_back(static_cast<uint8_t>(number));
  }
  const graph::NodeIndex node = v4 ? stack.node.ip4_local : stack.node.ip6_local;
  report.packets = stack.graph.nodes()[node].vectors;
  return report;
}

std::string format(const LocalReport& report) {
  const char* node = report.family == Family::V4 ? "ip4-local" : "ip6-local";
  return fmt::format("Protocols handled by {}: {}\nUDP ports: {}\nPackets: {}\n", node,
                     fmt::join(report.protocols, ", "), fmt::join(report.udp_ports, ", "),
                     report.packets);
}

json to_json(const LocalReport& report) {
  return {{"protocols", report.protocols},
          {"udp_ports", report.udp_ports},
          {"packets", report.packets}};
}

graph::RuntimeReport runtime_report(const Vnet& vnet) {
  const uint64_t punted =
      local_report(vnet, Family::V4).packets + local_report(vnet, Family::V6).packets;
  return graph::runtime_report(vnet.graph(), {.out = vnet.stack().tx_packets, .punted = punted});
}

}  // namespace wh::vnet
