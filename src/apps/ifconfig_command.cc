// ifconfig as far as the articles wire jails with it: epairs, addresses, up and down, into a jail
// and back.
#include <algorithm>
#include <charconv>
#include <string>
#include <vector>

#include "apps/jail_commands.h"
#include "host/rtnetlink.h"
#include "host/system.h"
#include "jail/jail.h"

namespace wh::apps {
namespace {

constexpr const char* kHelp =
    "usage: ifconfig                                  all interfaces\n"
    "       ifconfig epair create                     two joined ones; prints the first's name\n"
    "       ifconfig IF [inet|inet6] ADDRESS/LENGTH [up]\n"
    "       ifconfig IF up | down | destroy | mtu N | ether MAC | vnet JAIL\n\nexample:\n"
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

Result<void> show(host::Rtnetlink& netlink, const std::string& only) {
  bool is_found = only.empty();
  for (const host::LinkInfo& link : TRY(netlink.links())) {
    if (!only.empty() && link.name != linux_name(only)) continue;
    is_found = true;
    fmt::print("{}: flags=<{}> mtu {}\n", link.name, link.is_up ? "UP" : "", link.mtu);
    if (link.name != "lo") fmt::print("\tether {}\n", net::to_string(link.mac));
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

// One request of a line; `at` moves past its words.
Result<void> apply(host::Rtnetlink& netlink, const std::string& link, const Words& words,
                   size_t& at) {
  const std::string word = words[at++];
  const auto argument = [&]() -> Result<std::string> {
    if (at == words.size()) return fail("{}: something is missing after it", word);
    return words[at++];
  };
  if (word == "up" || word == "down") return netlink.set_up(link, word == "up");
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
  std::string address = word;
  if (word == "inet" || word == "inet6") address = TRY(argument());
  if (address.find('/') == address.npos)
    address += address.find(':') == address.npos ? "/32" : "/128";
  const auto prefix = net::parse_prefix(address);
  if (!prefix)
    return fail("'{}' is neither an address nor one of up, down, destroy, mtu, ether, vnet", word);
  TRY(netlink.add_address(link, *prefix));
  // As on FreeBSD, an interface that gets an address comes up.
  return netlink.set_up(link);
}

Result<void> run(const Words& words) {
  auto netlink = TRY(host::Rtnetlink::open());
  if (words.empty()) return show(netlink, "");
  if (words[0] == "epair" && words.size() == 2 && words[1] == "create")
    return create_epair(netlink);
  if (words.size() == 1) return show(netlink, words[0]);
  for (size_t at = 1; at < words.size();) TRY(apply(netlink, linux_name(words[0]), words, at));
  return {};
}

}  // namespace

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
