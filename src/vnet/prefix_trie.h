// Longest prefix match: a compressed multi-bit trie that is its own table of prefixes.
//
//   key  | root: 6, 12 or 18 bits |  6 bits |  6 bits | ...
//        +------------------------+---------+---------+
//   root [ value | node ]--------->[ node ]-->[ node ]       node: 32 bytes, two to a cache line
//                                      |          '--> run of values, one per prefix that ends here
//                                      '-> run of values
//
// A node stands for the next six bits of a key. It has a bit for each of the 2 + 4 + .. + 64
// prefixes that may end within them, a bit for each of the 64 nodes that may follow, and where the
// runs of values and of nodes begin; a rank (count of bits below) finds a place in a run. This is
// Eatherton's tree bitmap (ACM CCR 34(2), 2004) with the longest prefixes of a node inside it, so
// that a /24 is found one step below an 18-bit root. Unlike a leaf-pushed trie (Poptrie, DIR-24-8)
// it changes in one place when a prefix comes or goes, and no second table of prefixes is needed.
//
// The root grows from 64 entries to 2^18 with the number of prefixes, so that a host's few routes
// take a few hundred bytes. Prefixes no longer than it are kept in an array of all of them,
// and the longest over each root entry is painted onto it; that costs up to 2^18 writes for a /0.
//
// Values are 32 bits, 0 meaning "none". Key4 and Key6 below are the two families' keys.
#pragma once

#include <algorithm>
#include <array>
#include <bit>
#include <span>
#include <vector>

#include "net/address.h"
#include "net/wire/wire.h"
#include "vnet/run_pool.h"

namespace wh::vnet {

// An address as a number whose leading bits are the next to be looked at. Left unset by default:
// lookups have arrays of them.
struct Key4 {
  static constexpr uint32_t kBits = 32;
  uint32_t bits;
  bool operator==(const Key4&) const = default;
  static Key4 load(const uint8_t* bytes) { return {net::load32(bytes)}; }
  uint32_t top(uint32_t n) const { return bits >> (kBits - n); }  // REQUIRES: 0 < n < 32.
  Key4 shifted(uint32_t n) const { return {bits << n}; }
  Key4 shifted_far(uint32_t n) const { return shifted(n); }
  uint32_t common(const Key4& o) const {  // As Key6's.
    return static_cast<uint32_t>(std::countl_zero(bits ^ o.bits));
  }
  uint32_t mixed() const { return bits ^ bits >> 8; }  // All that tells near ones apart, low.
};
struct Key6 {
  static constexpr uint32_t kBits = 128;
  uint64_t high, low;
  bool operator==(const Key6&) const = default;
  static Key6 load(const uint8_t* bytes) {
    return {uint64_t{net::load32(bytes)} << 32 | net::load32(bytes + 4),
            uint64_t{net::load32(bytes + 8)} << 32 | net::load32(bytes + 12)};
  }
  uint32_t top(uint32_t n) const { return static_cast<uint32_t>(high >> (64 - n)); }
  // REQUIRES (n): 0 < n < 64.
  Key6 shifted(uint32_t n) const { return {high << n | low >> (64 - n), low << n}; }
  Key6 shifted_far(uint32_t n) const {  // REQUIRES: 0 < n < 128.
    return n < 64 ? shifted(n) : Key6{low << (n - 64), 0};
  }
  // How many leading bits two keys share.
  uint32_t common(const Key6& o) const {
    return static_cast<uint32_t>(high != o.high ? std::countl_zero(high ^ o.high)
                                                : 64 + std::countl_zero(low ^ o.low));
  }
  uint32_t mixed() const { return static_cast<uint32_t>(low ^ low >> 8 ^ high ^ high >> 16); }
};

template <class Key>
class PrefixTrie {
 public:
  static constexpr uint32_t kStride = 6;
  static constexpr uint32_t kMaxRootBits = 18;
  static constexpr uint32_t kGroup = 32;  // Lookups that wait for memory together.

  PrefixTrie() : PrefixTrie(kStride) {}

  // The value of the longest prefix that covers the key, 0 when none does.
  uint32_t lookup(const Key& key) const {
    const RootEntry& root = root_[key.top(root_bits_)];
    return root.node == 0 ? root.value : descend(root, key);
  }
  // The same for many keys at once: memory is asked for all of a group before any is waited for.
  // REQUIRES: as many values as keys.
  void lookup(std::span<const Key> keys, uint32_t* values) const;

