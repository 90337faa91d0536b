#include "net/link/counters.h"

namespace wh::net {

std::string_view to_string(DropReason reason) {
  switch (reason) {
    case DropReason::Loss: return "loss";
    case DropReason::GilbertElliott: return "ge";
    case DropReason::QueueFull: return "queue_full";
    case DropReason::Codel: return "codel";
    case DropReason::AckReplaced: return "ack_replaced";
    case DropReason::WireFull: return "wire_full";
  }
  UNREACHABLE();
}

Tally LinkCounters::all_dropped() const {
  Tally sum;
  for (const Tally& t : dropped) sum = sum + t;
  return sum;
}

}  // namespace wh::net
