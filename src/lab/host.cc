#include "lab/host.h"

#include <algorithm>

namespace wh::lab {

Host::Host(Loop& loop, net::PacketPool& pool, std::string name, const Random& random, Bytes buffer)
    : name_(std::move(name)),
      vnet_({.name = name_}, loop, pool, random.fork("vnet")),
      wheel_(loop, books_),
      tcp_(vnet_, wheel_) {
  books_.add_sysctls(vnet_.sysctl());
  wheel_.add_sysctls(vnet_.sysctl(), 0);
  // These names exist, and the values are within bounds. The first decides on the window's scale.
  MUST(sysctl().set("kern.ipc.maxsockbuf", std::to_string(buffer.count())));
  for (const char* leaf : {"recvspace", "sendbuf_max", "recvbuf_max"}) {
    MUST(sysctl().set(fmt::format("net.inet.tcp.{}", leaf), std::to_string(buffer.count())));
  }
  // A program fills its buffer at once, so that grows with cwnd: a hundred flows that filled their
  // largest would write for longer than a run lasts, and in real time acknowledgments would wait.
  MUST(sysctl().set("net.inet.tcp.sendspace",
                    std::to_string(std::min(buffer, Bytes(262144)).count())));
  // The lab gives out each address once: there are no duplicates to wait a second for.
  MUST(sysctl().set("net.inet6.ip6.dad_count", "0"));
}

}  // namespace wh::lab
