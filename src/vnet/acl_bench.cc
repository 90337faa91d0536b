// What an access list of many rules costs a packet: the first rule that matches, searched for and
// tried one after another.
#include <benchmark/benchmark.h>

#include "core/random.h"
#include "net/ip_service.h"
#include "vnet/acl_search.h"

namespace wh::vnet {
namespace {

// Hosts that are let in, by protocol and port, and networks that are not.
std::vector<AclRule> made(size_t rules) {
  Random random(1);
  std::vector<AclRule> list;
  for (size_t i = 0; i < rules; ++i) {
    AclRule r{.action = AclAction::Permit,
              .source = {net::Ip4{0x0a000000 + static_cast<uint32_t>(i)}, 32},
              .destination = {net::Ip4{0xc0a80000}, 16},
              .protocol = net::kProtocolTcp,
              .destination_ports = {443, 443}};
    if (i % 8 == 7)
      r = {.source = {net::Ip4{static_cast<uint32_t>(random.next())}, 24},
           .destination = {net::Ip4{0}, 0}};
    list.push_back(r);
  }
  return list;
}

void search(benchmark::State& state, bool one_by_one) {
  const auto rules = made(static_cast<size_t>(state.range(0)));
  const AclSearch search(rules);
  Random random(2);
  size_t found = 0;
  for (auto _ : state) {
    const auto host = static_cast<uint32_t>(random.below(rules.size()));
    const AclKey key{
        net::Ip4{0x0a000000 + host}, net::Ip4{0xc0a80101}, net::kProtocolTcp, 0, true, 1024, 443};
    if (one_by_one) {
      size_t i = 0;
      while (i < rules.size() && !matches(rules[i], key)) ++i;
      found += i;
    } else {
      found += search.first_match(rules, key);
    }
  }
  benchmark::DoNotOptimize(found);
}
BENCHMARK_CAPTURE(search, tuples, false)->Arg(16)->Arg(1000)->Arg(10'000);
BENCHMARK_CAPTURE(search, one_by_one, true)->Arg(16)->Arg(1000)->Arg(10'000);

}  // namespace
}  // namespace wh::vnet