  // The value of exactly this prefix, 0 when it is not here. Host bits of the key are ignored.
  uint32_t find(const Key& key, uint32_t length) const;
  // Sets the value of a prefix, new or not. REQUIRES: value != 0, length within the key.
  void insert(const Key& key, uint32_t length, uint32_t value);
  // False when there is no such prefix.
  bool remove(const Key& key, uint32_t length);

  // Calls fn(key, length, value) for each prefix, by address, shorter ones first.
  template <class Fn>
  void for_each(Fn fn) const;
  // The same of those behind a prefix, which need not be here, until fn says false. Null: of all.
  struct Start {
    Key key;
    uint32_t length;
  };
  template <class Fn>
  void for_each_behind(const Start* start, Fn fn) const;

  size_t size() const { return count_; }
  size_t size(uint32_t length) const { return counts_[length]; }  // Of one length.
  size_t memory() const {
    return root_.size() * sizeof(RootEntry) + owner_length_.size() +
           short_.size() * sizeof(uint32_t) + nodes_.memory() + values_.memory();
  }

 private:
  struct RootEntry {
    uint32_t value = 0;  // Of the longest prefix of at most root_bits_ that covers it.
    uint32_t node = 0;   // Where longer ones are; 0 when there are none.
  };
  struct alignas(32) Node {
    uint64_t longest = 0;   // Prefixes of six bits, by their bits.
    uint64_t shorter = 0;   // Those of one to five: bit (1 << length) - 2 + bits.
    uint64_t children = 0;  // Nodes for the next six bits.
    uint32_t values = 0;    // Run: of `longest` first, then of `shorter`.
    uint32_t nodes = 0;     // Run.
  };
  static_assert(sizeof(Node) == 32);

  static uint32_t rank(uint64_t bits, uint32_t position) {
    return static_cast<uint32_t>(std::popcount(bits & ((uint64_t{1} << position) - 1)));
  }
  static bool has(uint64_t bits, uint32_t position) { return (bits >> position & 1) != 0; }
  static uint32_t count(uint64_t bits) { return static_cast<uint32_t>(std::popcount(bits)); }
  // For each six bits, which shorter prefixes cover them.
  static constexpr auto kCovers = [] {
    std::array<uint64_t, 64> covers{};
    for (uint32_t six = 0; six < 64; ++six) {
      for (uint32_t n = 1; n < kStride; ++n) {
        covers[six] |= uint64_t{1} << ((1u << n) - 2 + (six >> (kStride - n)));
      }
    }
    return covers;
  }();

  // Where the value of a node's longest prefix of these six bits is; 0 when it has none.
  static uint32_t best_in(const Node& n, uint32_t six) {
    if (has(n.longest, six)) return n.values + rank(n.longest, six);
    const uint64_t covers = n.shorter & kCovers[six];
    if (covers == 0) return 0;
    const auto last = static_cast<uint32_t>(63 - std::countl_zero(covers));
    return n.values + count(n.longest) + rank(n.shorter, last);
  }

  explicit PrefixTrie(uint32_t root_bits)
      : root_bits_(root_bits),
        root_(size_t{1} << root_bits),
        owner_length_(size_t{1} << root_bits),
        short_(size_t{2} << root_bits) {}

  [[gnu::always_inline]] uint32_t descend(const RootEntry& root, Key key) const;
  // The nodes that the last key went through, and the best value before each: keys that follow each
  // other often begin alike, and the next one starts where the two part.
  struct Trail {
    static constexpr uint32_t kMost = Key::kBits / kStride + 1;
    Key key{};
    uint32_t steps = 0;
    uint32_t nodes[kMost], values[kMost];
  };
  [[gnu::always_inline]] uint32_t follow(const RootEntry& root, const Key& key, Trail& trail) const;
  [[gnu::always_inline]] void lookup_group(const Key* keys, uint32_t n, uint32_t* values) const;
  [[gnu::always_inline]] void lookup_all(std::span<const Key> keys, uint32_t* values) const;
  // Of the parts that lookups walk through once they are behind the root.
  size_t memory_in_use() const { return nodes_.memory() + values_.memory(); }
#if defined(__x86_64__)
  [[gnu::target("popcnt,bmi,bmi2")]] void lookup_all_popcnt(std::span<const Key> keys,
                                                            uint32_t* values) const;
#endif

