// A doubly linked list whose links live in the elements: no allocation, O(1) removal from anywhere.
//
// struct Conn { ListLink by_slot; ... };  IntrusiveList<Conn, &Conn::by_slot> slot;
// The list does not own its elements. An element is on at most one list per link, and takes itself
// off when its link is destroyed. A list may be destroyed or spliced while elements are on it.
#pragma once

#include <cstddef>
#include <cstdint>

#include "core/check.h"

namespace wh {
inline namespace core {

class ListLink {
 public:
  ListLink() = default;
  ListLink(const ListLink&) = delete;
  ListLink& operator=(const ListLink&) = delete;
  ~ListLink() { unlink(); }

  bool is_linked() const { return next_ != nullptr; }
  // Takes the element off its list; nothing when it is on none.
  void unlink() {
    if (next_ == nullptr) return;
    next_->prev_ = prev_;
    prev_->next_ = next_;
    next_ = prev_ = nullptr;
  }

 private:
  template <class T, ListLink T::*Link>
  friend class IntrusiveList;
  void insert_before(ListLink& at) {
    CHECK(next_ == nullptr);
    next_ = &at;
    prev_ = at.prev_;
    prev_->next_ = this;
    at.prev_ = this;
  }
  ListLink* next_ = nullptr;
  ListLink* prev_ = nullptr;
};

template <class T, ListLink T::*Link>
class IntrusiveList {
 public:
  IntrusiveList() { head_.next_ = head_.prev_ = &head_; }
  ~IntrusiveList() {
    while (pop_front() != nullptr) {
    }
    head_.next_ = head_.prev_ = nullptr;
  }

  bool empty() const { return head_.next_ == &head_; }
  T* front() { return empty() ? nullptr : element(head_.next_); }
  T* back() { return empty() ? nullptr : element(head_.prev_); }
  void push_back(T& t) { (t.*Link).insert_before(head_); }
  void push_front(T& t) { (t.*Link).insert_before(*head_.next_); }
  void insert_after(T& at, T& t) { (t.*Link).insert_before(*(at.*Link).next_); }
  T* pop_front() {
    T* t = front();
    if (t != nullptr) (t->*Link).unlink();
    return t;
  }
  // The neighbours of an element that is on this list; nullptr at the ends.
  T* next(T& t) { return (t.*Link).next_ == &head_ ? nullptr : element((t.*Link).next_); }
  T* prev(T& t) { return (t.*Link).prev_ == &head_ ? nullptr : element((t.*Link).prev_); }
  // Moves everything on `other` to this list's end.
  void splice_back(IntrusiveList& other) {
    if (other.empty()) return;
    ListLink *first = other.head_.next_, *last = other.head_.prev_;
    other.head_.next_ = other.head_.prev_ = &other.head_;
    first->prev_ = head_.prev_;
    head_.prev_->next_ = first;
    last->next_ = &head_;
    head_.prev_ = last;
  }

 private:
  // The link's offset in T, so that an element is found from its link.
  static T* element(ListLink* link) {
    alignas(T) static char probe[sizeof(T)];
    // Sound: `probe` has T's size and alignment and is only used to compute a member's offset.
    T* t = reinterpret_cast<T*>(probe);
    const auto offset = reinterpret_cast<char*>(&(t->*Link)) - probe;
    return reinterpret_cast<T*>(reinterpret_cast<char*>(link) - offset);
  }
  ListLink head_;
};

}  // namespace core
}  // namespace wh
