// What a stack tells of itself in its sysctl tree: which congestion controls and which TCP stacks
// there are, in FreeBSD's tables, and which of them new connections get.
#include "tcp/stack.h"

namespace wh::tcp {
namespace {

constexpr const char* kStackName = "rack";
constexpr const char* kFacts[] = {
    "net.inet.tcp.cc.algorithm", "net.inet.tcp.cc.available", "net.inet.tcp.functions_default",
    "net.inet.tcp.functions_available", "net.inet.tcp.hostcache.enable"};

}  // namespace

std::string TcpStack::congestion_table() {
  std::string text = fmt::format("\n{:<16}{} {}\n", "CCmod", 'D', "PCB count");
  std::map<std::string_view, size_t> users;
  for_each([&](const Connection& c) {
    if (c.control_ != nullptr) ++users[c.control_->name()];
  });
  for (const auto& [name, unused] : congestion_) {
    text +=
        fmt::format("{:<16}{} {}\n", name, name == tunables_.cc_algorithm ? '*' : ' ', users[name]);
  }
  return text;
}

void TcpStack::add_facts() {
  SysctlTree& tree = ip_.sysctl();
  tree.add_text(kFacts[0], {.description = "congestion control of new connections",
                            .get = [this] { return tunables_.cc_algorithm; },
                            .set = [this](std::string_view name) -> Result<void> {
                              TRY(make_congestion(name));
                              tunables_.cc_algorithm = name;
                              return {};
                            }});
  tree.add_text(kFacts[1], {.description = "congestion controls, and their connections",
                            .get = [this] { return congestion_table(); }});
  tree.add_text(kFacts[2], {.description = "TCP stack of new connections: there is one",
                            .get = [] { return std::string(kStackName); },
                            .set = [](std::string_view name) -> Result<void> {
                              if (name == kStackName) return {};
                              return fail_with(std::errc::no_such_file_or_directory,
                                               fmt::format("TCP stack '{}'; accepted: rack", name));
                            }});
  tree.add_text(kFacts[3], {.description = "TCP stacks, and their connections", .get = [this] {
                              return fmt::format("\n{:<32}{} {:<32} {}\n{:<32}{} {:<32} {}\n",
                                                 "Stack", 'D', "Alias", "PCB count", kStackName,
                                                 '*', "-", connections());
                            }});
  tree.add_text(kFacts[4], {.description = "keep what was learnt of other hosts: never",
                            .get = [] { return std::string("0"); },
                            .set = [](std::string_view value) -> Result<void> {
                              if (value == "0") return {};
                              return fail("there is no host cache; accepted: 0");
                            }});
}

void TcpStack::remove_facts() {
  for (const char* name : kFacts) ip_.sysctl().remove(name);
}

}  // namespace wh::tcp
