// Anything whose readiness can be asked about: a socket, a character device, a queue.
#pragma once

#include <memory>

#include "event/kevent.h"

namespace wh::event {

class Selectable {
 public:
  virtual ~Selectable() = default;
  // Attaches `kn` to the filter named in kn_filter: sets kn_fop, and puts it on a list whose owner
  // calls list_event(). Returns 0 or an errno (EINVAL: no such filter here).
  virtual int kqfilter(::knote& kn) = 0;
};

// The descriptors of one process.
class Descriptors {
 public:
  virtual ~Descriptors() = default;
  // Null when `ident` is no open descriptor. The table and the calls in progress own it together.
  virtual std::shared_ptr<Selectable> selectable(uintptr_t ident) = 0;
};

}  // namespace wh::event