  // Where a prefix has its place within a node: which word, bit, and position in the run.
  struct Place {
    bool is_longest;
    uint32_t bit;
    uint32_t position(const Node& n) const {
      return is_longest ? rank(n.longest, bit) : count(n.longest) + rank(n.shorter, bit);
    }
    bool is_set(const Node& n) const { return has(is_longest ? n.longest : n.shorter, bit); }
  };
  static Place place_of(const Key& key, uint32_t length) {
    if (length == kStride) return {true, key.top(kStride)};
    return {false, (1u << length) - 2 + key.top(length)};
  }
  static uint32_t values_in(const Node& n) {
    return count(n.longest) + count(n.shorter);
  }

  uint32_t short_index(const Key& key, uint32_t length) const {
    return 1u << length | (length == 0 ? 0 : key.top(length));
  }
  void set_short(const Key& key, uint32_t length, uint32_t value);
  void note_came(uint32_t length) {
    ++count_, ++counts_[length];
  }
  void note_gone(uint32_t length) {
    --count_, --counts_[length];
  }
  uint32_t add_child(uint32_t node, uint32_t six);
  bool remove_below(uint32_t node, const Key& key, uint32_t length);
  void grow_root();
  // Whether anything is behind the start among what has these bits and then this one; the start
  // within that.
  static bool enter(const Start*& start, uint32_t bits, uint32_t bit) {
    if (start == nullptr || bits >= start->length) return start = nullptr, true;
    const uint32_t own = (bits == 0 ? start->key : start->key.shifted_far(bits)).top(1);
    if (bit > own) start = nullptr;
    return bit >= own;
  }
  // Whether a node has anything among what has these leading bits.
  static bool has_under(const Node& n, uint32_t length, uint32_t bits);
  // False when fn has said so.
  template <class Fn>
  bool walk(uint32_t node, Key prefix, uint32_t depth, const Start* start, Fn& fn) const;
  template <class Fn>
  bool walk_short(uint32_t index, uint32_t length, const Start* start, Fn& fn) const;
  static Key with_bits(Key key, uint32_t bits, uint32_t at, uint32_t n);

