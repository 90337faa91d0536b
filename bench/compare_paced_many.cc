// Many paced connections on one core: how late their bursts leave in real time, what rate they get
// in the long run, what they cost in memory and processor time.
//
//   1. 10,000 connections, each paced at 64 kbps, both ends in this process, in real time; before
//      and after them a bare timer on a loop of its own (the machine's own jitter)
//   2. 1,000 and 100,000 mostly idle connections, in virtual and in real time: together they send
//      10,000 bursts a second in either case, and then none at all. What a connection weighs, and
//      what a tick of the wheel (10 us) costs
//
// The 10,000 begin one after the other, 40 us apart, over the time that one of them waits from
// burst to burst. What begins together stays together: of a hundred such, each waits for those
// before it, which is no lateness of the wheel's.
//
// Lateness is the clock when a burst leaves less the end of the delay before it. The rate is what
// was seen on the wire, frame by frame: bytes from a connection's first burst up to its last, over
// the time between the two. On a machine that does other things too, the bare timer says how much
// of the lateness is ours. FreeBSD's wheel sleeps up to 5 ms above 100 connections and counts on
// being called from elsewhere meanwhile; `net.inet.tcp.hpts.precise` makes it wake for each slot,
// and that is what the goals are for.
//
// usage: compare_paced_many [SECONDS]
#include <fmt/core.h>
#include <malloc.h>

#include <array>
#include <cmath>
#include <cstdlib>

#include "core/histogram.h"
#include "host/real_loop.h"
#include "measure.h"
#include "tcp/test_world.h"

namespace {

using namespace wh;
using bench::all_reached, bench::verdict;

double heap_bytes() {
  const struct mallinfo2 info = ::mallinfo2();
  return static_cast<double>(info.uordblks + info.hblkhd);
}

// A program at either end: it throws away what comes, and may send without end. All senders share
// one chunk of data.
class Program final : public tcp::ConnectionObserver {
 public:
  explicit Program(bool is_source) : is_source_(is_source) {}
  void on_ready(tcp::Connection& c, uint8_t readiness) override {
    if ((readiness & tcp::kReadable) != 0) c.discard(SIZE_MAX);
    if ((readiness & (tcp::kConnected | tcp::kWritable)) == 0 || !is_source_) return;
    while (send(c, kChunk) == kChunk) {
    }
  }
  size_t send(tcp::Connection& c, uint32_t bytes) {
    return c.send(net::Slice{chunk_, 0, bytes}).value_or(0);
  }

 private:
  static constexpr uint32_t kChunk = 65'536;
  bool is_source_;
  net::ChunkRef chunk_ = net::ChunkRef::make(kChunk);
};

// Two hosts and two wires of 1 ms, on any loop.
struct World {
  explicit World(Loop& l)
      : loop(l),
        up(l, random.fork("up")),
        down(l, random.fork("down")),
        client(l, pool, 1, random.fork("client")),
        server(l, pool, 2, random.fork("server")) {
    up.config.delay = down.config.delay = 1ms;
    tcp::join(client, up, server, down, pool);
  }
  // One port of the server has fewer clients than we want: there are several. `apart`: from one to
  // the next.
  void connect(size_t n, Program& senders, Program& receivers, Rate pace, Duration apart) {
    for (size_t p = 0; p < listeners.size(); ++p) {
      tcp::Listener*& place = listeners[p];
      const auto accept = [&place, &receivers] {
        while (tcp::Connection* c = place->accept()) c->set_observer(&receivers);
      };
      place = MUST(server.tcp.listen({.local = {.address = server.ip.v4(), .port = port_of(p)},
                                      .backlog = 100'000,
                                      .on_ready = accept}));
    }
    const Instant start = loop.clock();
    for (size_t i = 0; i < n; ++i) {
      connections.push_back(
          MUST(client.tcp.connect({server.ip.v4(), port_of(i % listeners.size())},
                                  {.observer = &senders, .on_create = [pace](tcp::Connection& c) {
                                     c.set_pace_rate(pace);
                                   }})));
      const Instant next = start + static_cast<int64_t>(i + 1) * apart;
      if (next > loop.clock()) loop.run_until(next);
    }
    for (int i = 0; established() < n; ++i) {
      CHECK(i < 1000);
      loop.run_until(loop.now() + 10ms);
    }
  }
  size_t established() const {
    return static_cast<size_t>(std::count_if(
        connections.begin(), connections.end(),
        [](const tcp::Connection* c) { return c->state() == tcp::State::Established; }));
  }
  static uint16_t port_of(size_t i) { return static_cast<uint16_t>(80 + i); }

