// The tunables of one vnet, under FreeBSD's names in its sysctl tree.
//
// The members are what the nodes read on their hot paths; register_settings() gives each its name,
// unit, bounds and description. A setting that FreeBSD does not have is marked "ours" in its
// description.
#pragma once

#include <cstdint>

#include "core/sysctl.h"
#include "core/units.h"

namespace wh::vnet {

struct Settings {
  // net.inet.ip
  int64_t ip_ttl = 64;
  int64_t ip_forwarding = 0;
  int64_t ip_maxfragpackets = 1024;
  int64_t ip_maxfragsperpacket = 64;
  int64_t ip_maxfrags = 8192;
  int64_t ip_maxfragbytes = 16 << 20;
  int64_t ip_fragttl = 30;
  // net.inet.icmp
  int64_t icmp_icmplim = 200;
  int64_t icmp_bmcastecho = 0;
  // net.inet.udp
  int64_t udp_checksum = 1;
  int64_t udp_blackhole = 0;
  // net.link.ether.inet
  int64_t arp_max_age = 1200;
  int64_t arp_maxtries = 5;
  int64_t arp_maxhold = 16;
  int64_t arp_maxentries = 4096;
  // net.inet6.ip6
  int64_t ip6_hlim = 64;
  int64_t ip6_forwarding = 0;
  int64_t ip6_auto_linklocal = 1;
  int64_t ip6_dad_count = 1;
  int64_t ip6_maxfragpackets = 1024;
  int64_t ip6_maxfragsperpacket = 64;
  int64_t ip6_maxfrags = 8192;
  int64_t ip6_maxfragbytes = 16 << 20;
  int64_t ip6_fraglifetime_ms = 60000;
  // net.inet6.icmp6
  int64_t icmp6_errppslimit = 100;
  int64_t nd6_delay = 5;
  int64_t nd6_umaxtries = 3;
  int64_t nd6_mmaxtries = 3;
  int64_t nd6_maxqueuelen = 16;
  int64_t nd6_gctimer = 86400;
  int64_t nd6_reachable_ms = 30000;
  int64_t nd6_retrans_ms = 1000;
  int64_t nd6_maxentries = 4096;
};

void register_settings(SysctlTree& tree, Settings& settings);

}  // namespace wh::vnet
