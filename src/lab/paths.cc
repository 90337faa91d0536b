#include "lab/paths.h"

#include <algorithm>
#include <deque>

namespace wh::lab {

Paths::Paths(const LabSpec& spec) : links_of_(spec.hosts.size()) {
  for (const HostSpec& h : spec.hosts) {
    names_.push_back(h.name);
    forwards_.push_back(h.kind != HostKind::Kernel);
  }
  for (const LinkSpec& link : spec.links) {
    const Edge edge{host(link.from), host(link.to)};
    links_of_[edge.from].push_back(edges_.size());
    links_of_[edge.to].push_back(edges_.size());
    edges_.push_back(edge);
  }
}

size_t Paths::host(const std::string& name) const {
  const auto it = std::find(names_.begin(), names_.end(), name);
  CHECK(it != names_.end());
  return static_cast<size_t>(it - names_.begin());
}

net::IpAddress Paths::address(size_t link, uint8_t side, uint8_t ip) {
  const auto high = static_cast<uint8_t>(link >> 8), low = static_cast<uint8_t>(link & 255);
  if (ip == 4) return net::Ip4::of(10, high, low, side);
  return net::Ip6{{0xfd, 0, 0, 0, 0, 0, high, low, 0, 0, 0, 0, 0, 0, 0, side}};
}

std::vector<Paths::Reach> Paths::reach_from(size_t origin) const {
  std::vector<Reach> reach(names_.size());
  reach[origin].distance = 0;
  std::deque<size_t> open{origin};
  while (!open.empty()) {
    const size_t here = open.front();
    open.pop_front();
    if (here != origin && !forwards_[here]) continue;
    for (const size_t link : links_of_[here]) {
      const bool is_forward = edges_[link].from == here;
      const size_t there = is_forward ? edges_[link].to : edges_[link].from;
      if (reach[there].distance != kFar) continue;
      reach[there] = {{link, is_forward}, here, reach[here].distance + 1};
      open.push_back(there);
    }
  }
  return reach;
}

std::vector<Paths::Hop> Paths::trace(const std::vector<Reach>& reach, size_t from,
                                     size_t to) const {
  std::vector<Hop> hops;
  if (reach[to].distance == kFar) return hops;
  for (size_t at = to; at != from; at = reach[at].before) hops.push_back(reach[at].by);
  std::reverse(hops.begin(), hops.end());
  return hops;
}

std::vector<Paths::Hop> Paths::way(size_t from, size_t to) const {
  return trace(reach_from(from), from, to);
}

std::vector<Paths::Hop> Paths::way(const std::string& from, const std::string& to) const {
  return way(host(from), host(to));
}

std::vector<Paths::Route> Paths::routes(size_t host) const {
  const std::vector<Reach> reach = reach_from(host);
  std::vector<Route> routes;
  for (size_t link = 0; link < edges_.size(); ++link) {
    const Edge& edge = edges_[link];
    if (edge.from == host || edge.to == host) continue;
    const size_t nearer = reach[edge.to].distance < reach[edge.from].distance ? edge.to : edge.from;
    const std::vector<Hop> hops = trace(reach, host, nearer);
    if (hops.empty()) continue;
    const auto gateway = static_cast<uint8_t>(hops[0].is_forward ? 2 : 1);
    for (const uint8_t ip : {uint8_t{4}, uint8_t{6}}) {
      const auto length = static_cast<uint8_t>(ip == 4 ? 24 : 64);
      routes.push_back({net::Prefix{address(link, 1, ip), length}.network(),
                        address(hops[0].link, gateway, ip)});
    }
  }
  return routes;
}

}  // namespace wh::lab
