// Which slots of a wheel hold something: a set of slot numbers whose next member is found in
// constant time.
//
// Three levels: a bit per slot, a bit per word of those, a bit per word of these again. 102,400
// slots are 1,600 + 25 + 1 words, 13 KiB. FreeBSD scans up to 102,400 list heads instead; the idea
// of searching with find-first-set is Eiffel's (Saeed et al., NSDI 2019).
#pragma once

#include <array>
#include <bit>
#include <cstdint>
#include <optional>

#include "core/check.h"
#include "pacing/hpts_time.h"

namespace wh::pacing {

class SlotBitmap {
 public:
  static constexpr uint32_t kSize = kHptsWheelSlots;

  void set(uint32_t slot) {
    const uint32_t word = slot / 64, group = word / 64;
    if (words_[word] == 0) {
      groups_[group] |= bit(word);
      root_ |= bit(group);
    }
    words_[word] |= bit(slot);
  }
  void clear(uint32_t slot) { clear_if(slot, true); }
  // Clears `slot` when `condition` holds, without a branch on it.
  void clear_if(uint32_t slot, bool condition) {
    const uint32_t word = slot / 64, group = word / 64;
    words_[word] &= ~(uint64_t{condition} << (slot % 64));
    if (words_[word] == 0) {
      groups_[group] &= ~bit(word);
      if (groups_[group] == 0) root_ &= ~bit(group);
    }
  }
  bool test(uint32_t slot) const { return (words_[slot / 64] & bit(slot)) != 0; }
  bool empty() const { return root_ == 0; }

  // How many slots further than `from` the next member lies, going round the wheel: 0 when `from`
  // itself is one, kSize - 1 when the one before it is; nothing when the set is empty.
  std::optional<uint32_t> distance_to_next(uint32_t from) const {
    if (root_ == 0) return std::nullopt;
    const uint32_t ahead = first_at_or_after(from);
    if (ahead != kNone) return ahead - from;
    return first_at_or_after(0) + kSize - from;
  }

 private:
  static constexpr uint32_t kNone = ~uint32_t{0};
  static constexpr uint32_t kWords = kSize / 64, kGroups = kWords / 64;
  static_assert(kSize % 64 == 0 && kWords % 64 == 0 && kGroups <= 64);

  static constexpr uint64_t bit(uint32_t i) { return uint64_t{1} << (i % 64); }
  static constexpr uint64_t above(uint32_t i) { return ~uint64_t{1} << (i % 64); }
  static uint32_t first(uint64_t word) { return static_cast<uint32_t>(std::countr_zero(word)); }

  uint32_t first_at_or_after(uint32_t from) const {
    uint32_t word = from / 64;
    if (const uint64_t here = words_[word] & (above(from) | bit(from))) {
      return word * 64 + first(here);
    }
    uint32_t group = word / 64;
    if (const uint64_t later = groups_[group] & above(word)) {
      word = group * 64 + first(later);
      return word * 64 + first(words_[word]);
    }
    const uint64_t later = root_ & above(group);
    if (later == 0) return kNone;
    group = first(later);
    word = group * 64 + first(groups_[group]);
    return word * 64 + first(words_[word]);
  }

  std::array<uint64_t, kWords> words_{};
  std::array<uint64_t, kGroups> groups_{};
  uint64_t root_ = 0;
};

}  // namespace wh::pacing
