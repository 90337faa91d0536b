// Where hosts stand in a lab: the addresses on their links, and the way from one to another.
//
// Each link is a network of its own: link n joins its hosts `from` and `to` as 10.h.l.1 and .2,
// where n = 256 h + l, and as fd00:0:0:n::1 and ::2. A packet takes the way of the fewest links; of
// several such ways, the one whose links come first in the file. The kernel's host forwards
// nothing, so no way leads through it.
#pragma once

#include <vector>

#include "lab/spec.h"
#include "net/address.h"

namespace wh::lab {

class Paths {
 public:
  // One link of a way: which, and whether it is crossed from its `from` to its `to`.
  struct Hop {
    size_t link;
    bool is_forward;
  };
  struct Route {
    net::Prefix prefix;
    net::IpAddress next_hop;
  };

  explicit Paths(const LabSpec& spec);

  // Of a link's two ends; side 1 is its `from`.
  static net::IpAddress address(size_t link, uint8_t side, uint8_t ip);

  // Empty when there is none, or when both are the same host. Hosts are numbered as in the file.
  std::vector<Hop> way(size_t from, size_t to) const;
  std::vector<Hop> way(const std::string& from, const std::string& to) const;
  // What a host needs beside the networks that it is on.
  std::vector<Route> routes(size_t host) const;
  size_t degree(size_t host) const { return links_of_[host].size(); }
  size_t host(const std::string& name) const;  // REQUIRES: there is one.

 private:
  struct Edge {
    size_t from, to;
  };
  // For each host, the hop by which it was reached from `origin`, and its distance.
  struct Reach {
    Hop by{};
    size_t before = 0;
    uint32_t distance = kFar;
  };
  static constexpr uint32_t kFar = ~uint32_t{0};
  std::vector<Reach> reach_from(size_t origin) const;
  std::vector<Hop> trace(const std::vector<Reach>& reach, size_t from, size_t to) const;

  std::vector<std::string> names_;
  std::vector<bool> forwards_;
  std::vector<Edge> edges_;                    // By link.
  std::vector<std::vector<size_t>> links_of_;  // By host.
};

}  // namespace wh::lab
