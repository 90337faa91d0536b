// Longest prefix match over byte strings: a multi-bit trie with a stride of eight.
//
// Each node has 256 slots, one per value of the next byte. A prefix that ends within a byte is
// written into all the slots it covers, beneath longer ones; a lookup walks down at most one node
// per byte and keeps the last value it saw. Four loads for an IPv4 address at worst, sixteen for
// IPv6. It is plain on purpose: a structure that compresses can take its place behind the same four
// functions.
//
// Values are 32 bits, 0 meaning "none". The trie does not remember prefixes: whoever removes one
// says what now covers its place (`under`), which a route table knows.
#pragma once

#include <array>
#include <cstdint>
#include <memory>
#include <vector>

#include "core/check.h"

namespace wh::vnet {

class PrefixTrie {
 public:
  explicit PrefixTrie(uint32_t key_bytes) : key_bytes_(key_bytes) { nodes_.emplace_back(new Node); }

  // The value of the longest prefix that covers `key` (key_bytes of it), 0 when none does.
  uint32_t lookup(const uint8_t* key) const {
    uint32_t found = 0;
    const Node* node = nodes_[0].get();
    for (uint32_t i = 0; i < key_bytes_; ++i) {
      const Slot& slot = node->slots[key[i]];
      if (slot.value != 0) found = slot.value;
      if (slot.child == 0) break;
      node = nodes_[slot.child].get();
    }
    return found != 0 ? found : default_;
  }

  // Sets the value of a prefix of `length` bits, new or not. REQUIRES: value != 0, length within
  // the key.
  void insert(const uint8_t* key, uint32_t length, uint32_t value) {
    CHECK(value != 0);
    write(key, length, value, length);
  }
  // Takes a prefix out. `under_value` of `under_length` bits is the longest other prefix that
  // covers it, or 0, 0.
  void remove(const uint8_t* key, uint32_t length, uint32_t under_value, uint32_t under_length) {
    CHECK(under_length < length || under_value == 0);
    // A cover that ends in an earlier byte is found on the way down.
    const bool is_same_node = length > 0 && under_length > (length - 1) / 8 * 8;
    write(key, length, is_same_node ? under_value : 0, is_same_node ? under_length : 0);
  }

  size_t memory() const { return nodes_.size() * sizeof(Node); }

 private:
  struct Slot {
    uint32_t value = 0;
    uint32_t child = 0;  // Index of the node for the next byte; 0 when there is none.
    uint8_t length = 0;  // Of the prefix that `value` belongs to.
  };
  struct Node {
    std::array<Slot, 256> slots{};
  };

  // Puts `value` (of a prefix of `value_length` bits) wherever the prefix key/length, or a shorter
  // one, stood.
  void write(const uint8_t* key, uint32_t length, uint32_t value, uint32_t value_length) {
    CHECK(length <= key_bytes_ * 8);
    if (length == 0) {
      default_ = value;
      return;
    }
    const uint32_t last = (length - 1) / 8;  // The byte it ends in.
    uint32_t at = 0;
    for (uint32_t i = 0; i < last; ++i) {
      const uint32_t child = nodes_[at]->slots[key[i]].child;
      at = child != 0 ? child : add_node(at, key[i]);
    }
    const uint32_t free_bits = (last + 1) * 8 - length;
    const uint32_t first = key[last] & (0xffu << free_bits) & 0xff;
    for (uint32_t i = first; i < first + (1u << free_bits); ++i) {
      Slot& slot = nodes_[at]->slots[i];
      if (slot.value != 0 && slot.length > length) continue;
      slot.value = value;
      slot.length = static_cast<uint8_t>(value_length);
    }
  }
  uint32_t add_node(uint32_t parent, uint8_t byte) {
    const auto index = static_cast<uint32_t>(nodes_.size());
    nodes_.emplace_back(new Node);
    nodes_[parent]->slots[byte].child = index;
    return index;
  }

  uint32_t key_bytes_;
  uint32_t default_ = 0;
  std::vector<std::unique_ptr<Node>> nodes_;
};

}  // namespace wh::vnet
