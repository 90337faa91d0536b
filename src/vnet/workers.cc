#include "vnet/workers.h"

#include <algorithm>
#include <map>

namespace wh::vnet {

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

FibReport sum(std::span<const FibReport> reports) {
  CHECK(!reports.empty());
  FibReport total = reports.front();
  for (const FibReport& report : reports.subspan(1)) {
    auto row = report.rows.begin();  // Both are in order of their prefixes.
    for (FibRow& t : total.rows) {
      while (row != report.rows.end() && row->prefix < t.prefix) ++row;
      if (row == report.rows.end()) break;
      if (row->prefix != t.prefix) continue;
      t.packets += row->packets;
      t.bytes += row->bytes;
    }
  }
  return total;
}

LocalReport sum(std::span<const LocalReport> reports) {
  CHECK(!reports.empty());
  LocalReport total = reports.front();
  for (const LocalReport& report : reports.subspan(1)) total.packets += report.packets;
  return total;
}

}  // namespace wh::vnet
