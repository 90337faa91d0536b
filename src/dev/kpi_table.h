// The functions behind a driver's `wh_kernel` pointer: each finds its Kernel and calls the part
// that does it.
#pragma once

#include "dev/kpi.h"

namespace wh::dev {

class Kernel;

struct KpiTable : ::wh_kernel {
  explicit KpiTable(Kernel& owner);
  Kernel* kernel;
};

}  // namespace wh::dev
