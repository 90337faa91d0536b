#include "vnet/interface_table.h"

#include <algorithm>

#include "core/sysctl.h"

namespace wh::vnet {

using net::Ip6;
using net::IpAddress;

namespace {

bool has_subnet_router(const InterfaceAddress& a) {
  const IpAddress& own = a.prefix.address;
  return !own.is_v4() && !own.is_link_local() && a.prefix.length < 127;
}

}  // namespace

bool InterfaceEntry::has_joined(const Ip6& group) const {
  return std::find(groups.begin(), groups.end(), group) != groups.end();
}

const InterfaceAddress* InterfaceEntry::find(const IpAddress& address) const {
  for (const InterfaceAddress& a : addresses) {
    if (a.prefix.address == address) return &a;
  }
  return nullptr;
}

InterfaceAddress* InterfaceEntry::find(const IpAddress& address) {
  return const_cast<InterfaceAddress*>(std::as_const(*this).find(address));
}

bool InterfaceEntry::owns(const IpAddress& address) const {
  const InterfaceAddress* a = find(address);
  return a != nullptr && a->state != InterfaceAddress::State::Duplicated;
}

const IpAddress* InterfaceEntry::source_for(const IpAddress& destination) const {
  const bool link_scope =
      destination.is_link_local() || (!destination.is_v4() && destination.is_multicast());
  const IpAddress* first = nullptr;
  for (const InterfaceAddress& a : addresses) {
    const IpAddress& own = a.prefix.address;
    if (own.family != destination.family || a.state == InterfaceAddress::State::Duplicated)
      continue;
    if (!own.is_v4() && own.v6().is_link_local() != link_scope) continue;
    if (a.prefix.contains(destination)) return &own;
    if (first == nullptr) first = &own;
  }
  return first;
}

bool InterfaceEntry::is_subnet_router(const Ip6& address) const {
  return std::any_of(addresses.begin(), addresses.end(), [&](const InterfaceAddress& a) {
    return has_subnet_router(a) && a.prefix.network().address == address;
  });
}

bool InterfaceEntry::solicits_router(const Ip6& group) const {
  return std::any_of(addresses.begin(), addresses.end(), [&](const InterfaceAddress& a) {
    return has_subnet_router(a) && a.prefix.network().address.v6().solicited_node() == group;
  });
}

const Ip6* InterfaceEntry::link_local() const {
  for (const InterfaceAddress& a : addresses) {
    const IpAddress& own = a.prefix.address;
    if (own.is_link_local() && a.state != InterfaceAddress::State::Duplicated) {
      return &own.v6();
    }
  }
  return nullptr;
}

InterfaceTable::InterfaceTable() {
  entries_.push_back(std::make_unique<InterfaceEntry>());
  entries_[0]->name = "local0";
}

Result<InterfaceEntry*> InterfaceTable::add(net::Interface& device) {
  if (by_name_.contains(device.name())) {
    return fail("interface '{}': the name is in use", device.name());
  }
  const size_t index = free_.empty() ? entries_.size() : *free_.begin();
  if (index > kMost) return fail("interface '{}': there are {} already", device.name(), kMost);
  if (index == entries_.size()) entries_.push_back(std::make_unique<InterfaceEntry>());
  free_.erase(static_cast<uint16_t>(index));
  by_name_.emplace(device.name(), static_cast<uint16_t>(index));
  InterfaceEntry& entry = *entries_[index];
  entry = {.index = static_cast<uint16_t>(index)};
  entry.name = device.name();
  entry.device = &device;
  device.set_index(entry.index);
  return &entry;
}

void InterfaceTable::detach(uint16_t index) {
  entries_[index]->device = nullptr;
  by_name_.erase(entries_[index]->name);
  free_.insert(index);
}

Result<uint16_t> InterfaceTable::find(std::string_view name) const {
  if (const auto it = by_name_.find(name); it != by_name_.end()) return it->second;
  std::vector<std::string> names;
  for (const auto& entry : entries_) {
    if (entry->device != nullptr) names.push_back(entry->name);
  }
  const std::string near = nearest(name, names);
  if (near.empty()) return fail("no interface '{}'", name);
  return fail("no interface '{}'; did you mean '{}'?", name, near);
}

Result<InterfaceEntry*> InterfaceTable::attached(uint16_t index) {
  if (index >= entries_.size() || entries_[index]->device == nullptr) {
    return fail("no interface has index {}", index);
  }
  return entries_[index].get();
}

void InterfaceTable::set_owner(const net::IpAddress& address, uint16_t vrf, uint16_t index) {
  owners_.try_emplace({address, vrf}, index);
  mark_own(address);
}

void InterfaceTable::clear_owner(const net::IpAddress& address, uint16_t vrf) {
  owners_.erase({address, vrf});
  if (address.is_link_local()) {
    const auto other = std::find_if(entries_.begin(), entries_.end(),
                                    [&](const auto& entry) { return entry->owns(address); });
    if (other != entries_.end()) owners_.emplace(Place{address, vrf}, (*other)->index);
  }
  own_bits_ = {};
  for (const auto& [place, owner] : owners_) mark_own(place.address);
}

void InterfaceTable::mark_own(const net::IpAddress& address) {
  if (!address.is_v4()) return;
  const uint32_t bit = low_bits(address.bits.bytes.data());
  own_bits_[bit / 64] |= uint64_t{1} << (bit % 64);
}

}  // namespace wh::vnet
