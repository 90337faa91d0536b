#include "jail/sysctl.h"

#include "jail/registry.h"

namespace wh::jail {
namespace {

std::string current() {
  auto registry = Registry::open();
  const auto count = registry ? registry->children_cur() : Result<int64_t>(0);
  return fmt::format("{}", count.value_or(0));
}

std::string most() {
  const auto registry = Registry::open();
  return fmt::format("{}", registry ? registry->children_max() : 0);
}

}  // namespace

void add_sysctls(SysctlTree& tree) {
  // FreeBSD's network tests ask for it before they make a jail.
  tree.add_text("kern.features.vimage",
                {"1: a jail may have a network stack of its own", [] { return std::string("1"); }});
  tree.add_text("security.jail.children.cur", {"current number of jails below this one", current});
  tree.add_text("security.jail.children.max", {"how many jails there may be below this one", most});
  tree.add_text("security.jail.jailed",
                {"1 within a jail, else 0", [] {
                   const auto registry = Registry::open();
                   return std::string(registry && registry->is_inside_jail() ? "1" : "0");
                 }});
}

}  // namespace wh::jail
