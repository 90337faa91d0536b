// What a frame costs on its way through two of our TAP interfaces, beside a copier that does
// nothing else.
//
//   kernel TCP -> tap0 -> this process -> tap0 -> kernel TCP      (two namespaces, one bulk flow)
//
// The copier is the least a process can do: poll, then one read and one write a frame, through one
// buffer. Ours is the real loop, packets from the pool, TapInterface on both sides. Both run in
// turn, several times; the figure is processor time (user and system) of this process for each GB
// of payload that arrived. The kernel's own work on a written frame is charged to whoever writes
// it, in both.
//
// usage: compare_tap [SECONDS_PER_RUN] [ROUNDS]
#include <poll.h>
#include <sys/resource.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cstdio>
#include <cstdlib>
#include <vector>

#include "host/capabilities.h"
#include "host/kernel_peer.h"
#include "host/real_loop.h"
#include "host/tap.h"

namespace {

using namespace wh;
using namespace wh::host;

struct Figure {
  double cpu_s_per_gb = 0, ns_per_frame = 0, gbps = 0;
};

double cpu_seconds() {
  rusage used{};
  ::getrusage(RUSAGE_SELF, &used);
  const auto seconds = [](const timeval& t) {
    return static_cast<double>(t.tv_sec) + static_cast<double>(t.tv_usec) * 1e-6;
  };
  return seconds(used.ru_utime) + seconds(used.ru_stime);
}

// A namespace with one TAP device in it, configured.
struct Side {
  Netns space;
  Fd tap;
};

Result<Side> make_side(const char* address, Offload offload) {
  Side side{TRY(Netns::make()), Fd()};
  side.tap = TRY(side.space.open([&] { return open_tap("tap0", offload); }));
  Rtnetlink kernel = TRY(side.space.netlink());
  TRY(side.space.set_sysctl("net.ipv6.conf.tap0.disable_ipv6", "1"));
  TRY(kernel.add_address("tap0", TRY(net::parse_prefix(address))));
  TRY(kernel.set_up("tap0"));
  return side;
}

// Moves frames until `done` is readable; returns how many.
uint64_t copy_plainly(const Side& left, const Side& right, int done) {
  std::vector<uint8_t> buffer(70000);
  uint64_t frames = 0;
  std::array<pollfd, 3> ready{
      {{left.tap.raw(), POLLIN, 0}, {right.tap.raw(), POLLIN, 0}, {done, POLLIN, 0}}};
  while (::poll(ready.data(), ready.size(), -1) > 0 && ready[2].revents == 0) {
    for (size_t i = 0; i < 2; ++i) {
      if ((ready[i].revents & POLLIN) == 0) continue;
      for (ssize_t n; (n = ::read(ready[i].fd, buffer.data(), buffer.size())) > 0;) {
        [[maybe_unused]] const auto written =
            ::write(ready[1 - i].fd, buffer.data(), static_cast<size_t>(n));
        ++frames;
      }
    }
  }
  return frames;
}

class Crossover final : public net::FrameSink {
 public:
  explicit Crossover(net::Interface& to) : to_(to) {}
  void accept(net::Frame frame) override {
    frames += frame.size();
    to_.transmit(std::move(frame));
  }
  uint64_t frames = 0;

 private:
  net::Interface& to_;
};

Result<uint64_t> copy_with_interfaces(Side left, Side right, Offload offload, int done) {
  auto loop = TRY(RealLoop::make());
  net::PacketPool pool;
  auto a = TRY(TapInterface::adopt(std::move(left.tap), {.offload = offload}, *loop, pool));
  auto b = TRY(TapInterface::adopt(std::move(right.tap), {.offload = offload}, *loop, pool));
  Crossover to_a(*a), to_b(*b);
  a->attach(&to_b);
  b->attach(&to_a);
  FdWatch watch(*loop, "done", [&] { return loop->stop(), Progress::Some; });
  TRY(watch.watch(done));
  loop->run();
  return to_a.frames + to_b.frames;
}

enum class Copier { Plain, Ours };

Result<Figure> measure(Copier copier, Offload offload, Duration length) {
  Side left = TRY(make_side("10.0.0.1/24", offload));
  Side right = TRY(make_side("10.0.0.2/24", offload));
  auto sink = TRY(KernelPeer::start(right.space, {.verify = false, .congestion = "cubic"}));
  auto source = TRY(KernelPeer::start(left.space, {.role = PeerRole::Connect,
                                                   .address = TRY(net::parse_ip("10.0.0.2")),
                                                   .send = Bytes::max(),
                                                   .send_for = length,
                                                   .verify = false,
                                                   .congestion = "cubic"}));
  const double before = cpu_seconds();
  const uint64_t frames =
      copier == Copier::Plain
          ? copy_plainly(left, right, sink->reports())
          : TRY(copy_with_interfaces(std::move(left), std::move(right), offload, sink->reports()));
  const double cpu = cpu_seconds() - before;
  const PeerReport report = TRY(sink->wait());
  const double gb = static_cast<double>(report.received.count()) * 1e-9;
  if (gb == 0 || frames == 0) return fail("nothing arrived");
  return Figure{cpu / gb, cpu * 1e9 / static_cast<double>(frames),
                gb * 8 / to_seconds(report.elapsed)};
}

Figure median(std::vector<Figure> runs) {
  std::sort(runs.begin(), runs.end(),
            [](const Figure& a, const Figure& b) { return a.cpu_s_per_gb < b.cpu_s_per_gb; });
  return runs[runs.size() / 2];
}

Result<void> compare(Offload offload, const char* name, Duration length, int rounds) {
  std::vector<Figure> plain, ours;
  for (int i = 0; i < rounds; ++i) {
    plain.push_back(TRY(measure(Copier::Plain, offload, length)));
    ours.push_back(TRY(measure(Copier::Ours, offload, length)));
  }
  const Figure p = median(plain), o = median(ours);
  std::printf("%-24s %8.2f %8.0f %7.2f | %8.2f %8.0f %7.2f | %6.2f\n", name, p.cpu_s_per_gb,
              p.ns_per_frame, p.gbps, o.cpu_s_per_gb, o.ns_per_frame, o.gbps,
              o.cpu_s_per_gb / p.cpu_s_per_gb);
  return {};
}

}  // namespace

int main(int argc, char** argv) {
  if (const auto can = can_use_tap(); !can) {
    std::printf("skipped: needs a TAP device: %s\n", can.error().text.c_str());
    return 0;
  }
  const double seconds = argc > 1 ? std::atof(argv[1]) : 2;
  const int rounds = argc > 2 ? std::atoi(argv[2]) : 3;
  const auto length = Duration(static_cast<int64_t>(seconds * 1e9));
  std::printf("%-24s %25s | %25s |\n", "", "do-nothing copier", "two TapInterfaces");
  std::printf("%-24s %8s %8s %7s | %8s %8s %7s | %6s\n", "frames", "CPU s/GB", "ns/frame", "Gbit/s",
              "CPU s/GB", "ns/frame", "Gbit/s", "ratio");
  for (const auto& [offload, name] : {std::pair(Offload::None, "1500 B, no offload"),
                                      std::pair(Offload::ChecksumAndTso, "TSO and checksum")}) {
    if (const auto done = compare(offload, name, length, rounds); !done) {
      std::fprintf(stderr, "compare_tap: %s\n", done.error().text.c_str());
      return 2;
    }
  }
  return 0;
}