  Loop& loop;
  Random random{1};
  net::PacketPool pool;
  tcp::TestWire up, down;
  tcp::TestHost client, server;
  std::array<tcp::Listener*, 16> listeners{};
  std::vector<tcp::Connection*> connections;
};

double us(const Histogram& h, double q) {
  return static_cast<double>(h.quantile(q)) * 1e-3;
}

// --- 1. ten thousand in real time ---

// A timer of a loop of its own, armed anew every 500 us: what the machine does to anybody.
Histogram bare_jitter(Duration time, Duration spin) {
  auto loop = MUST(host::RealLoop::make({.spin = spin}));
  Histogram lateness;
  Instant due = loop->clock() + 500us;
  Timer timer(*loop, [&] {
    lateness.record(static_cast<uint64_t>((loop->clock() - due).count()));
    timer.arm(due = loop->clock() + 500us);
  });
  timer.arm(due);
  loop->run_until(loop->now() + time);
  return lateness;
}

// What leaves, seen at the wire.
class Watch {
 public:
  explicit Watch(World& world)
      : world_(world), numbers_(world.listeners.size() << 16), seen_(world.connections.size()) {
    for (uint32_t i = 0; i < seen_.size(); ++i) {
      const tcp::Connection& c = *world.connections[i];
      number_of(c.local().port, c.remote().port) = i;
      seen_[i].due = c.pacer().due();
    }
    world.up.tap = [this](Instant, const net::Packet& packet, const net::TcpView& tcp) {
      note(number_of(tcp.source_port(), tcp.destination_port()),
           static_cast<double>(packet.size() + 14));
    };
  }
  ~Watch() { world_.up.tap = {}; }

  // How far the rate of all connections, or that of the worst, is from the one asked for.
  double error(Rate asked, bool of_the_worst) const {
    double bytes = 0, seconds = 0, worst = 0;
    const double wanted = static_cast<double>(asked.bytes_per_second());
    for (const Seen& s : seen_) {
      if (s.last == Instant{}) continue;
      const double took = to_seconds(s.last - s.first);
      bytes += s.before_last;
      seconds += took;
      worst = std::max(worst, std::abs(1 - s.before_last / took / wanted));
    }
    return of_the_worst ? worst : std::abs(1 - bytes / seconds / wanted);
  }

  uint64_t early = 0, bursts = 0;
  Histogram lateness;

 private:
  struct Seen {
    Instant due{}, first{}, last{};  // The end of the delay; first and last burst.
    double bytes = 0, before_last = 0;
  };
  // Which connection it is that has these ports.
  uint32_t& number_of(uint16_t client, uint16_t server) {
    return numbers_[((size_t{server} - World::port_of(0)) << 16) + client];
  }
  // A burst starts the next delay before its segments leave: the first one to see that tells.
  void note(uint32_t flow, double frame) {
    const Instant due = world_.connections[flow]->pacer().due();
    Seen& s = seen_[flow];
    if (due != s.due) {
      const Instant now = world_.loop.clock();
      ++bursts;
      if (now < s.due) ++early;
      lateness.record(static_cast<uint64_t>(std::max<int64_t>((now - s.due).count(), 0)));
      if (s.first == Instant{}) {
        s.first = now;
      } else {
        s.last = now;
        s.before_last = s.bytes;
      }
      s.due = due;
    }
    if (s.first != Instant{}) s.bytes += frame;
  }

