// A log-linear histogram of non-negative integers: exact below 2^k, then 2^k buckets to each power
// of two.
//
// With the default k = 7 a reported quantile is at most 1/128 (0.8 %) above the recorded value,
// whatever its size; counts, minimum, maximum and mean are exact. Memory is fixed (under 60 KiB),
// recording a value costs a count-leading-zeros and an increment.
#pragma once

#include <algorithm>
#include <bit>
#include <cstdint>
#include <vector>

#include "core/check.h"
#include "core/units.h"

namespace wh {
inline namespace core {

class Histogram {
 public:
  void record(uint64_t value, uint64_t times = 1) {
    if (times == 0) return;
    if (buckets_.empty()) buckets_.resize(kBuckets);
    buckets_[index_of(value)] += times;
    count_ += times;
    sum_ += Uint128(value) * times;
    min_ = std::min(min_, value);
    max_ = std::max(max_, value);
  }
  void merge(const Histogram& other) {
    if (other.count_ == 0) return;
    if (buckets_.empty()) buckets_.resize(kBuckets);
    for (size_t i = 0; i < kBuckets; ++i) buckets_[i] += other.buckets_[i];
    count_ += other.count_;
    sum_ += other.sum_;
    min_ = std::min(min_, other.min_);
    max_ = std::max(max_, other.max_);
  }

  uint64_t count() const { return count_; }
  uint64_t min() const { return count_ == 0 ? 0 : min_; }
  uint64_t max() const { return max_; }
  double mean() const {
    return count_ == 0 ? 0 : static_cast<double>(sum_) / static_cast<double>(count_);
  }

  // The smallest recorded bucket's upper edge such that at least q of all values are at or below
  // it, never above max(). REQUIRES: 0 <= q <= 1. An empty histogram answers 0.
  uint64_t quantile(double q) const {
    CHECK(q >= 0 && q <= 1);
    if (count_ == 0) return 0;
    const auto wanted =
        std::max<uint64_t>(1, static_cast<uint64_t>(std::ceil(q * static_cast<double>(count_))));
    uint64_t seen = 0;
    for (size_t i = 0; i < kBuckets; ++i) {
      seen += buckets_[i];
      if (seen >= wanted) return std::clamp(upper_edge(i), min_, max_);
    }
    return max_;
  }

  // Calls fn(low, high, count) for each bucket that holds something, in ascending order.
  template <class Fn>
  void for_each(Fn fn) const {
    for (size_t i = 0; i < buckets_.size(); ++i) {
      if (buckets_[i] != 0) fn(lower_edge(i), upper_edge(i), buckets_[i]);
    }
  }

 private:
  static constexpr unsigned kBits = 7;
  static constexpr uint64_t kSub = 1u << kBits;
  static constexpr size_t kBuckets = (64 - kBits + 1) * kSub;

  static size_t index_of(uint64_t v) {
    if (v < kSub) return static_cast<size_t>(v);
    const unsigned shift = static_cast<unsigned>(std::bit_width(v)) - 1 - kBits;
    return static_cast<size_t>((shift + 1) * kSub + ((v >> shift) - kSub));
  }
  static uint64_t lower_edge(size_t i) {
    if (i < kSub) return i;
    const uint64_t shift = i / kSub - 1;
    return (kSub + i % kSub) << shift;
  }
  static uint64_t upper_edge(size_t i) {
    if (i < kSub) return i;
    return lower_edge(i) + ((uint64_t{1} << (i / kSub - 1)) - 1);
  }

  std::vector<uint64_t> buckets_;
  uint64_t count_ = 0;
  Uint128 sum_ = 0;
  uint64_t min_ = std::numeric_limits<uint64_t>::max();
  uint64_t max_ = 0;
};

}  // namespace core
}  // namespace wh
