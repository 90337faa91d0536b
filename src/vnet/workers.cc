#include "vnet/workers.h"

#include <algorithm>
#include <map>

#include "net/wire/ethernet.h"
#include "vnet/flow_hash.h"

namespace wh::vnet {

using net::EtherType;

namespace {

// The same for both directions of a flow: the ends are added, not concatenated.
uint32_t symmetric_hash(std::span<const uint8_t> ip) {
  const bool v4 = ip[0] >> 4 == 4;
  uint64_t ends = 0;
  uint32_t l4 = 40;
  uint8_t protocol = ip[6];
  if (v4) {
    ends = uint64_t{net::load32(&ip[12])} + net::load32(&ip[16]);
    l4 = (ip[0] & 15u) * 4;
    protocol = ip[9];
    if ((net::load16(&ip[6]) & 0x3fff) != 0) protocol = 0;  // A fragment shows no ports.
  } else {
    for (size_t i = 8; i < 40; i += 4) ends += uint64_t{net::load32(&ip[i])} << (i / 4 % 4 * 8);
  }
  if (has_ports(protocol) && ip.size() >= l4 + 4) {
    ends += (uint64_t{net::load16(&ip[l4])} + net::load16(&ip[l4 + 2])) << 40;
  }
  // Fragments of a flow must meet its other packets only in IPv4's shallow reassembly, which needs
  // fragments of one packet together, no more.
  return mix_flow(ends);
}

}  // namespace

uint32_t worker_of(const net::Packet& frame, uint32_t workers) {
  CHECK(workers > 0);
  const auto ethernet = net::EthernetView::parse(frame.head());
  if (!ethernet || ethernet->destination().is_multicast()) return kEveryWorker;
  const auto ip = frame.head().subspan(ethernet->header_size());
  const bool v4 = ethernet->type() == EtherType::Ip4 && ip.size() >= 20;
  const bool v6 = ethernet->type() == EtherType::Ip6 && ip.size() >= 40;
  if (!v4 && !v6) return kEveryWorker;
  // Neighbour discovery teaches each worker's own table.
  if (v6 && ip[6] == net::kProtocolIcmp6 && ip[7] == 255) return kEveryWorker;
  return symmetric_hash(ip) % workers;
}

graph::RuntimeReport sum(std::span<const graph::RuntimeReport> reports) {
  CHECK(!reports.empty());
  graph::RuntimeReport total;
  std::map<std::string, graph::RuntimeRow> rows;
  uint64_t calls = 0, vectors = 0;
  for (const graph::RuntimeReport& r : reports) {
    total.elapsed = std::max(total.elapsed, r.elapsed);
    total.loops_per_second += r.loops_per_second;
    total.in_per_second += r.in_per_second;
    total.out_per_second += r.out_per_second;
    total.drop_per_second += r.drop_per_second;
    total.punt_per_second += r.punt_per_second;
    for (const graph::RuntimeRow& row : r.rows) {
      graph::RuntimeRow& t = rows[row.name];
      t.name = row.name;
      t.state = row.state;
      // Clocks are per packet where there are packets, else per call or suspend.
      auto units = [](const graph::RuntimeRow& x) {
        return static_cast<double>(x.vectors != 0 ? x.vectors : x.calls + x.suspends);
      };
      const double before = units(t), more = units(row);
      if (before + more > 0) t.clocks = (t.clocks * before + row.clocks * more) / (before + more);
      t.calls += row.calls;
      t.vectors += row.vectors;
      t.suspends += row.suspends;
      calls += row.calls;
      vectors += row.vectors;
    }
  }
  for (auto& [name, row] : rows) {
    row.vectors_per_call =
        row.calls == 0 ? 0 : static_cast<double>(row.vectors) / static_cast<double>(row.calls);
    total.rows.push_back(row);
  }
  total.vector_rate = calls == 0 ? 0 : static_cast<double>(vectors) / static_cast<double>(calls);
  return total;
}

graph::ErrorReport sum(std::span<const graph::ErrorReport> reports) {
  graph::ErrorReport total;
  for (const graph::ErrorReport& r : reports) {
    for (const graph::ErrorRow& row : r.rows) {
      const auto known = std::find_if(total.rows.begin(), total.rows.end(), [&](const auto& t) {
        return t.node == row.node && t.name == row.name;
      });
      if (known == total.rows.end()) {
        total.rows.push_back(row);
      } else {
        known->count += row.count;
      }
    }
  }
  return total;
}

std::vector<InterfaceRow> sum(std::span<const std::vector<InterfaceRow>> reports) {
  std::map<std::string, InterfaceRow> rows;
  for (const auto& report : reports) {
    for (const InterfaceRow& row : report) {
      const auto [it, is_new] = rows.emplace(row.name, row);
      if (is_new) continue;
      for (size_t i = 0; i < row.counters.size(); ++i) {
        it->second.counters[i].second += row.counters[i].second;
      }
    }
  }
  std::vector<InterfaceRow> total;
  for (auto& [name, row] : rows) total.push_back(std::move(row));
  return total;
}

}  // namespace wh::vnet
