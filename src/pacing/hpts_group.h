// Several wheels on one loop: which one a connection uses, and which one softclock() runs.
//
// FreeBSD has a wheel per processor. Wheelhouse has a stack per worker with one wheel, so a stack
// needs no group; this is for a worker that plays several processors. A call's soft clock goes to
// the wheel whose last run is oldest, whoever calls: with the caller's own wheel instead, others
// starved above 1,200 connections (FreeBSD D34916).
//
// Ownership: owns the wheels; the loop and the books must outlive it.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <vector>

#include "core/random.h"
#include "pacing/hpts.h"

namespace wh::pacing {

class HptsGroup {
 public:
  // REQUIRES: wheels > 0.
  HptsGroup(Loop& loop, HptsBooks& books, uint32_t wheels, Random random);

  // tcp_set_hpts(): the wheel that `client` will use from its next insert on: the one of its flow
  // for good, a random one while no flow id is known. Optional, since insert() does it. A wheel
  // chosen by flow stays.
  Hpts& tcp_set_hpts(HptsClient& client, std::optional<uint32_t> flowid);
  // REQUIRES: !client.in_hpts().
  void insert(HptsClient& client, Duration delay);

  // Called by the processor `cpu`. Nothing while no wheel has cnt_thresh connections: then callouts
  // alone drive them.
  void softclock(uint32_t cpu);

  uint32_t size() const { return static_cast<uint32_t>(wheels_.size()); }
  Hpts& wheel(uint32_t index) { return *wheels_[index]; }

 private:
  HptsBooks& books_;
  std::vector<std::unique_ptr<Hpts>> wheels_;
  Random random_;
};

}  // namespace wh::pacing
