// The knotes of one queue, found by (ident, filter).
//
// A table of chains through the knotes themselves, doubled when it is full. The slot is made of the
// ident's low bits, so that descriptors, which are small numbers in a row, have neighbouring slots
// and their knotes neighbouring memory: a hundred thousand are then walked as an array is. Knotes
// come from blocks, never move, and are used again; the memory goes with the table.
//
// Threads: under the queue's lock.
#pragma once

#include <memory>
#include <vector>

#include "core/intrusive_list.h"
#include "core/units.h"
#include "event/kevent.h"

namespace wh::event {

class Kqueue;

// A knote with what the queue keeps about it. Every ::knote that a filter sees is one of these.
struct Note : ::knote {
  Kqueue* queue = nullptr;
  ListLink on_active;  // Its filter said yes; delivery will ask again.
  bool is_disabled = false;
  uint32_t in_flux = 0;  // Calls that work on it without the lock.
  Instant due = kNever;  // TIMER.
  Duration period{};     // TIMER; zero when it fires once.
  Note* next_in_slot = nullptr;
};

class NoteTable {
 public:
  static constexpr size_t kBlock = 32;
  Note* find(uintptr_t ident, short filter) const;  // Null when there is none.
  Note& add(uintptr_t ident, short filter);         // All else is as new. REQUIRES: there is none.
  void remove(Note& note);                          // REQUIRES: it is here.
  size_t size() const { return size_; }
  // Knotes that there is memory for; it grows by kBlock of them, when there is no room.
  size_t capacity() const { return blocks_.size() * kBlock; }
  bool has_room() const { return free_ != nullptr || used_of_block_ < kBlock; }
  Note* any();  // Null when empty. Taking them away one by one so takes linear time.
  template <class F>
  void each(F&& see);  // `see(Note&)` may change knotes, not the table.

 private:
  static constexpr size_t kFirstSlots = 16;
  size_t slot_of(uintptr_t ident) const;
  void grow();

  std::vector<Note*> slots_;  // A power of two of them, or none.
  size_t size_ = 0;
  size_t lowest_ = 0;  // No slot before it has a knote.
  std::vector<std::unique_ptr<Note[]>> blocks_;
  size_t used_of_block_ = kBlock;
  Note* free_ = nullptr;  // Through next_in_slot.
};

template <class F>
void NoteTable::each(F&& see) {
  for (Note* head : slots_) {
    for (Note* note = head; note != nullptr; note = note->next_in_slot) see(*note);
  }
}

}  // namespace wh::event
