// ifconfig and route as far as the articles wire jails with them: epairs, addresses, up and down,
// into a jail; and the routes between.
#include <net/if.h>

#include <algorithm>
#include <array>
#include <charconv>
#include <string>
#include <vector>

#include "apps/jail_commands.h"
#include "host/interface_list.h"
#include "host/rtnetlink.h"
#include "jail/jail.h"

namespace wh::apps {
namespace {

constexpr const char* kHelp =
    "usage: ifconfig [-a]                             all interfaces\n"
    "       ifconfig epair create                     two joined ones; prints the first's name\n"
    "       ifconfig IF [inet|inet6] ADDRESS/LENGTH [up]\n"
    "       ifconfig IF up | down | [-]promisc | destroy | mtu N | ether MAC | vnet JAIL\n\n"
    "example:\n"
    "  ifconfig epair create                          epair0a, and epair0b\n"
    "  jail -c name=router persist vnet vnet.interface=epair0b\n"
    "  ifconfig epair0a 192.0.2.1/24 up\n";

using Words = std::vector<std::string>;

// FreeBSD's name of the loopback interface is Linux's with a number.
std::string linux_name(const std::string& name) {
  return name == "lo0" ? "lo" : name;
}

Result<void> create_epair(host::Rtnetlink& netlink) {
  constexpr int kMost = 1'000'000;
  for (int i = 0; i < kMost; ++i) {
    const std::string name = fmt::format("epair{}", i);
    const auto made = netlink.add_veth(name + "a", name + "b");
    if (made) {
      fmt::print("{}a\n", name);
      return {};
    }
    if (made.error().code != std::errc::file_exists) return made;
  }
  return fail("epair: no number is free");
}

// FreeBSD's names and bits for what Linux says of an interface (net/if.h of either).
struct FlagName {
  unsigned linux_flag, freebsd_flag;
  std::string_view name;
};
constexpr unsigned kLowerUp = 1u << 16;  // IFF_LOWER_UP: linux/if.h has it, which clashes.
constexpr std::array kFlagNames = {
    FlagName{IFF_UP, 0x1, "UP"},
    FlagName{IFF_BROADCAST, 0x2, "BROADCAST"},
    FlagName{IFF_LOOPBACK, 0x8, "LOOPBACK"},
    FlagName{IFF_RUNNING, 0x40, "RUNNING"},
    FlagName{IFF_PROMISC, 0x100, "PROMISC"},
    FlagName{IFF_MULTICAST, 0x8000, "MULTICAST"},
    FlagName{kLowerUp, 0x1000000, "LOWER_UP"},
};

void print_address(const net::Prefix& prefix) {
  if (prefix.address.family == net::Family::V6) {
    fmt::print("\tinet6 {} prefixlen {}\n", net::to_string(prefix.address), prefix.length);
    return;
  }
  const uint32_t mask = prefix.length == 0 ? 0 : ~uint32_t{0} << (32 - prefix.length);
  const net::Ip4 address = prefix.address.v4();
  fmt::print("\tinet {} netmask {:#010x}", net::to_string(address), mask);
  if (prefix.length < 31) {
    fmt::print(" broadcast {}", net::to_string(net::Ip4{address.value | ~mask}));
  }
  fmt::print("\n");
}

void print_interface(const host::InterfaceInfo& link) {
  unsigned bits = 0;
  std::vector<std::string_view> names;
  for (const FlagName& flag : kFlagNames) {
    if ((link.flags & flag.linux_flag) == 0) continue;
    bits |= flag.freebsd_flag;
    names.push_back(flag.name);
  }
  const bool is_loopback = (link.flags & IFF_LOOPBACK) != 0;
  fmt::print("{}: flags={:x}<{}> metric 0 mtu {}\n", link.name == "lo" ? "lo0" : link.name, bits,
             fmt::join(names, ","), link.mtu);
  if (!is_loopback) fmt::print("\tether {}\n", net::to_string(link.mac));
  for (const net::Prefix& address : link.addresses) print_address(address);
  const std::string group = is_loopback ? "lo" : link.name.starts_with("epair") ? "epair" : "";
  if (!group.empty()) fmt::print("\tgroups: {}\n", group);
  if (!is_loopback) {
    fmt::print("\tstatus: {}\n", (link.flags & kLowerUp) != 0 ? "active" : "no carrier");
  }
}

Result<void> show(const std::string& only) {
  bool is_found = only.empty();
  for (const host::InterfaceInfo& link : TRY(host::list_interfaces())) {
    if (!only.empty() && link.name != linux_name(only)) continue;
    is_found = true;
    print_interface(link);
  }
  if (!is_found) {
    return tl::unexpected(Error{std::errc::no_such_file_or_directory,
                                fmt::format("interface {} does not exist", only)});
  }
  return {};
}

Result<void> give_to_jail(const std::string& link, const std::string& name) {
  auto registry = TRY(jail::Registry::open());
  const auto taker = TRY(jail::Jail::open(TRY(registry.find(name))));
  return taker.take_interface(link);
}

// `family`: inet, inet6, or nothing where the word may be a request as well.
Result<net::Prefix> address_of(const std::string& word, std::string_view family) {
  const bool is_v6 = word.find(':') != word.npos;
  const bool has_length = word.find('/') != word.npos;
  const auto prefix = net::parse_prefix(has_length ? word : word + (is_v6 ? "/128" : "/32"));
  if (prefix && (family.empty() || is_v6 == (family == "inet6"))) return *prefix;
  if (!family.empty()) {
    return fail("{}: '{}' is not an address; accepted: {}", family, word,
                family == "inet6" ? "2001:db8::1/64" : "192.0.2.1/24");
  }
  return fail(
      "'{}' is neither an address nor one of up, down, [-]promisc, destroy, mtu, ether, vnet",
      word);
}

// One request of a line; `at` moves past its words.
Result<void> apply(host::Rtnetlink& netlink, const std::string& link, const Words& words,
                   size_t& at) {
  const std::string word = words[at++];
  const auto argument = [&]() -> Result<std::string> {
    if (at == words.size()) return fail("{}: something is missing after it", word);
    return words[at++];
  };
  if (word == "up" || word == "down") return netlink.set_up(link, word == "up");
  if (word == "promisc" || word == "-promisc") return netlink.set_promiscuous(link, word[0] != '-');
  if (word == "destroy") return netlink.delete_link(link);
  if (word == "vnet") return give_to_jail(link, TRY(argument()));
  if (word == "ether") return netlink.set_mac(link, TRY(net::parse_mac(TRY(argument()))));
  if (word == "mtu") {
    const std::string text = TRY(argument());
    uint32_t mtu = 0;
    const auto parsed = std::from_chars(text.data(), text.data() + text.size(), mtu);
    if (parsed.ec != std::errc() || parsed.ptr != text.data() + text.size()) {
      return fail("mtu: '{}' is not a number", text);
    }
    return netlink.set_mtu(link, mtu);
  }
  const bool names_family = word == "inet" || word == "inet6";
  const net::Prefix address =
      TRY(names_family ? address_of(TRY(argument()), word) : address_of(word, ""));
  TRY(netlink.add_address(link, address));
  // As on FreeBSD, an interface that gets an address comes up.
  return netlink.set_up(link);
}

Result<void> run(const Words& words) {
  if (words.empty() || words == Words{"-a"}) return show("");
  auto netlink = TRY(host::Rtnetlink::open());
  if (words[0] == "epair" && words.size() == 2 && words[1] == "create")
    return create_epair(netlink);
  if (words.size() == 1) return show(words[0]);
  for (size_t at = 1; at < words.size();) TRY(apply(netlink, linux_name(words[0]), words, at));
  return {};
}

constexpr const char* kRouteHelp =
    "usage: route [-inet|-inet6] add|delete [-net|-host] DESTINATION [GATEWAY]\n\n"
    "DESTINATION is default, an address, or ADDRESS/LENGTH.\n\nexample:\n"
    "  route add default 10.1.0.1\n";

struct RouteLine {
  bool adds = true, is_host = false, is_default = false;
  net::Prefix destination;
  std::optional<net::IpAddress> gateway;
  std::string shown;
};

Result<RouteLine> parse_route(const Words& words) {
  RouteLine line;
  bool is_v6 = false, says_net = false;
  Words rest;
  for (const std::string& word : words) {
    if (!word.starts_with('-')) {
      rest.push_back(word);
    } else if (word == "-inet6" || word == "-6") {
      is_v6 = true;
    } else if (word == "-net") {
      says_net = true;
    } else if (word != "-host" && word != "-inet" && word != "-4" && word != "-n" && word != "-q") {
      return fail("unknown option {}; accepted: -net, -host, -inet, -inet6", word);
    }
  }
  const bool is_known =
      !rest.empty() && (rest[0] == "add" || rest[0] == "delete" || rest[0] == "del");
  if (!is_known) return fail("'{}' is neither add nor delete", rest.empty() ? "" : rest[0]);
  line.adds = rest[0] == "add";
  if (rest.size() < (line.adds ? 3u : 2u))
    return fail("{}: something is missing after it", rest.back());
  if (rest.size() > 3) return fail("'{}' is one word too many", rest[3]);
  if (rest.size() > 2) line.gateway = TRY(net::parse_ip(rest[2]));
  line.is_default = rest[1] == "default";
  if (line.is_default) {
    is_v6 = is_v6 || (line.gateway && line.gateway->family == net::Family::V6);
    line.destination = is_v6 ? net::Prefix{net::Ip6{}, 0} : net::Prefix{net::Ip4{}, 0};
    line.shown = "default";
    return line;
  }
  const size_t slash = rest[1].find('/');
  line.is_host = slash == rest[1].npos && !says_net;
  const char* whole = rest[1].find(':') == rest[1].npos ? "/32" : "/128";
  line.destination = TRY(net::parse_prefix(slash == rest[1].npos ? rest[1] + whole : rest[1]));
  if (line.gateway && line.gateway->family != line.destination.address.family) {
    return fail("{} by {}: two families", rest[1], rest[2]);
  }
  line.shown = rest[1].substr(0, slash);
  return line;
}

Result<void> run_route(const Words& words) {
  const RouteLine line = TRY(parse_route(words));
  auto netlink = TRY(host::Rtnetlink::open());
  const std::string what = fmt::format("{} {}", line.is_host ? "host" : "net", line.shown);
  if (line.adds) {
    TRY(netlink.add_route(line.destination, *line.gateway));
    fmt::print("add {}: gateway {}\n", what, net::to_string(*line.gateway));
  } else {
    TRY(netlink.delete_route(line.destination));
    fmt::print("delete {}\n", what);
  }
  return {};
}

}  // namespace

int route_main(int argc, char** argv) {
  const Words words(argv + std::min(argc, 1), argv + argc);
  if (words.size() == 1 && words[0] == "--help") {
    fmt::print("{}", kRouteHelp);
    return 0;
  }
  const auto done = run_route(words);
  if (done) return 0;
  fmt::print(stderr, "route: {}\n", done.error().text);
  return 2;
}

int ifconfig_main(int argc, char** argv) {
  const Words words(argv + std::min(argc, 1), argv + argc);
  if (words.size() == 1 && words[0] == "--help") {
    fmt::print("{}", kHelp);
    return 0;
  }
  const auto done = run(words);
  if (done) return 0;
  fmt::print(stderr, "ifconfig: {}\n", done.error().text);
  return done.error().code == std::errc::no_such_file_or_directory ? 1 : 2;
}

}  // namespace wh::apps
