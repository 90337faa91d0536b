#include "vnet/prefix_trie.h"

#include <algorithm>

namespace wh::vnet {
namespace {

// Prefixes from which on the next larger root pays: a router has more than the first, a host with
// one interface fewer.
constexpr size_t kEnoughFor12 = 12, kEnoughFor18 = 256;
// A trie up to this size stays in the caches, and looking for one key after another is quickest.
constexpr size_t kSmall = 768 << 10;

}  // namespace

// --- lookups ---

// All of a group advance together: the first pass asks for root entries, the second for nodes, the
// third for the runs that they lead to, so that misses overlap. What goes deeper (few do) is then
// walked to its end alone or by further rounds.
template <class Key>
inline void PrefixTrie<Key>::lookup_group(const Key* keys, uint32_t n, uint32_t* values) const {
  struct Walk {
    Key key;
    uint32_t at, node;
  };
  Walk walks[kGroup];
  uint8_t active[kGroup];
  uint32_t left = 0;
  for (uint32_t i = 0; i < n; ++i) __builtin_prefetch(&root_[keys[i].top(root_bits_)]);
  for (uint32_t i = 0; i < n; ++i) {
    const RootEntry& root = root_[keys[i].top(root_bits_)];
    values[i] = root.value;
    walks[i].at = 0;
    walks[i].node = root.node;
    walks[i].key = keys[i].shifted(root_bits_);
    active[left] = static_cast<uint8_t>(i);
    left += root.node != 0;
    __builtin_prefetch(nodes_.at(root.node));
  }
  const bool any = left != 0;
  while (left != 0) {
    uint32_t still = 0;
    for (uint32_t j = 0; j < left; ++j) {
      Walk& w = walks[active[j]];
      const Node& node = *nodes_.at(w.node);
      const uint32_t six = w.key.top(kStride);
      const uint64_t covers = node.shorter & kCovers[six];
      const bool is_longest = has(node.longest, six);
      const auto last = static_cast<uint32_t>(63 - std::countl_zero(covers | 1));
      const uint32_t place =
          is_longest ? rank(node.longest, six) : count(node.longest) + rank(node.shorter, last);
      w.at = is_longest || covers != 0 ? node.values + place : w.at;
      __builtin_prefetch(values_.at(w.at));
      w.node = node.nodes + rank(node.children, six);
      w.key = w.key.shifted(kStride);
      active[still] = active[j];
      const bool goes_on = has(node.children, six);
      still += goes_on;
      if (goes_on) __builtin_prefetch(nodes_.at(w.node));
    }
    left = still;
  }
  if (!any) return;
  for (uint32_t i = 0; i < n; ++i) {
    if (walks[i].at != 0) values[i] = *values_.at(walks[i].at);
  }
}

template <class Key>
inline void PrefixTrie<Key>::lookup_all(std::span<const Key> keys, uint32_t* values) const {
  if (memory_in_use() <= kSmall) {
    [[maybe_unused]] Trail trail;
    for (size_t i = 0; i < keys.size(); ++i) {
      const RootEntry& root = root_[keys[i].top(root_bits_)];
      if (root.node == 0) {
        values[i] = root.value;
      } else if constexpr (Key::kBits > 64) {
        values[i] = follow(root, keys[i], trail);
      } else {  // One or two steps: nothing to be saved.
        values[i] = descend(root, keys[i]);
      }
    }
    return;
  }
  for (size_t i = 0; i < keys.size(); i += kGroup) {
    const auto n = static_cast<uint32_t>(std::min<size_t>(kGroup, keys.size() - i));
    lookup_group(keys.data() + i, n, values + i);
  }
}

#if defined(__x86_64__)
template <class Key>
void PrefixTrie<Key>::lookup_all_popcnt(std::span<const Key> keys, uint32_t* values) const {
  lookup_all(keys, values);
}
#endif

template <class Key>
void PrefixTrie<Key>::lookup(std::span<const Key> keys, uint32_t* values) const {
#if defined(__x86_64__)
  if (__builtin_cpu_supports("bmi2")) return lookup_all_popcnt(keys, values);
#endif
  lookup_all(keys, values);
}

template <class Key>
uint32_t PrefixTrie<Key>::find(const Key& key, uint32_t length) const {
  CHECK(length <= Key::kBits);
  if (length <= root_bits_) return short_[short_index(key, length)];
  uint32_t index = root_[key.top(root_bits_)].node;
  Key rest = key.shifted(root_bits_);
  for (uint32_t left = length - root_bits_; index != 0; left -= kStride) {
    const Node& n = *nodes_.at(index);
    if (left <= kStride) {
      const Place place = place_of(rest, left);
      return place.is_set(n) ? *values_.at(n.values + place.position(n)) : 0;
    }
    const uint32_t six = rest.top(kStride);
    if (!has(n.children, six)) return 0;
    index = n.nodes + rank(n.children, six);
    rest = rest.shifted(kStride);
  }
  return 0;
}

// --- changes ---

// Prefixes that end within the root. A value of 0 takes the prefix out, and what covers it shows
// through.
template <class Key>
void PrefixTrie<Key>::set_short(const Key& key, uint32_t length, uint32_t value) {
  const uint32_t index = short_index(key, length);
  short_[index] = value;
  uint32_t shown = value, shown_length = length;
  for (uint32_t up = index; shown == 0 && shown_length > 0;) {
    up >>= 1;
    --shown_length;
    shown = short_[up];
  }
  const uint32_t first = (index ^ 1u << length) << (root_bits_ - length);
  const uint32_t end = first + (1u << (root_bits_ - length));
  const auto owner = static_cast<uint8_t>(shown_length);
  for (uint32_t i = first; i < end; ++i) {
    if (root_[i].value != 0 && owner_length_[i] > length) continue;
    root_[i].value = shown;
    owner_length_[i] = owner;
  }
}

template <class Key>
uint32_t PrefixTrie<Key>::add_child(uint32_t node, uint32_t six) {
  const Node parent = *nodes_.at(node);
  const uint32_t position = rank(parent.children, six);
  const uint32_t run = nodes_.insert(parent.nodes, count(parent.children), position, Node{});
  Node& n = *nodes_.at(node);
  n.nodes = run;
  n.children |= uint64_t{1} << six;
  return run + position;
}

template <class Key>
void PrefixTrie<Key>::insert(const Key& key, uint32_t length, uint32_t value) {
  CHECK(value != 0 && length <= Key::kBits);
  const bool is_full = count_ >= (root_bits_ < 12 ? kEnoughFor12 : kEnoughFor18);
  if (is_full && root_bits_ < kMaxRootBits) grow_root();
  if (length <= root_bits_) {
    if (short_[short_index(key, length)] == 0) note_came(length);
    set_short(key, length, value);
    return;
  }
  RootEntry& root = root_[key.top(root_bits_)];
  if (root.node == 0) root.node = nodes_.insert(0, 0, 0, Node{});
  uint32_t index = root.node;
  Key rest = key.shifted(root_bits_);
  uint32_t left = length - root_bits_;
  for (; left > kStride; left -= kStride, rest = rest.shifted(kStride)) {
    const uint32_t six = rest.top(kStride);
    const Node& n = *nodes_.at(index);
    index = has(n.children, six) ? n.nodes + rank(n.children, six) : add_child(index, six);
  }
  Node& n = *nodes_.at(index);
  const Place place = place_of(rest, left);
  const uint32_t position = place.position(n);
  if (place.is_set(n)) {
    *values_.at(n.values + position) = value;
    return;
  }
  n.values = values_.insert(n.values, values_in(n), position, value);
  (place.is_longest ? n.longest : n.shorter) |= uint64_t{1} << place.bit;
  note_came(length);
}

// Takes a prefix out of the part below a node. False when it is not there.
template <class Key>
bool PrefixTrie<Key>::remove_below(uint32_t index, const Key& key, uint32_t length) {
  Node& n = *nodes_.at(index);
  if (length <= kStride) {
    const Place place = place_of(key, length);
    if (!place.is_set(n)) return false;
    n.values = values_.erase(n.values, values_in(n), place.position(n));
    (place.is_longest ? n.longest : n.shorter) ^= uint64_t{1} << place.bit;
    return true;
  }
  const uint32_t six = key.top(kStride);
  if (!has(n.children, six)) return false;
  const uint32_t child = n.nodes + rank(n.children, six);
  if (!remove_below(child, key.shifted(kStride), length - kStride)) return false;
  const Node& below = *nodes_.at(child);
  if ((below.longest | below.shorter | below.children) != 0) return true;
  // A run moves only by allocation; n itself lies in another run and may move with it.
  const Node parent = *nodes_.at(index);
  const uint32_t run =
      nodes_.erase(parent.nodes, count(parent.children), rank(parent.children, six));
  nodes_.at(index)->nodes = run;
  nodes_.at(index)->children ^= uint64_t{1} << six;
  return true;
}

template <class Key>
bool PrefixTrie<Key>::remove(const Key& key, uint32_t length) {
  CHECK(length <= Key::kBits);
  if (length <= root_bits_) {
    if (short_[short_index(key, length)] == 0) return false;
    set_short(key, length, 0);
    note_gone(length);
    return true;
  }
  RootEntry& root = root_[key.top(root_bits_)];
  if (root.node == 0 || !remove_below(root.node, key.shifted(root_bits_), length - root_bits_)) {
    return false;
  }
  note_gone(length);
  const Node& n = *nodes_.at(root.node);
  if ((n.longest | n.shorter | n.children) == 0) {
    nodes_.free(root.node, 1);
    root.node = 0;
  }
  return true;
}

template <class Key>
void PrefixTrie<Key>::grow_root() {
  PrefixTrie larger(root_bits_ < 12 ? 12 : kMaxRootBits);
  for_each(
      [&](const Key& key, uint32_t length, uint32_t value) { larger.insert(key, length, value); });
  *this = std::move(larger);
}

template class PrefixTrie<Key4>;
template class PrefixTrie<Key6>;

}  // namespace wh::vnet
