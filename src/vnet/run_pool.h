// Runs of small plain records, from one growing array: what a compressed trie keeps its nodes and
// results in.
//
// A run is up to 128 neighbouring records, known by the index of its first. Runs come in a few
// sizes; a freed one is used again for the next of its size, the first word of its memory linking
// it to the other free ones. The array grows by realloc, which for large blocks moves page tables,
// not bytes. Indices stay good for ever, pointers only until the next allocate().
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <cstring>
#include <type_traits>

#include "core/check.h"

namespace wh::vnet {

template <class T>
class RunPool {
  static_assert(std::is_trivially_copyable_v<T> && sizeof(T) >= sizeof(uint32_t));

 public:
  static constexpr uint32_t kMaxRun = 128;

  RunPool() = default;
  ~RunPool() { std::free(block_); }
  RunPool(const RunPool&) = delete;
  RunPool& operator=(const RunPool&) = delete;
  RunPool(RunPool&& o) noexcept { *this = std::move(o); }
  RunPool& operator=(RunPool&& o) noexcept {
    std::swap(block_, o.block_);
    std::swap(records_, o.records_);
    std::swap(capacity_, o.capacity_);
    std::swap(used_, o.used_);
    std::swap(free_, o.free_);
    return *this;
  }

  T* at(uint32_t index) { return records_ + index; }
  const T* at(uint32_t index) const { return records_ + index; }
  size_t memory() const { return size_t{capacity_} * sizeof(T); }

  // A run for `count` records, uninitialised. Never index 0. REQUIRES: 0 < count <= kMaxRun.
  uint32_t allocate(uint32_t count) {
    const uint32_t size_class = class_of(count);
    uint32_t& head = free_[size_class];
    if (head != 0) {
      const uint32_t index = head;
      std::memcpy(&head, at(index), sizeof head);
      return index;
    }
    const uint32_t size = kSizes[size_class];
    if (used_ + size > capacity_) grow(size);
    const uint32_t index = used_;
    used_ += size;
    return index;
  }
  // Gives back a run that was allocated, or resized, for `count` records.
  void free(uint32_t index, uint32_t count) {
    uint32_t& head = free_[class_of(count)];
    std::memcpy(static_cast<void*>(at(index)), &head, sizeof head);
    head = index;
  }
  // Puts `record` at `position` of a run of `count`, moving the rest up; the run may move.
  uint32_t insert(uint32_t index, uint32_t count, uint32_t position, const T& record) {
    uint32_t to = index;
    if (count == 0 || class_of(count) != class_of(count + 1)) to = allocate(count + 1);
    if (count != 0) {
      std::memmove(at(to + position + 1), at(index + position), (count - position) * sizeof(T));
      if (to != index) std::memcpy(at(to), at(index), position * sizeof(T));
      if (to != index) free(index, count);
    }
    *at(to + position) = record;
    return to;
  }
  // Takes the record at `position` out of a run of `count`; the run may move, and an empty one is
  // 0.
  uint32_t erase(uint32_t index, uint32_t count, uint32_t position) {
    uint32_t to = index;
    if (count > 1 && class_of(count) != class_of(count - 1)) to = allocate(count - 1);
    if (to != index) std::memcpy(at(to), at(index), position * sizeof(T));
    if (count > 1) {
      std::memmove(at(to + position), at(index + position + 1), (count - 1 - position) * sizeof(T));
    }
    if (count == 1 || to != index) free(index, count);
    return count == 1 ? 0 : to;
  }

 private:
  static constexpr std::array<uint32_t, 14> kSizes = {1,  2,  3,  4,  6,  8,  12,
                                                      16, 24, 32, 48, 64, 96, 128};
  static constexpr auto kClasses = [] {
    std::array<uint8_t, kMaxRun + 1> classes{};
    for (uint32_t n = 1; n <= kMaxRun; ++n) {
      while (kSizes[classes[n]] < n) ++classes[n];
    }
    return classes;
  }();
  static uint32_t class_of(uint32_t count) {
    CHECK(count > 0 && count <= kMaxRun);
    return kClasses[count];
  }
  void grow(uint32_t by) {
    // A quarter more each time: what lies unused is at most a fifth.
    const uint64_t wanted = uint64_t{used_} + by + capacity_ / 4;
    CHECK(wanted <= ~uint32_t{0});
    const size_t was = before();
    block_ = std::realloc(block_, wanted * sizeof(T) + kSlack);
    CHECK(block_ != nullptr);
    // Large blocks lie alike, and are not moved here.
    const size_t is = before();
    if (is != was) std::memmove(bytes() + is, bytes() + was, used_ * sizeof(T));
    records_ = reinterpret_cast<T*>(bytes() + is);  // Sound: there they may lie.
    capacity_ = static_cast<uint32_t>(wanted);
  }
  // realloc(3) aligns less than some records want, such as those that share cache lines: so many
  // bytes stand before the first.
  static constexpr size_t kSlack = alignof(T) > alignof(std::max_align_t) ? alignof(T) : 0;
  size_t before() const {
    return kSlack == 0 ? 0 : -reinterpret_cast<uintptr_t>(block_) % alignof(T);
  }
  uint8_t* bytes() { return static_cast<uint8_t*>(block_); }

  void* block_ = nullptr;
  T* records_ = nullptr;  // Within it.
  uint32_t capacity_ = 0;
  uint32_t used_ = 1;  // Index 0 stands for none.
  std::array<uint32_t, kSizes.size()> free_{};
};

}  // namespace wh::vnet