  World& world_;
  std::vector<uint32_t> numbers_;
  std::vector<Seen> seen_;
};

void show_bare(const char* what, Duration spin) {
  const Histogram h = bare_jitter(3s, spin);
  fmt::print("{:<34} {:>9} {:>8.1f} {:>8.1f} {:>8.0f}\n", what, "", us(h, 0.5), us(h, 0.99),
             us(h, 1));
}

void show_lateness(const char* what, bool is_precise, Duration spin, Duration time) {
  constexpr Rate kRate = 64_kbps;
  auto loop = MUST(host::RealLoop::make({.spin = spin}));
  World world(*loop);
  for (tcp::TestHost* host : {&world.client, &world.server}) {
    host->books.tunables.precise = is_precise ? 1 : 0;
  }
  Program senders(true), receivers(false);
  world.connect(10'000, senders, receivers, kRate, 40us);
  loop->run_until(loop->now() + 1s);  // Past the handshakes' crowd.
  Watch watch(world);
  const double cpu = bench::cpu_seconds();
  loop->run_until(loop->now() + time);
  const double used = (bench::cpu_seconds() - cpu) / to_seconds(time);
  const double p50 = us(watch.lateness, 0.5), p99 = us(watch.lateness, 0.99);
  const double all = watch.error(kRate, false), worst = watch.error(kRate, true);
  fmt::print(
      "{:<34} {:>9.0f} {:>8.1f} {:>8.1f} {:>8.0f} {:>6} {:>8.4f} {:>8.4f} {:>4.0f} % {}\n", what,
      static_cast<double>(watch.bursts) / to_seconds(time), p50, p99, us(watch.lateness, 1),
      watch.early, 100 * all, 100 * worst, 100 * used,
      is_precise ? verdict(p50 <= 50 && p99 <= 250 && all <= 0.001 && watch.early == 0) : "");
}

void compare_lateness(Duration time) {
  fmt::print("{:<34} {:>9} {:>8} {:>8} {:>8} {:>6} {:>8} {:>8} {:>6}\n", "10,000 paced, real time",
             "bursts/s", "p50 us", "p99 us", "max us", "early", "rate %", "worst %", "CPU");
  show_bare("a bare timer", 0ns);
  show_bare("a bare timer, polling 200 us", 200us);
  show_lateness("FreeBSD's wheel", false, 0ns, time);
  show_lateness("precise wheel", true, 0ns, time);
  show_lateness("precise wheel, polling 200 us", true, 200us, time);
  show_bare("a bare timer", 0ns);
  show_bare("a bare timer, polling 200 us", 200us);
}

// --- 2. a hundred thousand mostly idle ---

// Two segments now and then, of one connection after the other.
class Sparse {
 public:
  static constexpr Duration kGap = 100us;
  Sparse(World& world, Program& program)
      : world_(world), program_(program), timer_(world.loop, [this] { next(); }) {
    timer_.arm(due_ = world.loop.now() + kGap);
  }

 private:
  void next() {
    program_.send(*world_.connections[at_++ % world_.connections.size()], 2 * 1448);
    timer_.arm(due_ = std::max(due_, world_.loop.now() - 10ms) + kGap);
  }
  World& world_;
  Program& program_;
  Timer timer_;
  Instant due_;
  size_t at_ = 0;
};

struct Cost {
  double bytes = 0, busy_ns = 0, idle_ns = 0;  // A connection; a tick.
};

double ns_a_tick(Loop& loop, Duration time) {
  const double cpu = bench::cpu_seconds();
  loop.run_until(loop.now() + time);
  return (bench::cpu_seconds() - cpu) * 1e9 / (to_seconds(time) * 1e5);
}

Cost measure_idle(Loop& loop, size_t n, Duration time) {
  const double before = heap_bytes();
  World world(loop);
  Program senders(false), receivers(false);
  world.connect(n, senders, receivers, 1_Mbps, 20us);
  Cost cost;
  cost.bytes = (heap_bytes() - before) / static_cast<double>(2 * n);  // Both ends are here.
  loop.run_until(loop.now() + 4s);  // Until the handshakes' timers have come, too.
  cost.idle_ns = ns_a_tick(loop, time);
  Sparse sparse(world, senders);
  loop.run_until(loop.now() + 1s);
  cost.busy_ns = ns_a_tick(loop, time);
  return cost;
}

void compare_idle(Duration time) {
  fmt::print("\n{:<34} {:>14} {:>20} {:>16}\n", "mostly idle, both ends", "bytes each",
             "ns a tick, 0.1 burst", "ns a tick, none");
  for (const bool is_real : {false, true}) {
    Cost few;
    for (const size_t n : {size_t{1'000}, size_t{100'000}}) {
      std::unique_ptr<Loop> loop;
      if (is_real) {
        loop = MUST(host::RealLoop::make());
      } else {
        loop = std::make_unique<VirtualLoop>();
      }
      const Cost cost = measure_idle(*loop, n, time);
      fmt::print("{:<34} {:>14.0f} {:>20.1f} {:>16.2f}\n",
                 fmt::format("{} in {} time", n, is_real ? "real" : "virtual"), cost.bytes,
                 cost.busy_ns, cost.idle_ns);
      if (n == 1'000) {
        few = cost;
      } else {
        fmt::print("{:<34} {:>12.2f} x {:>18.2f} x\n", "  over those of 1000",
                   cost.bytes / few.bytes, cost.busy_ns / few.busy_ns);
      }
    }
  }
}

}  // namespace

int main(int argc, char** argv) {
  const double seconds = argc > 1 ? std::atof(argv[1]) : 10;
  const auto time = Duration(static_cast<int64_t>(seconds * 1e9));
  if (time <= Duration::zero()) {
    fmt::print(stderr, "usage: compare_paced_many [SECONDS]\n");
    return 2;
  }
  compare_lateness(time);
  compare_idle(time);
  return all_reached ? 0 : 1;
}
