// The forwarding information base of one address family: which adjacency a destination leads to.
//
// Several sources may know the same prefix; the first of them in the order of RouteSource wins and
// is what packets see. The table of prefixes is the truth; the trie is made from it and answers
// lookups.
#pragma once

#include <array>
#include <cstdint>
#include <map>

#include "net/address.h"
#include "vnet/adjacency.h"
#include "vnet/prefix_trie.h"

namespace wh::vnet {

enum class RouteSource : uint8_t {
  Special,    // Ranges that every host treats in one way: multicast, loopback, reserved.
  Interface,  // An interface's own address, its connected prefix, its broadcast address.
  Static,     // Given by a person.
  Neighbour,  // The host route of a neighbour on a connected prefix.
};
constexpr size_t kRouteSources = 4;
const char* to_string(RouteSource source);

class Fib {
 public:
  struct Entry {
    std::array<AdjacencyIndex, kRouteSources>
        by_source{};  // kNoRoute where the source knows nothing.
    RouteSource best() const;
    AdjacencyIndex adjacency() const { return by_source[static_cast<size_t>(best())]; }
    bool is_empty() const { return by_source == decltype(by_source){}; }
  };

  explicit Fib(net::Family family) : trie_(family == net::Family::V4 ? 4 : 16) {}

  // Sets or replaces what one source says of a prefix; host bits are ignored. REQUIRES: not
  // kNoRoute.
  void set(const net::Prefix& prefix, RouteSource source, AdjacencyIndex adjacency);
  // False when that source did not know the prefix.
  bool remove(const net::Prefix& prefix, RouteSource source);

  // The adjacency for a destination given as its bytes in network order; kNoRoute when there is
  // none.
  AdjacencyIndex lookup(const uint8_t* destination) const { return trie_.lookup(destination); }
  AdjacencyIndex lookup(const net::IpAddress& a) const { return lookup(a.bits.bytes.data()); }

  // What is known of exactly this prefix; nullptr when nothing is.
  const Entry* find(const net::Prefix& prefix) const;
  // The longest prefix that covers the address, for `show`; nullptr when none does.
  const std::pair<const net::Prefix, Entry>* covering(const net::IpAddress& address) const;
  const std::map<net::Prefix, Entry>& entries() const { return entries_; }
  size_t memory() const { return trie_.memory(); }

 private:
  std::map<net::Prefix, Entry> entries_;
  PrefixTrie trie_;
};

}  // namespace wh::vnet
