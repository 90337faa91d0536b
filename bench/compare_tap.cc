// What one bulk flow costs our process on a TAP device, beside a do-nothing copier of the same
// frames, and how fast it goes beside lwIP.
//
//   copier    kernel TCP -> tap0 -> poll, read, write -> tap0 -> kernel TCP       (two namespaces)
//   ours      kernel TCP -> tap0 -> our loop, vnet and TCP, a sink; and a source the other way
//   lwIP      the same with Debian's liblwip, by its raw interface
//
// The copier is the least a process can do: poll, then one read and one write a frame, through one
// buffer. All run in turn, several times; the figure is processor time (user and system) of the one
// process for each GB of payload that arrived. The kernel's own work on a written frame is charged
// to whoever writes it, in all of them. So that it can be seen what is left to us, the copier is
// also asked where its time goes: who sends cannot do without writing the data and reading the
// acknowledgments, and what these take of the copier's time is the least that sending can cost.
//
// The goals are for frames written one by one and for segmentation offload. Between them stands
// what Wheelhouse does where the stack is to see whole frames: those that it sends in a row the
// device writes as one (host/tap.h, Offload::Join), which the copier and lwIP do not.
//
// usage: compare_tap [SECONDS_PER_RUN] [ROUNDS]
#include <poll.h>
#include <sys/time.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <csignal>
#include <cstdlib>

#include "host/capabilities.h"
#ifdef WH_HAS_LWIP
#include "lwip_end.h"
#endif
#include "our_end.h"

namespace {

using namespace wh;
using namespace wh::host;
using namespace wh::bench;

// --- the copier ---

// Which of its calls the copier is in, looked up at each tick of its processor time.
enum Phase { kElse, kReadData, kWriteData, kReadAck, kWriteAck, kPhases };
volatile std::sig_atomic_t phase = kElse;
std::array<volatile std::sig_atomic_t, kPhases> ticks;

void tick(int) {
  const int at = phase;
  ticks[static_cast<size_t>(at)] = ticks[static_cast<size_t>(at)] + 1;
}

class Ticking {
 public:
  Ticking() {
    std::signal(SIGPROF, tick);
    set(1000);
  }
  ~Ticking() {
    set(0);
    std::signal(SIGPROF, SIG_IGN);
  }

