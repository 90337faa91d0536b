#include "event/note_table.h"

#include <algorithm>

namespace wh::event {

size_t NoteTable::slot_of(uintptr_t ident) const {
  // A timer's ident may be a pointer, whose low bits say little.
  ident ^= ident >> 32;
  ident ^= ident >> 16;
  return ident & (slots_.size() - 1);
}

Note* NoteTable::find(uintptr_t ident, short filter) const {
  if (slots_.empty()) return nullptr;
  Note* note = slots_[slot_of(ident)];
  while (note != nullptr && (note->kn_id != ident || note->kn_filter != filter)) {
    note = note->next_in_slot;
  }
  return note;
}

Note& NoteTable::add(uintptr_t ident, short filter) {
  if (size_ == slots_.size()) grow();
  Note* note = free_;
  if (note != nullptr) {
    free_ = note->next_in_slot;
    static_cast<::knote&>(*note) = {};
    note->is_disabled = false;
    note->due = kNever;
  } else {
    if (used_of_block_ == kBlock) {
      blocks_.push_back(std::make_unique<Note[]>(kBlock));
      used_of_block_ = 0;
    }
    note = &blocks_.back()[used_of_block_++];
  }
  note->kn_id = ident;
  note->kn_filter = filter;
  const size_t slot = slot_of(ident);
  note->next_in_slot = slots_[slot];
  slots_[slot] = note;
  lowest_ = std::min(lowest_, slot);
  ++size_;
  return *note;
}

void NoteTable::remove(Note& note) {
  Note** link = &slots_[slot_of(note.kn_id)];
  while (*link != &note) link = &(*link)->next_in_slot;
  *link = note.next_in_slot;
  note.next_in_slot = free_;
  free_ = &note;
  --size_;
}

Note* NoteTable::any() {
  if (size_ == 0) return nullptr;
  while (slots_[lowest_] == nullptr) ++lowest_;
  return slots_[lowest_];
}

void NoteTable::grow() {
  std::vector<Note*> old(std::max(kFirstSlots, 2 * slots_.size()));
  old.swap(slots_);
  lowest_ = slots_.size();
  for (Note* note : old) {
    while (note != nullptr) {
      Note* next = note->next_in_slot;
      const size_t slot = slot_of(note->kn_id);
      note->next_in_slot = slots_[slot];
      slots_[slot] = note;
      lowest_ = std::min(lowest_, slot);
      note = next;
    }
  }
}

}  // namespace wh::event
