#include "event/note_table.h"

#include <gtest/gtest.h>

#include <map>

#include "core/random.h"
#include "event/kqueue.h"

namespace wh::event {
namespace {

TEST(NoteTable, does_what_a_map_does) {
  for (const uint64_t seed : {1u, 2u, 3u}) {
    SCOPED_TRACE(fmt::format("replay: event_test --gtest_filter=NoteTable.* with seed {}", seed));
    Random random(seed);
    NoteTable table;
    std::map<std::pair<uintptr_t, short>, Note*> model;
    for (int i = 0; i < 20000; ++i) {
      // Descriptors in a row, and pointers whose low bits are zero.
      const uintptr_t ident = random.one_in(2) ? random.below(3000) : random.below(3000) << 20;
      const short filter = random.one_in(2) ? EVFILT_READ : EVFILT_WRITE;
      const auto it = model.find({ident, filter});
      Note* found = table.find(ident, filter);
      ASSERT_EQ(found, it == model.end() ? nullptr : it->second);
      if (found == nullptr) {
        Note& note = table.add(ident, filter);
        ASSERT_EQ(note.kn_knlist, nullptr);
        ASSERT_EQ(note.due, kNever);
        note.due = Instant{};
        model[{ident, filter}] = &note;
      } else if (random.one_in(3)) {
        table.remove(*found);
        model.erase(it);
      }
      ASSERT_EQ(table.size(), model.size());
    }
    size_t seen = 0;
    table.each([&](Note& note) {
      ++seen;
      EXPECT_EQ((model[{note.kn_id, note.kn_filter}]), &note);
    });
    EXPECT_EQ(seen, model.size());
    while (Note* note = table.any()) table.remove(*note);
    EXPECT_EQ(table.size(), 0u);
  }
}

}  // namespace
}  // namespace wh::event
