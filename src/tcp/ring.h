// A growable first-in-first-out ring with access by index: the shape of every queue in this room.
//
// Elements are numbered from 0 at the front. Pushing doubles the storage when it is full and never
// shrinks it while something is queued; clear() gives the memory back, so an idle connection holds
// none. insert() and erase() move the shorter side, so work near either end is cheap.
#pragma once

#include <cstddef>
#include <memory>
#include <utility>

#include "core/check.h"

namespace wh::tcp {

template <class T>
class Ring {
 public:
  Ring() = default;
  Ring(Ring&& o) noexcept
      : slots_(std::move(o.slots_)),
        capacity_(std::exchange(o.capacity_, 0)),
        head_(std::exchange(o.head_, 0)),
        size_(std::exchange(o.size_, 0)) {}
  Ring& operator=(Ring&& o) noexcept {
    slots_ = std::move(o.slots_);
    capacity_ = std::exchange(o.capacity_, 0);
    head_ = std::exchange(o.head_, 0);
    size_ = std::exchange(o.size_, 0);
    return *this;
  }

  bool empty() const { return size_ == 0; }
  size_t size() const { return size_; }
  T& operator[](size_t i) { return slots_[(head_ + i) & (capacity_ - 1)]; }
  const T& operator[](size_t i) const { return slots_[(head_ + i) & (capacity_ - 1)]; }
  T& front() { return (*this)[0]; }
  T& back() { return (*this)[size_ - 1]; }
  const T& front() const { return (*this)[0]; }
  const T& back() const { return (*this)[size_ - 1]; }

  // REQUIRES: `value` is not in this ring.
  template <class Value = T>
  void push_back(Value&& value) {
    if (size_ == capacity_) grow();
    slots_[(head_ + size_++) & (capacity_ - 1)] = std::forward<Value>(value);
  }
  // REQUIRES: not empty.
  T pop_front() {
    CHECK(size_ > 0);
    T value = std::move(slots_[head_]);
    head_ = (head_ + 1) & (capacity_ - 1);
    --size_;
    return value;
  }
  // Makes `value` the element number i. REQUIRES: i <= size().
  void insert(size_t i, T value) {
    CHECK(i <= size_);
    if (size_ == capacity_) grow();
    if (i < size_ / 2) {
      head_ = (head_ + capacity_ - 1) & (capacity_ - 1);
      ++size_;
      for (size_t k = 0; k < i; ++k) (*this)[k] = std::move((*this)[k + 1]);
    } else {
      ++size_;
      for (size_t k = size_ - 1; k > i; --k) (*this)[k] = std::move((*this)[k - 1]);
    }
    (*this)[i] = std::move(value);
  }
  // REQUIRES: i < size().
  void erase(size_t i) {
    CHECK(i < size_);
    if (i < size_ / 2) {
      for (size_t k = i; k > 0; --k) (*this)[k] = std::move((*this)[k - 1]);
      pop_front();
    } else {
      for (size_t k = i; k + 1 < size_; ++k) (*this)[k] = std::move((*this)[k + 1]);
      back() = T{};
      --size_;
    }
  }
  // Forgets everything and frees the storage.
  void clear() { *this = Ring(); }

 private:
  [[gnu::noinline]] void grow() {
    const size_t wider = capacity_ == 0 ? 4 : capacity_ * 2;
    auto slots = std::make_unique<T[]>(wider);
    for (size_t i = 0; i < size_; ++i) slots[i] = std::move((*this)[i]);
    slots_ = std::move(slots);
    capacity_ = wider;
    head_ = 0;
  }

  std::unique_ptr<T[]> slots_;
  size_t capacity_ = 0;  // A power of two, or 0.
  size_t head_ = 0;
  size_t size_ = 0;
};

}  // namespace wh::tcp
