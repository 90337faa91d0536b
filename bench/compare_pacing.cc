// Pacing on the wire, packet by packet: ours beside the Linux kernel's own (SO_MAX_PACING_RATE).
//
//   ours     our TCP, one segment a burst -> TAP -> a kernel's TCP in a namespace
//   kernel   a kernel's TCP, one segment a burst (gso_max_segs 1) -> veth -> another's
//
// Both send bulk at a rate; at the receiver's interface the kernel notes when each packet came. Per
// rate, in turns: how far gaps are from the ideal one (a frame of 1514 bytes at the rate), and the
// rate over the whole run. The kernel paces payload, so it is asked for 1448/1514 of the rate. Ours
// runs with `hpts.precise`, on a loop that polls for the last 2 ms before a deadline (a sleeping
// processor wakes late, by up to a millisecond) and, in the last line, on one that sleeps.
//
// usage: compare_pacing [SECONDS_PER_RUN] [ROUNDS]
#include <cstdlib>

#include "gap_capture.h"
#include "host/capabilities.h"
#include "our_end.h"

namespace {

using namespace wh;
using namespace wh::host;
using namespace wh::bench;

constexpr Duration kSkip = 500ms;  // The handshake and the first round trips.

Duration ideal_gap(Rate rate) {
  return rate.transfer_time(Bytes(1514));
}

struct Run {
  GapStatistics gaps;
  double cpu = 0;  // Of this process, over the run's length; 0 for the kernel's.
};

Result<Run> run_ours(Rate rate, Duration length, Duration spin) {
  auto end = TRY(OurEnd::make(TRY(make_side("10.0.0.2/24", Offload::None)), Offload::None, spin));
  TRY(end->host().sysctl().assign("net.inet.tcp.hpts.precise=1"));
  auto capture = TRY(GapCapture::open(end->space(), "tap0"));
  const double before = cpu_seconds();
  TRY(end->send(length, [&](tcp::Connection& c) {
    c.burst_limits().user_max = c.burst_limits().user_min = 1;
    // What is written is delivered also after the time is over: a tenth of a second, not 64 MiB.
    c.set_send_buffer(Bytes(static_cast<int64_t>(rate.bytes_per_second() / 10)));
    c.set_pace_rate(rate);
  }));
  const double cpu = cpu_seconds() - before;
  return Run{statistics_of(capture.arrivals(), ideal_gap(rate), kSkip), cpu / to_seconds(length)};
}

Result<Run> run_kernel(Rate rate, Duration length) {
  const Netns a = TRY(Netns::make()), b = TRY(a.make_beside());
  Rtnetlink in_a = TRY(a.netlink()), in_b = TRY(b.netlink());
  TRY(in_a.add_veth("v0", "v1", b.fd()));
  TRY(in_a.add_address("v0", TRY(net::parse_prefix("10.0.0.1/24"))));
  TRY(in_b.add_address("v1", TRY(net::parse_prefix("10.0.0.2/24"))));
  TRY(in_a.set_up("v0"));
  TRY(in_b.set_up("v1"));
  Child once = TRY(a.run_program({}, {"ip", "link", "set", "v0", "gso_max_segs", "1"}));
  if (!once.wait().is_success()) return fail("ip link set v0 gso_max_segs 1 failed");
  auto capture = TRY(GapCapture::open(b, "v1"));
  auto sink = TRY(start_sink(b));
  auto source =
      TRY(KernelPeer::start(a, {.role = PeerRole::Connect,
                                .address = TRY(net::parse_ip("10.0.0.2")),
                                .send = Bytes::max(),
                                .send_for = length,
                                .verify = false,
                                .congestion = "cubic",
                                .pace = Rate::bits_per_second(rate.bps() / 1514 * 1448)}));
  TRY(source->wait());
  TRY(sink->wait());
  return Run{statistics_of(capture.arrivals(), ideal_gap(rate), kSkip)};
}

void print(const char* who, const Run& r) {
  std::printf("  %-22s |gap-ideal| us: median %6.1f p90 %6.1f p99 %7.1f   rate %+7.3f %%", who,
              r.gaps.median_us, r.gaps.p90_us, r.gaps.p99_us, r.gaps.rate_error * 100);
  r.cpu > 0 ? std::printf("   CPU %.0f %%\n", r.cpu * 100) : std::printf("\n");
}

// The run whose p90 is the middle one.
Run middle(std::vector<Run> runs) {
  std::sort(runs.begin(), runs.end(),
            [](const Run& x, const Run& y) { return x.gaps.p90_us < y.gaps.p90_us; });
  return runs[runs.size() / 2];
}

Result<void> compare(Rate rate, Duration length, int rounds) {
  std::vector<Run> ours, kernels;
  for (int i = 0; i < rounds; ++i) {
    ours.push_back(TRY(run_ours(rate, length, 2ms)));
    kernels.push_back(TRY(run_kernel(rate, length)));
  }
  const Run sleeping = TRY(run_ours(rate, length, 0ns));
  const Run o = middle(ours), k = middle(kernels);
  std::printf("%s, ideal gap %.2f us\n", to_string(rate).c_str(),
              to_seconds(ideal_gap(rate)) * 1e6);
  print("ours", o);
  print("kernel", k);
  print("ours, without polling", sleeping);
  if (rate < 1_Gbps) {
    print_at_most("  median over the kernel's", o.gaps.median_us / k.gaps.median_us, 1);
    print_at_most("  p90 over the kernel's", o.gaps.p90_us / k.gaps.p90_us, 1);
    print_at_most("  p99 over the kernel's", o.gaps.p99_us / k.gaps.p99_us, 1);
  }
  print_at_most("  long-run rate is off by, %", std::abs(o.gaps.rate_error) * 100, 0.1);
  return {};
}

}  // namespace

int main(int argc, char** argv) {
  if (const auto can = can_use_tap(); !can) {
    std::printf("skipped: needs a TAP device: %s\n", can.error().text.c_str());
    return 0;
  }
  const double seconds = argc > 1 ? std::atof(argv[1]) : 3;
  const int rounds = argc > 2 ? std::atoi(argv[2]) : 3;
  const auto length = Duration(static_cast<int64_t>(seconds * 1e9));
  for (const Rate rate : {12_Mbps, 100_Mbps, 1_Gbps}) {
    if (const auto done = compare(rate, length, rounds); !done) {
      std::fprintf(stderr, "compare_pacing: %s\n", done.error().text.c_str());
      return 2;
    }
  }
  return 0;
}
