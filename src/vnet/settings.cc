#include "vnet/settings.h"

namespace wh::vnet {
namespace {

constexpr int64_t kDay = 86400;

struct Row {
  const char* name;
  int64_t Settings::*member;
  const char* unit;
  int64_t min, max;
  const char* description;
};

constexpr Row kRows[] = {
    {"net.inet.ip.ttl", &Settings::ip_ttl, "hops", 1, 255, "TTL of packets from this host"},
    {"net.inet.ip.forwarding", &Settings::ip_forwarding, "bool", 0, 1,
     "forward IPv4 packets between interfaces"},
    {"net.inet.ip.maxfragpackets", &Settings::ip_maxfragpackets, "packets", 0, 1 << 20,
     "most packets being reassembled at once"},
    {"net.inet.ip.maxfragsperpacket", &Settings::ip_maxfragsperpacket, "fragments", 1, 8192,
     "most fragments of one packet"},
    {"net.inet.ip.maxfrags", &Settings::ip_maxfrags, "fragments", 0, 1 << 20,
     "most fragments waiting in all"},
    {"net.inet.ip.maxfragbytes", &Settings::ip_maxfragbytes, "bytes", 0, int64_t{1} << 32,
     "most bytes of fragments waiting in all (ours)"},
    {"net.inet.ip.fragttl", &Settings::ip_fragttl, "s", 1, 255,
     "how long a packet waits for its missing fragments"},
    {"net.inet.icmp.icmplim", &Settings::icmp_icmplim, "1/s", 0, 1'000'000,
     "most ICMP errors sent in a second; 0 is no limit"},
    {"net.inet.icmp.bmcastecho", &Settings::icmp_bmcastecho, "bool", 0, 1,
     "reply to echo requests sent to broadcast and multicast addresses"},
    {"net.inet.udp.checksum", &Settings::udp_checksum, "bool", 0, 1,
     "compute checksums of UDP over IPv4"},
    {"net.inet.udp.blackhole", &Settings::udp_blackhole, "bool", 0, 1,
     "send no port unreachable for a closed port"},
    {"net.link.ether.inet.max_age", &Settings::arp_max_age, "s", 1, kDay,
     "how long an ARP entry is good without confirmation"},
    {"net.link.ether.inet.maxtries", &Settings::arp_maxtries, "requests", 1, 100,
     "ARP requests, one a second, before an address counts as unreachable"},
    {"net.link.ether.inet.maxhold", &Settings::arp_maxhold, "packets", 0, 1 << 16,
     "packets that wait for one address to resolve"},
    {"net.link.ether.inet.maxentries", &Settings::arp_maxentries, "entries", 1, 1 << 20,
     "most ARP entries (ours)"},
    {"net.inet6.ip6.hlim", &Settings::ip6_hlim, "hops", 1, 255,
     "hop limit of packets from this host"},
    {"net.inet6.ip6.forwarding", &Settings::ip6_forwarding, "bool", 0, 1,
     "forward IPv6 packets between interfaces"},
    {"net.inet6.ip6.auto_linklocal", &Settings::ip6_auto_linklocal, "bool", 0, 1,
     "give each attached interface a link-local address made of its MAC address"},
    {"net.inet6.ip6.dad_count", &Settings::ip6_dad_count, "probes", 0, 10,
     "probes for a duplicate of a new address, which is used meanwhile (RFC 4429)"},
    {"net.inet6.ip6.maxfragpackets", &Settings::ip6_maxfragpackets, "packets", 0, 1 << 20,
     "most packets being reassembled at once"},
    {"net.inet6.ip6.maxfragsperpacket", &Settings::ip6_maxfragsperpacket, "fragments", 1, 8192,
     "most fragments of one packet"},
    {"net.inet6.ip6.maxfrags", &Settings::ip6_maxfrags, "fragments", 0, 1 << 20,
     "most fragments waiting in all"},
    {"net.inet6.ip6.maxfragbytes", &Settings::ip6_maxfragbytes, "bytes", 0, int64_t{1} << 32,
     "most bytes of fragments waiting in all (ours)"},
    {"net.inet6.ip6.fraglifetime", &Settings::ip6_fraglifetime_ms, "ms", 1, 255'000,
     "how long a packet waits for its missing fragments"},
    {"net.inet6.icmp6.errppslimit", &Settings::icmp6_errppslimit, "1/s", -1, 1'000'000,
     "most ICMPv6 errors sent in a second; 0 sends none, -1 is no limit"},
    {"net.inet6.icmp6.nd6_delay", &Settings::nd6_delay, "s", 1, 3600,
     "how long a stale neighbour may be used before it is probed"},
    {"net.inet6.icmp6.nd6_umaxtries", &Settings::nd6_umaxtries, "probes", 1, 100,
     "unicast solicitations before a neighbour counts as gone"},
    {"net.inet6.icmp6.nd6_mmaxtries", &Settings::nd6_mmaxtries, "probes", 1, 100,
     "multicast solicitations before an address counts as unreachable"},
    {"net.inet6.icmp6.nd6_maxqueuelen", &Settings::nd6_maxqueuelen, "packets", 0, 1 << 16,
     "packets that wait for one address to resolve"},
    {"net.inet6.icmp6.nd6_gctimer", &Settings::nd6_gctimer, "s", 1, 30 * kDay,
     "how long a stale neighbour is kept unused"},
    {"net.inet6.icmp6.nd6_reachable", &Settings::nd6_reachable_ms, "ms", 1, 3'600'000,
     "base of the time a confirmed neighbour is reachable, 0.5 to 1.5 times (ours)"},
    {"net.inet6.icmp6.nd6_retrans", &Settings::nd6_retrans_ms, "ms", 1, 3'600'000,
     "time between solicitations (ours)"},
    {"net.inet6.icmp6.nd6_maxentries", &Settings::nd6_maxentries, "entries", 1, 1 << 20,
     "most neighbour entries (ours)"},
};

}  // namespace

void register_settings(SysctlTree& tree, Settings& settings) {
  for (const Row& row : kRows) {
    tree.add_int(
        row.name, &(settings.*row.member),
        {.description = row.description, .unit = row.unit, .min = row.min, .max = row.max});
  }
}

}  // namespace wh::vnet
