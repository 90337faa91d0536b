// The first rule of a list that matches a packet, without trying them one after another.
//
// Rules whose prefixes have the same two lengths, and that all name a protocol or all name none,
// are a *tuple*: within it a hash of the packet's addresses, cut to those lengths, finds the rules
// that can match (tuple space search: Srinivasan, Suri and Varghese, SIGCOMM 1999). Tuples are
// looked at in the order of their first rules, and no further than a rule that was found. The lists
// that people write have few tuples, however long they are. Rules of one tuple with the same
// addresses, which differ in ports, are tried in order.
//
// It knows rules by their places in a list that must be the one it was made of.
#pragma once

#include <span>
#include <unordered_map>
#include <vector>

#include "vnet/acl.h"

namespace wh::vnet {

class AclSearch {
 public:
  AclSearch() = default;
  explicit AclSearch(std::span<const AclRule> rules);

  // Its place; the number of rules when none matches.
  size_t first_match(std::span<const AclRule> rules, const AclKey& key) const;

 private:
  // Up to so many rules, trying all of them is quicker.
  static constexpr size_t kFew = 16;

  struct Shape {
    net::Family family = net::Family::V4;
    uint8_t source_length = 0, destination_length = 0;
    bool any_protocol = false;
    bool operator==(const Shape&) const = default;
  };
  struct Place {
    net::IpAddress source, destination;  // Without host bits.
    uint8_t protocol = 0;
    bool operator==(const Place&) const = default;
  };
  struct PlaceHash {
    size_t operator()(const Place& p) const {
      const std::hash<net::IpAddress> hash;
      return (hash(p.source) * 31 ^ hash(p.destination)) + p.protocol;
    }
  };
  struct Tuple {
    Shape shape;
    uint32_t first = 0;  // Of all its rules.
    std::unordered_map<Place, std::vector<uint32_t>, PlaceHash> rules;
  };
  static Place place(const Shape& shape, const net::IpAddress& source,
                     const net::IpAddress& destination, uint8_t protocol);

  std::vector<Tuple> tuples_;  // By their first rules.
};

}  // namespace wh::vnet
