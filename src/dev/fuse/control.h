// The mount's control file, `.wh` at its root: what Linux has no call for goes through it as
// ioctls.
//
// A command is a line ("kldload echo"), the answer a text and an errno; of a long text the rest is
// asked for, piece by piece. A program that opens the
// file also has a kqueue there: kevent() passes changes and events; its descriptors are the
// server's numbers for open device files, which kDescriptorOf asks for on the device's own
// descriptor.
#pragma once

#include <asm/ioctl.h>

#include <cstdint>

#include "event/kevent.h"

namespace wh::dev {

inline constexpr char kControlName[] = ".wh";
inline constexpr unsigned kControlGroup = 0xb7;

struct ControlText {
  int32_t code;  // Of the answer: 0 or an errno.
  uint32_t length;
  uint64_t rest;  // Bytes of the answer that follow, for kControlRest.
  char text[12272];
};

struct ControlEvents {
  static constexpr uint32_t kMax = 64;
  int32_t code;
  uint32_t changes_count,
      events_count;  // In: how many changes, room for how many events. Out: events.
  uint32_t reserved;
  int64_t timeout_ns;  // Below zero: for ever.
  ::kevent changes[kMax];
  ::kevent events[kMax];
};

inline constexpr uint32_t kControlCommand = _IOWR(kControlGroup, 1, ControlText);
inline constexpr uint32_t kControlEvents = _IOWR(kControlGroup, 2, ControlEvents);
inline constexpr uint32_t kControlRest = _IOR(kControlGroup, 4, ControlText);
inline constexpr uint32_t kDescriptorOf = _IOR(kControlGroup, 3, uint64_t);

}  // namespace wh::dev
