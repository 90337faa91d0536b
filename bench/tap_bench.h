// A kernel TCP in a namespace of its own, behind a TAP device whose other side is the caller's:
// what the comparisons over TAP begin with.
#pragma once

#include <algorithm>
#include <vector>

#include "host/kernel_peer.h"
#include "host/tap.h"
#include "measure.h"

namespace wh::bench {

struct KernelSide {
  host::Netns space;
  host::Fd tap;
};

// The kernel has the address (a prefix) on `tap0`, and IPv4 alone.
inline Result<KernelSide> make_side(const char* address, host::Offload offload) {
  KernelSide side{TRY(host::Netns::make()), host::Fd()};
  side.tap = TRY(side.space.open([&] { return host::open_tap("tap0", offload); }));
  host::Rtnetlink kernel = TRY(side.space.netlink());
  TRY(side.space.set_sysctl("net.ipv6.conf.tap0.disable_ipv6", "1"));
  TRY(kernel.add_address("tap0", TRY(net::parse_prefix(address))));
  TRY(kernel.set_up("tap0"));
  return side;
}

// The kernel's end of one bulk flow: it listens, or connects to `to` and sends for so long.
inline Result<std::unique_ptr<host::KernelPeer>> start_sink(const host::Netns& space) {
  return host::KernelPeer::start(space, {.verify = false, .congestion = "cubic"});
}
inline Result<std::unique_ptr<host::KernelPeer>> start_source(const host::Netns& space,
                                                              const char* to, Duration length) {
  return host::KernelPeer::start(space, {.role = host::PeerRole::Connect,
                                         .address = TRY(net::parse_ip(to)),
                                         .send = Bytes::max(),
                                         .send_for = length,
                                         .verify = false,
                                         .congestion = "cubic"});
}

struct TapFigure {
  double cpu_s_per_gb = 0, user_s_per_gb = 0, gbps = 0;
};

inline Result<TapFigure> figure(CpuTime cpu, Bytes payload, Duration elapsed) {
  const double gb = static_cast<double>(payload.count()) * 1e-9;
  if (gb == 0) return fail("nothing arrived");
  return TapFigure{(cpu.user + cpu.system) / gb, cpu.user / gb, gb * 8 / to_seconds(elapsed)};
}

inline TapFigure median(std::vector<TapFigure> runs) {
  std::sort(runs.begin(), runs.end(),
            [](const TapFigure& a, const TapFigure& b) { return a.cpu_s_per_gb < b.cpu_s_per_gb; });
  return runs[runs.size() / 2];
}

}  // namespace wh::bench
