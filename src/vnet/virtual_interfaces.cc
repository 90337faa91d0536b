#include "vnet/virtual_interfaces.h"

#include "vnet/bridge.h"
#include "vnet/stack.h"
#include "vnet/vnet.h"

namespace wh::vnet {

using net::EtherType;
using net::Frame;
using net::Packet;
using net::PacketPtr;

namespace {

constexpr uint16_t kMaxVlan = 4094;  // 0 and 4095 are reserved (IEEE 802.1Q table 9-2).

uint32_t tag_size(const SubInterfaceConfig& tags) {
  return tags.inner != 0 ? 8 : 4;
}
net::Interface::Config sub_config(const net::Interface& parent, const SubInterfaceConfig& tags) {
  net::Interface::Config config = parent.config();
  config.name = fmt::format("{}.{}", parent.name(), tags.id);
  config.mtu = parent.link_mtu() - beyond_link(tags);
  // Devices cut and sum what they know the place of; tags move it.
  config.checksum_offload = false;
  config.max_gso = 0;
  return config;
}

}  // namespace

// Linux gives a frame 4 bytes more only when its first tag is 0x8100
// (packet_extra_vlan_len_allowed() in net/packet/af_packet.c).
uint32_t beyond_link(const SubInterfaceConfig& tags) {
  if (tags.inner == 0) return 0;
  return tags.dot1q ? 4 : 8;
}

SubInterface::SubInterface(net::Interface& parent, SubInterfaceConfig config, Loop& loop)
    : Interface(sub_config(parent, config), loop), parent_(parent), tags_(config) {}

uint32_t SubInterface::max_frame() const {
  const uint32_t below = parent_.link_mtu() + net::EthernetHeader::kMinSize - beyond_link(tags_);
  return std::min(Interface::max_frame(), below);
}

void SubInterface::send(Frame&& frame) {
  const bool is_double = tags_.inner != 0;
  const uint32_t size = tag_size(tags_);
  const auto outer_type = is_double && !tags_.dot1q ? EtherType::ServiceVlan : EtherType::Vlan;
  Frame out;
  for (uint32_t i = 0; i < frame.size(); ++i) {
    PacketPtr p = frame.take(i);
    if (p->headroom() < size || !p->pullup(12)) {
      count_tx_error();
      continue;
    }
    uint8_t* header = p->push(size);
    std::memmove(header, header + size, 12);
    net::store16(header + 12, static_cast<uint16_t>(outer_type));
    net::store16(header + 14, tags_.outer);
    if (is_double) {
      net::store16(header + 16, static_cast<uint16_t>(EtherType::Vlan));
      net::store16(header + 18, tags_.inner);
    }
    p->l3_offset = static_cast<uint16_t>(p->l3_offset + size);
    p->l4_offset = static_cast<uint16_t>(p->l4_offset + size);
    out.push(std::move(p));
  }
  parent_.transmit_above(std::move(out));
}

void LoopbackInterface::send(Frame&& frame) {
  for (uint32_t i = 0; i < frame.size(); ++i) {
    if (!is_bvi) {
      count_tx_error();
      continue;
    }
    PacketPtr p = frame.take(i);
    p->interface = p->rx_interface = index();
    stack_.graph.enqueue(stack_.node.l2_input, std::move(p));
  }
  stack_.graph.run();
}

Result<uint16_t> VirtualInterfaces::add_sub(uint16_t parent, SubInterfaceConfig config) {
  const InterfaceEntry& entry = *TRY(vnet_.stack().interfaces.attached(parent));
  if (by_index_.count(parent) != 0) {
    return fail("interface {}: a sub-interface needs a device below it", entry.name);
  }
  if (config.outer == 0) config.outer = static_cast<uint16_t>(std::min(config.id, 0xffffu));
  if (config.outer == 0 || config.outer > kMaxVlan || config.inner > kMaxVlan) {
    return fail("VLAN {}; accepted: 1..{}", config.outer > kMaxVlan ? config.outer : config.inner,
                kMaxVlan);
  }
  if (const SubInterface* other = find(parent, config.outer, config.inner)) {
    return fail("VLAN {}.{} on {}: {} has it", config.outer, config.inner, entry.name,
                other->name());
  }
  if (by_tags_.size() >= kMaxSubInterfaces) {
    return fail("at most {} sub-interfaces", kMaxSubInterfaces);
  }
  if (entry.device->link_mtu() < Vnet::kLeastMtu + beyond_link(config)) {
    return fail("interface {}: an MTU of {} has no room for two tags", entry.name,
                entry.device->link_mtu());
  }
  auto made = std::make_unique<SubInterface>(*entry.device, config, vnet_.loop());
  const uint16_t index = TRY(vnet_.attach(*made));
  vnet_.stack().interfaces[index].is_sub = true;
  by_tags_[key(parent, config.outer, config.inner)] = made.get();
  by_index_[index] = std::move(made);
  return index;
}

Result<uint16_t> VirtualInterfaces::add_loopback(uint32_t number, const net::MacAddress& mac) {
  net::Interface::Config config{.name = fmt::format("loop{}", number), .mac = mac, .mtu = 9000};
  // de:ad, as VPP numbers its own; locally administered, unlike any that a lab gives.
  if (mac == net::MacAddress{}) {
    config.mac = {{0xde, 0xad, 0, static_cast<uint8_t>(number >> 16),
                   static_cast<uint8_t>(number >> 8), static_cast<uint8_t>(number)}};
  }
  auto made = std::make_unique<LoopbackInterface>(vnet_.stack(), std::move(config), vnet_.loop());
  const uint16_t index = TRY(vnet_.attach(*made));
  by_index_[index] = std::move(made);
  return index;
}

Result<void> VirtualInterfaces::remove(uint16_t index) {
  const auto it = by_index_.find(index);
  if (it == by_index_.end()) {
    return fail("interface {}: neither a sub-interface nor a loopback", index);
  }
  TRY(vnet_.detach(index));
  if (const SubInterface* s = sub(index)) {
    by_tags_.erase(key(s->parent().index(), s->tags().outer, s->tags().inner));
  }
  by_index_.erase(it);
  return {};
}

std::vector<uint16_t> VirtualInterfaces::subs_of(uint16_t parent) const {
  std::vector<uint16_t> subs;
  for (auto it = by_tags_.lower_bound(key(parent, 0, 0));
       it != by_tags_.end() && it->first >> 32 == parent; ++it) {
    subs.push_back(it->second->index());
  }
  return subs;
}

void VirtualInterfaces::remove_subs_of(uint16_t parent) {
  for (const uint16_t index : subs_of(parent)) MUST(remove(index));  // It is one.
}

const SubInterface* VirtualInterfaces::sub(uint16_t index) const {
  const auto it = by_index_.find(index);
  return it == by_index_.end() ? nullptr : dynamic_cast<const SubInterface*>(it->second.get());
}

LoopbackInterface* VirtualInterfaces::loopback(uint16_t index) const {
  const auto it = by_index_.find(index);
  return it == by_index_.end() ? nullptr : dynamic_cast<LoopbackInterface*>(it->second.get());
}

}  // namespace wh::vnet
