// The books of several vnets that forward as one router (vnet/replica.h), added up. Each report was
// taken in its own vnet's thread.
#pragma once

#include <span>
#include <vector>

#include "vnet/show.h"

namespace wh::vnet {

// Rows of the same name added: clocks weighted by packets. REQUIRES: at least one report.
graph::RuntimeReport sum(std::span<const graph::RuntimeReport> reports);
graph::ErrorReport sum(std::span<const graph::ErrorReport> reports);
// By name; index and state of the first. Counters added.
std::vector<InterfaceRow> sum(std::span<const std::vector<InterfaceRow>> reports);
// The routes of the first, with the packets of all. So the local stack's packets.
FibReport sum(std::span<const FibReport> reports);
LocalReport sum(std::span<const LocalReport> reports);

}  // namespace wh::vnet
