// Interfaces whose medium is inside the vnet: VLAN and QinQ sub-interfaces, and loopbacks.
//
//   eth0.100 --- send: puts tags in ---> eth0 --- wire
//   eth0.100 <-- receive: tags are off -- eth0: ethernet-input finds a tag, asks here whose it is
//
//   loop0 --- as a bridge domain's BVI, its other end is the bridge (vnet/bridge.h)
//
// Of a sub-interface's tags a link carries one of 802.1Q beside its MTU; what goes beyond is taken
// from the sub-interface's MTU, so that what leaves by it fits.
//
// They are net::Interfaces like any other: with addresses, captures, counters, and MTU. A
// sub-interface has the MAC address of its parent, and sends and receives only while both are up.
// Packets that come with more tags than a sub-interface names are another's; a sub-interface
// without an inner tag takes exactly one tag. The tag's TPID for an outer tag of two is 0x88a8
// (IEEE 802.1ad) unless the sub-interface says dot1q; on input either is understood.
//
// Ownership: VirtualInterfaces owns them; a parent that is detached takes its sub-interfaces along.
#pragma once

#include <map>
#include <memory>
#include <string>
#include <vector>

#include "net/interface.h"
#include "net/wire/ethernet.h"

namespace wh::vnet {

class Vnet;
struct Stack;

struct SubInterfaceConfig {
  uint32_t id = 0;     // Names it: PARENT.ID
  uint16_t outer = 0;  // VLAN identifier, 1..4094; 0: as `id`.
  uint16_t inner = 0;  // The second tag's; 0: there is none.
  bool dot1q = false;  // The outer of two tags has TPID 0x8100 rather than 0x88a8.
  bool operator==(const SubInterfaceConfig&) const = default;
};

// What its tags take of the link's MTU.
uint32_t beyond_link(const SubInterfaceConfig& tags);

class SubInterface final : public net::Interface {
 public:
  SubInterface(net::Interface& parent, SubInterfaceConfig config, Loop& loop);
  net::Interface& parent() const { return parent_; }
  const SubInterfaceConfig& tags() const { return tags_; }
  uint32_t max_frame() const override;

 private:
  void send(net::Frame&& frame) override;
  net::Interface& parent_;
  SubInterfaceConfig tags_;
};

class LoopbackInterface final : public net::Interface {
 public:
  LoopbackInterface(Stack& stack, Config config, Loop& loop)
      : Interface(std::move(config), loop), stack_(stack) {}
  bool is_bvi = false;  // Set by the bridge domain that it is the BVI of.

 private:
  void send(net::Frame&& frame) override;
  Stack& stack_;
};

class VirtualInterfaces {
 public:
  static constexpr uint32_t kMaxSubInterfaces = 8192;

  explicit VirtualInterfaces(Vnet& vnet) : vnet_(vnet) {}

  // "eth0.100" on eth0; its index. Errors: no such parent, or one that is a sub-interface or
  // loopback; a VLAN identifier out of 1..4094; the same tags or name are in use; too many; no
  // room for the tags in the parent's MTU.
  Result<uint16_t> add_sub(uint16_t parent, SubInterfaceConfig config);
  // "loopN" with a locally administered MAC address, or the given one; its index. Errors: the
  // number is in use.
  Result<uint16_t> add_loopback(uint32_t number, const net::MacAddress& mac = {});
  // Detaches and ends one of them. Error: it is none.
  Result<void> remove(uint16_t index);
  // By index, in the order of their tags.
  std::vector<uint16_t> subs_of(uint16_t parent) const;
  // Of a parent that is about to be detached.
  void remove_subs_of(uint16_t parent);

  // By index; nullptr when it is no such interface.
  const SubInterface* sub(uint16_t index) const;
  LoopbackInterface* loopback(uint16_t index) const;
  // The sub-interface that tagged frames of a parent are for; nullptr when there is none.
  SubInterface* find(uint16_t parent, uint16_t outer, uint16_t inner) const {
    const auto it = by_tags_.find(key(parent, outer, inner));
    return it == by_tags_.end() ? nullptr : it->second;
  }

 private:
  static uint64_t key(uint16_t parent, uint16_t outer, uint16_t inner) {
    return uint64_t{parent} << 32 | uint64_t{outer} << 16 | inner;
  }
  Vnet& vnet_;
  std::map<uint16_t, std::unique_ptr<net::Interface>> by_index_;
  std::map<uint64_t, SubInterface*> by_tags_;
};

}  // namespace wh::vnet