  uint32_t root_bits_;
  size_t count_ = 0;
  std::array<uint32_t, Key::kBits + 1> counts_{};  // Of each length.
  std::vector<RootEntry> root_;
  std::vector<uint8_t> owner_length_;  // Of the prefix whose value a root entry has.
  std::vector<uint32_t> short_;  // Values by 1 << length | bits, for lengths up to root_bits_.
  RunPool<Node> nodes_;
  RunPool<uint32_t> values_;
};

using PrefixTrie4 = PrefixTrie<Key4>;
using PrefixTrie6 = PrefixTrie<Key6>;

template <class Key>
inline uint32_t PrefixTrie<Key>::descend(const RootEntry& root, Key key) const {
  uint32_t at = 0;  // Of the best value in a run; 0 while that is the root's.
  uint32_t index = root.node;
  key = key.shifted(root_bits_);
  while (true) {
    const Node& n = *nodes_.at(index);
    const uint32_t six = key.top(kStride);
    if (const uint32_t better = best_in(n, six); better != 0) at = better;
    if (!has(n.children, six)) break;
    index = n.nodes + rank(n.children, six);
    key = key.shifted(kStride);
  }
  return at != 0 ? *values_.at(at) : root.value;
}

template <class Key>
inline uint32_t PrefixTrie<Key>::follow(const RootEntry& root, const Key& key, Trail& trail) const {
  uint32_t at = 0, index = root.node, step = 0;
  const uint32_t same = trail.steps == 0 ? 0 : key.common(trail.key);
  if (same >= root_bits_ + kStride) {
    step = std::min((same - root_bits_) / kStride, trail.steps - 1);
    index = trail.nodes[step];
    at = trail.values[step];
  }
  trail.key = key;
  Key rest = key.shifted_far(root_bits_ + step * kStride);
  while (true) {
    trail.nodes[step] = index;
    trail.values[step++] = at;
    const Node& n = *nodes_.at(index);
    const uint32_t six = rest.top(kStride);
    if (const uint32_t better = best_in(n, six); better != 0) at = better;
    if (!has(n.children, six)) break;
    index = n.nodes + rank(n.children, six);
    rest = rest.shifted(kStride);
  }
  trail.steps = step;
  return at != 0 ? *values_.at(at) : root.value;
}

// --- walking ---

// `key` with n bits put in at bit `at` from its top.
template <class Key>
inline Key PrefixTrie<Key>::with_bits(Key key, uint32_t bits, uint32_t at, uint32_t n) {
  for (uint32_t i = 0; i < n && at + i < Key::kBits; ++i) {
    if ((bits >> (n - 1 - i) & 1) == 0) continue;
    const uint32_t from_top = at + i;
    if constexpr (Key::kBits == 32) {
      key.bits |= 1u << (31 - from_top);
    } else if (from_top < 64) {
      key.high |= uint64_t{1} << (63 - from_top);
    } else {
      key.low |= uint64_t{1} << (127 - from_top);
    }
  }
  return key;
}

template <class Key>
inline bool PrefixTrie<Key>::has_under(const Node& n, uint32_t length, uint32_t bits) {
  const uint32_t places = 1u << (kStride - length);
  const uint64_t ones = places == 64 ? ~uint64_t{0} : (uint64_t{1} << places) - 1;
  if (((n.longest | n.children) & ones << bits * places) != 0) return true;
  if (n.shorter == 0) return false;
  for (uint32_t more = length == 0 ? 1 : 0; length + more < kStride; ++more) {
    const uint64_t row = (uint64_t{1} << (1u << more)) - 1;
    const uint32_t first = (1u << (length + more)) - 2 + (bits << more);
    if ((n.shorter & row << first) != 0) return true;
  }
  return false;
}

template <class Key>
template <class Fn>
bool PrefixTrie<Key>::walk(uint32_t index, Key prefix, uint32_t depth, const Start* start,
                           Fn& fn) const {
  // Each prefix of this node before those it covers: the binary tree of up to six bits, in order.
  auto visit = [&](auto& self, uint32_t length, uint32_t bits, const Start* from) -> bool {
    const Node& n = *nodes_.at(index);
    if (!has_under(n, length, bits)) return true;
    const Place place{length == kStride, length == kStride ? bits : (1u << length) - 2 + bits};
    if (from == nullptr && length > 0 && place.is_set(n)) {
      const bool goes_on = fn(with_bits(prefix, bits, depth, length), depth + length,
                              *values_.at(n.values + place.position(n)));
      if (!goes_on) return false;
    }
    if (length == kStride) {
      return !has(n.children, bits) ||
             walk(n.nodes + rank(n.children, bits), with_bits(prefix, bits, depth, kStride),
                  depth + kStride, from, fn);
    }
    for (const uint32_t bit : {0u, 1u}) {
      const Start* within = from;
      if (!enter(within, depth + length, bit)) continue;
      if (!self(self, length + 1, bits << 1 | bit, within)) return false;
    }
    return true;
  };
  return visit(visit, 0, 0, start);
}

template <class Key>
template <class Fn>
bool PrefixTrie<Key>::walk_short(uint32_t index, uint32_t length, const Start* start,
                                 Fn& fn) const {
  const uint32_t bits = index ^ 1u << length;
  const auto key = [&] { return with_bits(Key{}, bits, 0, length); };
  if (start == nullptr && short_[index] != 0 && !fn(key(), length, short_[index])) return false;
  if (length == root_bits_) {
    return root_[bits].node == 0 || walk(root_[bits].node, key(), root_bits_, start, fn);
  }
  for (const uint32_t bit : {0u, 1u}) {
    const Start* within = start;
    if (!enter(within, length, bit)) continue;
    if (!walk_short(index << 1 | bit, length + 1, within, fn)) return false;
  }
  return true;
}

template <class Key>
template <class Fn>
void PrefixTrie<Key>::for_each(Fn fn) const {
  for_each_behind(nullptr, [&](const Key& key, uint32_t length, uint32_t value) {
    fn(key, length, value);
    return true;
  });
}

template <class Key>
template <class Fn>
void PrefixTrie<Key>::for_each_behind(const Start* start, Fn fn) const {
  walk_short(1, 0, start, fn);
}

}  // namespace wh::vnet
