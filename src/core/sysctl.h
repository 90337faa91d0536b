// The sysctl tree: every tunable and every counter of a network stack instance, under FreeBSD's own
// names.
//
// One tree per vnet. A component registers its leaves once; the storage stays its own, so reading a
// tunable on a hot path is reading a member. What a command, a JSON document or a chart shows comes
// from here (one set of books). Names are dotted words; a node exists because a leaf below it does.
//
//   tree.add_int("net.inet.tcp.hpts.min_sleep", &min_sleep_us,
//                {.description = "least sleep of the callout", .unit = "us",
//                 .min = 50, .max = 512000});
//   tree.set("net.inet.tcp.hpts.minsleep", "250");
//   // unknown sysctl 'net.inet.tcp.hpts.minsleep'; did you mean '...min_sleep'?
//
// Ownership: storage must outlive the tree's last use of it. Threads: belongs to its vnet's loop.
#pragma once

#include <cstdint>
#include <functional>
#include <limits>
#include <map>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include "core/result.h"

namespace wh {
inline namespace core {

class SysctlTree {
 public:
  struct IntSpec {
    std::string description;
    std::string unit = "";  // "us", "slots", "bool", "bytes", ...
    int64_t min = std::numeric_limits<int64_t>::min();
    int64_t max = std::numeric_limits<int64_t>::max();
    // Asked when a value within bounds was stored; refuses what others do not allow, and then the
    // old value is put back. It only looks.
    std::function<Result<void>(int64_t)> check = {};
    std::vector<std::string> also = {};  // Further names of the same leaf.
  };
  struct TextSpec {
    std::string description;
    std::function<std::string()> get;
    std::function<Result<void>(std::string_view)> set = {};  // Empty: read-only.
  };
  // What `wh sysctl -d` and the manual print of a leaf.
  struct Leaf {
    std::string name, description, unit, value, default_value;
    bool writable = false;
    int64_t min = 0, max = 0;  // Of an integer leaf.
    bool is_int = false, is_counter = false;
  };

  // The value found in *storage is the default. REQUIRES: the name is new and *storage is within
  // bounds.
  void add_int(std::string name, int64_t* storage, IntSpec spec);
  void add_counter(std::string name, const uint64_t* storage, std::string description,
                   std::string unit = "");
  void add_text(std::string name, TextSpec spec);
  // Removes all leaves at or below `prefix`.
  void remove(std::string_view prefix);

  // Errors: an unknown name (with the nearest one), a node instead of a leaf, a read-only leaf, a
  // value that is not a number or out of its range (with the range).
  Result<std::string> get(std::string_view name) const;
  Result<void> set(std::string_view name, std::string_view value);
  Result<void> assign(std::string_view name_equals_value);  // "a.b=1", "a.b = 1"

  // Leaves that changed, whose values are `to` now. Puts them into an order in which each can be
  // set from `from` on, whatever one allows another: as they are, where that does.
  struct Change {
    std::string name, from, to;
  };
  void sort_for_setting(std::vector<Change>& changes) const;

  // All leaves at or below `prefix` ("" for all), by name. Errors: nothing is there.
  Result<std::vector<Leaf>> list(std::string_view prefix) const;
  bool contains(std::string_view name) const { return leaves_.contains(name); }

 private:
  struct IntLeaf {
    int64_t* storage;
    int64_t default_value;
    IntSpec spec;
  };
  struct CounterLeaf {
    const uint64_t* storage;
    std::string description, unit;
  };
  using Any = std::variant<IntLeaf, CounterLeaf, TextSpec>;

  void add(std::string name, Any leaf);
  tl::unexpected<Error> unknown(std::string_view name) const;
  static Result<void> set_int(std::string_view name, const IntLeaf& leaf, std::string_view text);

  std::map<std::string, Any, std::less<>> leaves_;
};

// The number of single-character edits between two words; used to suggest the name that was meant.
size_t edit_distance(std::string_view a, std::string_view b);

// The candidate nearest to `word`, or "" when none is near (more than a third of it would change).
std::string nearest(std::string_view word, const std::vector<std::string>& candidates);

}  // namespace core
}  // namespace wh
