#include "vnet/fib.h"

namespace wh::vnet {

using net::IpAddress;
using net::Prefix;

const char* to_string(RouteSource source) {
  switch (source) {
    case RouteSource::Special: return "special";
    case RouteSource::Interface: return "interface";
    case RouteSource::Static: return "static";
    case RouteSource::Neighbour: return "neighbour";
  }
  UNREACHABLE();
}

RouteSource Fib::Entry::best() const {
  for (size_t i = 0; i < kRouteSources; ++i) {
    if (by_source[i] != kNoRoute) return static_cast<RouteSource>(i);
  }
  return RouteSource::Special;
}

void Fib::set(const Prefix& prefix, RouteSource source, AdjacencyIndex adjacency) {
  CHECK(adjacency != kNoRoute);
  const Prefix network = prefix.network();
  Entry& entry = entries_[network];
  entry.by_source[static_cast<size_t>(source)] = adjacency;
  trie_.insert(network.address.bits.bytes.data(), network.length, entry.adjacency());
}

bool Fib::remove(const Prefix& prefix, RouteSource source) {
  const Prefix network = prefix.network();
  const auto it = entries_.find(network);
  if (it == entries_.end()) return false;
  AdjacencyIndex& known = it->second.by_source[static_cast<size_t>(source)];
  if (known == kNoRoute) return false;
  known = kNoRoute;
  const uint8_t* key = network.address.bits.bytes.data();
  if (!it->second.is_empty()) {
    trie_.insert(key, network.length, it->second.adjacency());
    return true;
  }
  entries_.erase(it);
  AdjacencyIndex under = 0;
  uint8_t under_length = 0;
  for (uint8_t length = network.length; length-- > 0;) {
    if (const Entry* cover = find({network.address, length}); cover != nullptr) {
      under = cover->adjacency();
      under_length = length;
      break;
    }
  }
  trie_.remove(key, network.length, under, under_length);
  return true;
}

const Fib::Entry* Fib::find(const Prefix& prefix) const {
  const auto it = entries_.find(prefix.network());
  return it == entries_.end() ? nullptr : &it->second;
}

const std::pair<const Prefix, Fib::Entry>* Fib::covering(const IpAddress& address) const {
  for (int length = address.is_v4() ? 32 : 128; length >= 0; --length) {
    const auto it = entries_.find(Prefix{address, static_cast<uint8_t>(length)}.network());
    if (it != entries_.end()) return &*it;
  }
  return nullptr;
}

}  // namespace wh::vnet
