#include "lab/host.h"

namespace wh::lab {
namespace {

// Where a lab's host differs from a stack's defaults; all names exist and all values are within
// bounds.
constexpr std::pair<const char*, const char*> kDefaults[] = {
    // Experiments are about the path, so buffers are not what limits a flow (5 Gbps over 100 ms).
    {"net.inet.tcp.sendspace", "1048576"},
    {"net.inet.tcp.recvspace", "1048576"},
    {"net.inet.tcp.sendbuf_max", "67108864"},
    {"net.inet.tcp.recvbuf_max", "67108864"},
    // The lab gives out each address once: there are no duplicates to wait a second for.
    {"net.inet6.ip6.dad_count", "0"},
};

}  // namespace

Host::Host(Loop& loop, net::PacketPool& pool, std::string name, const Random& random)
    : name_(std::move(name)),
      vnet_({.name = name_}, loop, pool, random.fork("vnet")),
      wheel_(loop, books_),
      tcp_(vnet_, wheel_) {
  books_.add_sysctls(vnet_.sysctl());
  wheel_.add_sysctls(vnet_.sysctl(), 0);
  for (const auto& [leaf, value] : kDefaults) MUST_VOID(vnet_.sysctl().set(leaf, value));
}

}  // namespace wh::lab
