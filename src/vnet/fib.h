// The forwarding information base of one address family and VRF: which adjacency a destination
// leads to.
//
// Several sources may know the same prefix; the first of them in the order of RouteSource wins and
// is what packets see. The trie is the table: a value in it is the winning source and its
// adjacency, in four bytes, so that a full table is a few MiB. What lost to another source (a
// neighbour's host route under an address of ours, say) is rare and lies in a map beside it. What
// the trie said last is remembered for packets that come alone (FreeBSD: a connection keeps its
// route), until anything in the table changes.
#pragma once

#include <array>
#include <functional>
#include <map>
#include <optional>

#include "net/address.h"
#include "vnet/adjacency.h"
#include "vnet/prefix_trie.h"

namespace wh::vnet {

enum class RouteSource : uint8_t {
  Special,    // Ranges that every host treats in one way: multicast, loopback, reserved.
  Interface,  // An interface's own address, its connected prefix, its broadcast address.
  Static,     // Given by a person.
  Dhcp,       // Given by a DHCP server: the default route of a client.
  Neighbour,  // The host route of a neighbour on a connected prefix.
};
constexpr size_t kRouteSources = 5;
const char* to_string(RouteSource source);

class Fib {
 public:
  struct Entry {
    net::Prefix prefix;
    RouteSource source;  // The best that knows it.
    AdjacencyIndex adjacency;
  };

  explicit Fib(net::Family family) : family_(family) {}

  // Sets or replaces what one source says of a prefix; host bits are ignored. REQUIRES: not
  // kNoRoute, of this family.
  void set(const net::Prefix& prefix, RouteSource source, AdjacencyIndex adjacency);
  // False when that source did not know the prefix.
  bool remove(const net::Prefix& prefix, RouteSource source);
  // Called after what packets see for a prefix has changed.
  void on_change(std::function<void(const net::Prefix&)> changed) { changed_ = std::move(changed); }

  // The adjacency for a destination given as its bytes in network order; kNoRoute when there is
  // none.
  AdjacencyIndex lookup(const uint8_t* destination) const {
    return adjacency_in(family_ == net::Family::V4 ? four_.lookup(Key4::load(destination))
                                                   : six_.lookup(Key6::load(destination)));
  }
  AdjacencyIndex lookup(const net::IpAddress& a) const { return lookup(a.bits.bytes.data()); }
  // For many at once: values, each with an adjacency in it. REQUIRES: the keys are of this family,
  // as many values as keys.
  void lookup(std::span<const Key4> keys, uint32_t* values) const { four_.lookup(keys, values); }
  void lookup(std::span<const Key6> keys, uint32_t* values) const { six_.lookup(keys, values); }
  // For one that comes alone: packets that come so go to few places, whose values are at hand.
  template <class Key>
  uint32_t lookup_alone(const Key& key) const {
    if constexpr (Key::kBits == 32) {
      return recent4_.value(key, four_);
    } else {
      return recent6_.value(key, six_);
    }
  }
  static AdjacencyIndex adjacency_in(uint32_t value) {
    return value & ((1u << kAdjacencyBits) - 1);
  }

  // What is known of exactly this prefix, by its best source or by a given one; nothing, or
  // kNoRoute, when it is not known.
  std::optional<Entry> find(const net::Prefix& prefix) const;
  AdjacencyIndex find(const net::Prefix& prefix, RouteSource source) const;
  // The longest prefix that covers the address; nothing when none does.
  std::optional<Entry> covering(const net::IpAddress& address) const;
  // The same, but for a neighbour's host route: what would be there if it were not known.
  std::optional<Entry> covering_route(const net::IpAddress& address) const;
  // By address, shorter prefixes first. `fn` must not change the table.
  template <class Fn>
  void for_each(Fn fn) const {
    if (family_ == net::Family::V4) {
      four_.for_each([&](const Key4& key, uint32_t length, uint32_t value) {
        fn(entry_of({net::Ip4{key.bits}, static_cast<uint8_t>(length)}, value));
      });
    } else {
      six_.for_each([&](const Key6& key, uint32_t length, uint32_t value) {
        fn(entry_of({address_of(key), static_cast<uint8_t>(length)}, value));
      });
    }
  }
  // At most so many prefixes, the next in that order behind one, or the first.
  std::vector<net::Prefix> prefixes(size_t most, const std::optional<net::Prefix>& behind) const;
  size_t size() const { return four_.size() + six_.size(); }
  size_t size(uint8_t length) const {  // Of the prefixes of one length. REQUIRES: of this family.
    return family_ == net::Family::V4 ? four_.size(length) : six_.size(length);
  }
  size_t memory() const { return four_.memory() + six_.memory(); }  // Bytes.

 private:
  using Sources = std::array<AdjacencyIndex, kRouteSources>;  // kNoRoute where one knows nothing.

  // What the trie said last of some keys, each in the place that its bits choose.
  template <class Key>
  class Recent {
   public:
    Recent() { forget(); }
    uint32_t value(const Key& key, const PrefixTrie<Key>& trie) {
      const uint32_t at = key.mixed() % kPlaces;
      return keys_[at] == key && values_[at] != kUnknown ? values_[at] : learn(at, key, trie);
    }
    void forget() { values_.fill(kUnknown); }

   private:
    // Apart from the loop over packets, which has more use for the registers.
    [[gnu::noinline]] uint32_t learn(uint32_t at, const Key& key, const PrefixTrie<Key>& trie) {
      keys_[at] = key;
      return values_[at] = trie.lookup(key);
    }
    static constexpr uint32_t kPlaces = 16;
    static constexpr uint32_t kUnknown = ~uint32_t{0};  // No source has this number.
    std::array<Key, kPlaces> keys_{};
    std::array<uint32_t, kPlaces> values_;
  };

  // A value of the trie: three bits of source, the rest adjacency.
  static constexpr uint32_t kAdjacencyBits = 29;
  static RouteSource source_in(uint32_t value) {
    return static_cast<RouteSource>(value >> kAdjacencyBits);
  }
  static uint32_t value_of(RouteSource source, AdjacencyIndex adjacency) {
    CHECK(adjacency >> kAdjacencyBits == 0);
    return uint32_t{static_cast<uint8_t>(source)} << kAdjacencyBits | adjacency;
  }
  static Entry entry_of(const net::Prefix& prefix, uint32_t value) {
    return {prefix, source_in(value), adjacency_in(value)};
  }
  static net::Ip6 address_of(const Key6& key);

  uint32_t value_at(const net::Prefix& network) const;
  void write(const net::Prefix& network, uint32_t value);
  void show_best(const net::Prefix& network, const Sources& sources);

  net::Family family_;
  PrefixTrie4 four_;  // One of them stays empty.
  PrefixTrie6 six_;
  mutable Recent<Key4> recent4_;  // Forgotten at every change.
  mutable Recent<Key6> recent6_;
  std::map<net::Prefix, Sources> contested_;  // Prefixes that several sources know.
  std::function<void(const net::Prefix&)> changed_;
};

}  // namespace wh::vnet
