// The routes that people gave, a few at a time, so that whoever has very many to tell need not stop
// forwarding for it.
//
//   StaticRouteWalk walk(vnet);
//   while (walk.next(128, routes)) ...
//
// They come in an order in which they can be given: a route after the one that leads to its next
// hops. Those whose next hops are on a link, which is nearly all, as they stand in the tables; the
// others are kept for the end. Routes that come during the walk may be missing, those that go are.
#pragma once

#include <memory>
#include <vector>

#include "vnet/vnet.h"

namespace wh::vnet {

class StaticRouteWalk {
 public:
  explicit StaticRouteWalk(const Vnet& vnet);  // Which must outlive it.
  ~StaticRouteWalk();

  // Looks at `most` more and appends what there is to tell of them. False: those were the last.
  bool next(size_t most, std::vector<Vnet::StaticRoute>& routes);

 private:
  class Depths;
  struct Table {
    uint32_t vrf = 0;
    net::Family family = net::Family::V4;
  };
  bool read_on();
  void look_at(const net::Prefix& prefix, std::vector<Vnet::StaticRoute>& routes);
  bool next_deep(size_t most, std::vector<Vnet::StaticRoute>& routes);

  const Vnet& vnet_;
  std::unique_ptr<Depths> depths_;
  std::vector<Table> tables_;          // Still to be walked, the last first.
  std::vector<net::Prefix> prefixes_;  // Some of the table's, of which `at_` were looked at.
  Table table_;
  size_t at_ = 0;
  // Those that other routes lead to, by how many before a link: 1 and more.
  std::vector<std::vector<Vnet::StaticRoute>> deep_;
  size_t depth_ = 0, deep_at_ = 0;
};

}  // namespace wh::vnet
