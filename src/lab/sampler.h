// Takes a sample of every flow and link of an experiment at equal distances of time (lab/series.h).
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "core/loop.h"
#include "lab/flow.h"
#include "lab/series.h"
#include "net/link/link_direction.h"

namespace wh::lab {

class Sampler {
 public:
  // At most so many flows are followed, the first ones: a chart of more shows nothing.
  static constexpr size_t kMaxFlows = 12;
  struct Direction {
    std::string name;
    const net::LinkDirection* direction;
  };

  // Begins at once. Everything must outlive it.
  Sampler(Loop& loop, Duration every, const std::vector<std::unique_ptr<Flow>>& flows,
          std::vector<Direction> links);

  const Series& series() const { return series_; }

 private:
  struct LinkMark {
    uint64_t packets = 0, drops = 0;
    double wait_ns = 0, sent_bytes = 0, capacity_bytes = 0;
  };
  void take();
  void take_flow(size_t i);
  void take_link(size_t i);

  Loop& loop_;
  Duration every_;
  std::vector<Flow*> flows_;
  std::vector<Direction> links_;
  std::vector<uint64_t> delivered_;  // As the last sample saw it.
  std::vector<LinkMark> marks_;
  Instant started_;
  Series series_;
  Timer next_;
};

}  // namespace wh::lab