 private:
  static void set(int us) {
    const itimerval every{{0, us}, {0, us}};
    ::setitimer(ITIMER_PROF, &every, nullptr);
  }
};

double share(std::initializer_list<Phase> of) {
  double all = 0, some = 0;
  for (const auto& n : ticks) all += n;
  for (const Phase p : of) some += ticks[p];
  return all == 0 ? 0 : some / all;
}

// Moves frames until `done` is readable. The data come from the left.
void copy_plainly(const KernelSide& left, const KernelSide& right, int done) {
  const Ticking ticking;
  std::vector<uint8_t> buffer(70000);
  std::array<pollfd, 3> ready{
      {{left.tap.raw(), POLLIN, 0}, {right.tap.raw(), POLLIN, 0}, {done, POLLIN, 0}}};
  for (;;) {
    const int events = ::poll(ready.data(), ready.size(), -1);
    if (events < 0 && errno == EINTR) continue;
    if (events <= 0 || ready[2].revents != 0) return;
    for (size_t i = 0; i < 2; ++i) {
      if ((ready[i].revents & POLLIN) == 0) continue;
      for (;;) {
        phase = i == 0 ? kReadData : kReadAck;
        const ssize_t n = ::read(ready[i].fd, buffer.data(), buffer.size());
        if (n <= 0) break;
        phase = i == 0 ? kWriteData : kWriteAck;
        [[maybe_unused]] const auto written =
            ::write(ready[1 - i].fd, buffer.data(), static_cast<size_t>(n));
      }
      phase = kElse;
    }
  }
}

Result<TapFigure> measure_copier(Offload offload, Duration length) {
  const KernelSide left = TRY(make_side("10.0.0.1/24", offload));
  const KernelSide right = TRY(make_side("10.0.0.2/24", offload));
  auto sink = TRY(start_sink(right.space));
  auto source = TRY(start_source(left.space, "10.0.0.2", length));
  const CpuTime before = cpu_time();
  copy_plainly(left, right, sink->reports());
  const CpuTime cpu = cpu_time() - before;
  const PeerReport report = TRY(sink->wait());
  return figure(cpu, report.received, report.elapsed);
}

// --- ours ---

enum class Way { Receive, Send };

Result<TapFigure> measure_ours(Way way, Offload offload, Duration length) {
  auto end = TRY(OurEnd::make(TRY(make_side("10.0.0.2/24", offload)), offload));
  return way == Way::Receive ? end->receive(length) : end->send(length);
}

// --- lwIP ---

#ifdef WH_HAS_LWIP
Result<TapFigure> measure_lwip(Way way, Duration length) {
  const KernelSide side = TRY(make_side("10.0.0.2/24", Offload::None));
  std::unique_ptr<KernelPeer> peer;
  if (way == Way::Send) peer = TRY(start_sink(side.space));
  const Child child = TRY(Child::run({.name = "lwip", .keep = {side.tap.raw()}},
                                     [&]() -> int { run_lwip(side.tap.raw(), way == Way::Send); }));
  if (way == Way::Receive) {
    ::usleep(200'000);  // Until it listens: it has no way to say so.
    peer = TRY(start_source(side.space, "10.0.0.1", length));
  } else {
    ::usleep(static_cast<useconds_t>(length / 1us));
    peer->stop();
  }
  const PeerReport report = TRY(peer->wait());
  return figure({}, way == Way::Receive ? report.sent : report.received, report.elapsed);
}
#endif

Result<void> compare(Duration length, int rounds) {
  const auto mid = [rounds](auto measure) -> Result<TapFigure> {
    std::vector<TapFigure> runs;
    for (int i = 0; i < rounds; ++i) runs.push_back(TRY(measure()));
    return median(std::move(runs));
  };
  TapFigure plain_copier;
  for (const Offload offload : {Offload::None, Offload::Join, Offload::ChecksumAndTso}) {
    const bool is_plain = offload == Offload::None;
    if (offload == Offload::Join) {
      const TapFigure r = TRY(mid([&] { return measure_ours(Way::Receive, offload, length); }));
      const TapFigure s = TRY(mid([&] { return measure_ours(Way::Send, offload, length); }));
      std::printf(
          "1500 B, joined when written: receiving %.2f s/GB, %.2f Gbit/s, %.2f of the copier's "
          "CPU; sending %.2f s/GB, %.2f Gbit/s, %.2f\n",
          r.cpu_s_per_gb, r.gbps, r.cpu_s_per_gb / plain_copier.cpu_s_per_gb, s.cpu_s_per_gb,
          s.gbps, s.cpu_s_per_gb / plain_copier.cpu_s_per_gb);
      continue;
    }
    std::vector<TapFigure> copier, in, out;
    for (auto& n : ticks) n = 0;
    for (int i = 0; i < rounds; ++i) {
      copier.push_back(TRY(measure_copier(offload, length)));
      in.push_back(TRY(measure_ours(Way::Receive, offload, length)));
      out.push_back(TRY(measure_ours(Way::Send, offload, length)));
    }
    const TapFigure c = median(copier), r = median(in), s = median(out);
    std::printf(
        "%s: CPU s/GB and Gbit/s: copier %.2f %.2f, receiving %.2f %.2f, sending %.2f %.2f\n",
        is_plain ? "1500 B, no offload" : "TSO and checksum", c.cpu_s_per_gb, c.gbps,
        r.cpu_s_per_gb, r.gbps, s.cpu_s_per_gb, s.gbps);
    std::printf(
        "  of the copier's time: reading data %.2f and writing acknowledgments %.2f: %.2f; "
        "writing\n"
        "  data %.2f and reading acknowledgments %.2f: %.2f. In user space: receiving %.2f, "
        "sending "
        "%.2f\n",
        share({kReadData}), share({kWriteAck}), share({kReadData, kWriteAck}), share({kWriteData}),
        share({kReadAck}), share({kWriteData, kReadAck}), r.user_s_per_gb / c.cpu_s_per_gb,
        s.user_s_per_gb / c.cpu_s_per_gb);
    print_at_most("  receiving, CPU over the copier's", r.cpu_s_per_gb / c.cpu_s_per_gb,
                  is_plain ? 0.30 : 1.5);
    print_at_most("  sending, CPU over the copier's", s.cpu_s_per_gb / c.cpu_s_per_gb,
                  is_plain ? 0.45 : 1.5);
    if (!is_plain) continue;
    plain_copier = c;
#ifdef WH_HAS_LWIP
    for (const auto& [way, ours] : {std::pair(Way::Receive, r), std::pair(Way::Send, s)}) {
      const TapFigure lwip = TRY(mid([&, w = way] { return measure_lwip(w, length); }));
      std::printf("  lwIP %s %.2f Gbit/s\n", way == Way::Receive ? "receiving" : "sending",
                  lwip.gbps);
      print_at_least(way == Way::Receive ? "  receiving, throughput over lwIP's"
                                         : "  sending, throughput over lwIP's",
                     ours.gbps / lwip.gbps, 2);
    }
#else
    std::puts("  lwIP skipped: not installed at build time: liblwip-dev");
#endif
  }
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
  if (const auto done = compare(length, rounds); !done) {
    std::fprintf(stderr, "compare_tap: %s\n", done.error().text.c_str());
    return 2;
  }
  return 0;
}
