// What becomes of knotes when what they watch goes: a descriptor, a thing, the code of a filter.
#include "event/kqueue.h"

namespace wh::event {
namespace {

void detach_from_nothing(::knote*) {}
int is_gone(::knote*, long) {
  return 1;
}

constexpr ::filterops kGoneOps = {1, nullptr, detach_from_nothing, is_gone};

}  // namespace

void Kqueue::descriptor_closed(uintptr_t ident) {
  const Lock lock(*this);
  for (const short filter : {short{EVFILT_READ}, short{EVFILT_WRITE}}) {
    Note* note = find_settled(ident, filter);
    if (note != nullptr) drop(*note);
  }
}

size_t Kqueue::detach_code(const void* begin, const void* end) {
  const Lock lock(*this);
  const auto is_inside = [&](const Note& note) {
    const auto at = reinterpret_cast<uintptr_t>(note.kn_fop);  // Compared as a number only.
    return at >= reinterpret_cast<uintptr_t>(begin) && at < reinterpret_cast<uintptr_t>(end);
  };
  size_t found = 0;
  for (bool is_running = true; is_running;) {
    is_running = false;
    notes_.each([&](Note& note) {
      if (!is_inside(note)) return;
      if (note.in_flux != 0) {
        is_running = true;
        return;
      }
      ++found;
      note.kn_knlist = nullptr;
      orphan(note);
    });
    if (is_running) wait_for_flux();
  }
  return found;
}

// The filter's functions may not be called again: the knote says EV_EOF once and is then deleted.
void Kqueue::orphan(Note& note) {
  note.kn_fop = &kGoneOps;
  note.kn_flags |= EV_EOF | EV_ONESHOT;
  note.kn_data = 0;
  activate(note);
}

}  // namespace wh::event
