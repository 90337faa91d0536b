#include "vnet/fib.h"

#include <algorithm>

namespace wh::vnet {

using net::Family;
using net::Ip6;
using net::IpAddress;
using net::Prefix;

const char* to_string(RouteSource source) {
  switch (source) {
    case RouteSource::Special: return "special";
    case RouteSource::Interface: return "interface";
    case RouteSource::Static: return "static";
    case RouteSource::Dhcp: return "dhcp";
    case RouteSource::Neighbour: return "neighbour";
  }
  UNREACHABLE();
}

Ip6 Fib::address_of(const Key6& key) {
  Ip6 a;
  for (uint32_t i = 0; i < 16; ++i) {
    const uint64_t half = i < 8 ? key.high : key.low;
    a.bytes[i] = static_cast<uint8_t>(half >> (56 - 8 * (i % 8)));
  }
  return a;
}

uint32_t Fib::value_at(const Prefix& network) const {
  const uint8_t* bytes = network.address.bits.bytes.data();
  return family_ == Family::V4 ? four_.find(Key4::load(bytes), network.length)
                               : six_.find(Key6::load(bytes), network.length);
}

void Fib::write(const Prefix& network, uint32_t value) {
  const uint8_t* bytes = network.address.bits.bytes.data();
  recent4_.forget();
  recent6_.forget();
  if (family_ == Family::V4) {
    value != 0 ? four_.insert(Key4::load(bytes), network.length, value)
               : CHECK(four_.remove(Key4::load(bytes), network.length));
  } else {
    value != 0 ? six_.insert(Key6::load(bytes), network.length, value)
               : CHECK(six_.remove(Key6::load(bytes), network.length));
  }
  if (changed_) changed_(network);
}

void Fib::show_best(const Prefix& network, const Sources& sources) {
  const auto best =
      std::find_if(sources.begin(), sources.end(), [](AdjacencyIndex a) { return a != kNoRoute; });
  write(network, value_of(static_cast<RouteSource>(best - sources.begin()), *best));
}

void Fib::set(const Prefix& prefix, RouteSource source, AdjacencyIndex adjacency) {
  CHECK(adjacency != kNoRoute && prefix.address.family == family_);
  const Prefix network = prefix.network();
  const uint32_t known = value_at(network);
  if (known == 0 || (source_in(known) == source && contested_.empty())) {
    write(network, value_of(source, adjacency));
    return;
  }
  auto it = contested_.find(network);
  if (it == contested_.end()) {
    if (source_in(known) == source) return write(network, value_of(source, adjacency));
    it = contested_.emplace(network, Sources{}).first;
    it->second[static_cast<size_t>(source_in(known))] = adjacency_in(known);
  }
  it->second[static_cast<size_t>(source)] = adjacency;
  show_best(network, it->second);
}

bool Fib::remove(const Prefix& prefix, RouteSource source) {
  const Prefix network = prefix.network();
  const auto it = contested_.find(network);
  if (it == contested_.end()) {
    const uint32_t known = value_at(network);
    if (known == 0 || source_in(known) != source) return false;
    write(network, 0);
    return true;
  }
  AdjacencyIndex& known = it->second[static_cast<size_t>(source)];
  if (std::exchange(known, kNoRoute) == kNoRoute) return false;
  show_best(network, it->second);
  const auto left = std::count_if(it->second.begin(), it->second.end(),
                                  [](AdjacencyIndex a) { return a != kNoRoute; });
  if (left == 1) contested_.erase(it);
  return true;
}

std::optional<Fib::Entry> Fib::find(const Prefix& prefix) const {
  const uint32_t value = value_at(prefix.network());
  if (value == 0) return std::nullopt;
  return entry_of(prefix.network(), value);
}

AdjacencyIndex Fib::find(const Prefix& prefix, RouteSource source) const {
  const Prefix network = prefix.network();
  const auto it = contested_.find(network);
  if (it != contested_.end()) return it->second[static_cast<size_t>(source)];
  const uint32_t value = value_at(network);
  return value != 0 && source_in(value) == source ? adjacency_in(value) : kNoRoute;
}

std::optional<Fib::Entry> Fib::covering(const IpAddress& address) const {
  for (int length = address.is_v4() ? 32 : 128; length >= 0; --length) {
    if (auto entry = find(Prefix{address, static_cast<uint8_t>(length)})) return entry;
  }
  return std::nullopt;
}

std::optional<Fib::Entry> Fib::covering_route(const IpAddress& address) const {
  auto entry = covering(address);
  if (!entry || entry->source != RouteSource::Neighbour) return entry;
  for (int length = entry->prefix.length - 1; length >= 0; --length) {
    if (auto next = find(Prefix{address, static_cast<uint8_t>(length)})) return next;
  }
  return std::nullopt;
}

std::vector<Prefix> Fib::prefixes(size_t most, const std::optional<Prefix>& behind) const {
  std::vector<Prefix> found;
  const auto add = [&](const IpAddress& address, uint32_t length) {
    found.push_back({address, static_cast<uint8_t>(length)});
    return found.size() < most;
  };
  const uint8_t* bytes = behind ? behind->address.bits.bytes.data() : nullptr;
  if (family_ == Family::V4) {
    PrefixTrie4::Start start{};
    if (behind) start = {Key4::load(bytes), behind->length};
    four_.for_each_behind(behind ? &start : nullptr,
                          [&](const Key4& key, uint32_t length, uint32_t) {
                            return add(net::Ip4{key.bits}, length);
                          });
  } else {
    PrefixTrie6::Start start{};
    if (behind) start = {Key6::load(bytes), behind->length};
    six_.for_each_behind(
        behind ? &start : nullptr,
        [&](const Key6& key, uint32_t length, uint32_t) { return add(address_of(key), length); });
  }
  return found;
}

}  // namespace wh::vnet
