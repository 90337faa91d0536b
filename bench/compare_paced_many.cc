// Many paced connections on one core: how late their bursts leave in real time, what rate they get
// in the long run, what they cost in memory and time.
//
//   10,000 connections, each paced at 64 kbps, both ends in this process, over wires that take no
//   time: in real time, beside a bare timer of the same loop in the same run (the machine's own
//   jitter);
//   1,000 and 100,000 mostly idle connections, each sending one burst about every 10 s: in virtual
//   and in real time, memory a connection and processor time a second of their lives.
//
// Lateness is the clock when a burst leaves less the end of the delay before it. On a machine that
// does other things too, the jitter of the bare timer says how much of it is ours.
//
// usage: compare_paced_many [SECONDS]
#include <fmt/core.h>
#include <malloc.h>
#include <time.h>

#include <cmath>
#include <cstdlib>

#include "core/histogram.h"
#include "host/real_loop.h"
#include "tcp/test_world.h"

namespace {

using namespace wh;

bool all_reached = true;

const char* verdict(bool reached) {
  all_reached = all_reached && reached;
  return reached ? "reached" : "MISSED";
}

double cpu_seconds() {
  timespec t{};
  ::clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &t);
  return static_cast<double>(t.tv_sec) + static_cast<double>(t.tv_nsec) * 1e-9;
}

double heap_bytes() {
  const struct mallinfo2 info = ::mallinfo2();
  return static_cast<double>(info.uordblks + info.hblkhd);
}

// Ten thousand senders would share one chunk of data; so do these.
class Ends final : public tcp::ConnectionObserver {
 public:
  explicit Ends(uint32_t write) : write_(write) {}
  void on_ready(tcp::Connection& c, uint8_t readiness) override {
    if ((readiness & tcp::kReadable) != 0) c.discard(SIZE_MAX);
    if ((readiness & (tcp::kConnected | tcp::kWritable)) != 0 && write_ > 0) send(c);
  }
  void send(tcp::Connection& c) { (void)c.send(net::Slice{chunk_, 0, write_}); }

 private:
  uint32_t write_;
  net::ChunkRef chunk_ = net::ChunkRef::make(65536);
};

// Two hosts and two wires on any loop.
struct World {
  World(Loop& l, Duration delay)
      : loop(l),
        up(l, random.fork("up")),
        down(l, random.fork("down")),
        client(l, pool, 1, random.fork("client")),
        server(l, pool, 2, random.fork("server")) {
    up.config.delay = down.config.delay = delay;
    client.ip.out = &up;
    server.ip.out = &down;
    up.set_pool(pool);
    down.set_pool(pool);
    up.sink = [this](net::Frame f) { server.ip.input(std::move(f)); };
    down.sink = [this](net::Frame f) { client.ip.input(std::move(f)); };
  }
  // Both wheels, as `net.inet.tcp.hpts.precise` makes them.
  void set_precise() { client.books.tunables.precise = server.books.tunables.precise = 1; }
  // Connections to 64 ports of the server, since one port has fewer clients than we want.
  void connect(int n, tcp::ConnectionObserver& senders, tcp::ConnectionObserver& receivers,
               const std::function<void(tcp::Connection&)>& set) {
    constexpr uint16_t kPorts = 64;
    for (uint16_t p = 0; p < kPorts; ++p) {
      const uint16_t port = static_cast<uint16_t>(80 + p);
      tcp::Listener*& place = listeners[p];
      place = MUST(server.tcp.listen({.local = {.address = server.ip.v4(), .port = port},
                                      .backlog = 200'000,
                                      .on_ready = [&place, &receivers] {
                                        while (tcp::Connection* c = place->accept()) {
                                          c->set_observer(&receivers);
                                        }
                                      }}));
    }
    for (int i = 0; i < n; ++i) {
      const auto port = static_cast<uint16_t>(80 + i % kPorts);
      connections.push_back(MUST(
          client.tcp.connect({server.ip.v4(), port}, {.observer = &senders, .on_create = set})));
      if (i % 500 == 499) loop.run_until(loop.now() + 20ms);
    }
    loop.run_until(loop.now() + 200ms);
  }

  Loop& loop;
  Random random{1};
  net::PacketPool pool;
  tcp::TestWire up, down;
  tcp::TestHost client, server;
  tcp::Listener* listeners[64] = {};
  std::vector<tcp::Connection*> connections;
};

// A timer of the loop, armed anew every 500 us: what the machine does to anybody.
struct BareTimer {
  explicit BareTimer(Loop& l) : loop(l), timer(l, [this] { fire(); }) {
    timer.arm(due = l.clock() + 500us);
  }
  void fire() {
    const Instant now = loop.clock();
    if (is_measuring) lateness.record(static_cast<uint64_t>((now - due).count()));
    timer.arm(due = now + 500us);
  }
  Loop& loop;
  Timer timer;
  Instant due{};
  bool is_measuring = false;
  Histogram lateness;
};

double us(const Histogram& h, double q) {
  return static_cast<double>(h.quantile(q)) * 1e-3;
}

// What leaves, seen at the wire: how late each burst was, and the time its connection's bursts
// took beside the time they were asked to take.
class Watch {
 public:
  explicit Watch(World& world) : world_(world), seen_(world.connections.size()) {
    for (uint32_t i = 0; i < seen_.size(); ++i) {
      world.connections[i]->set_flow(i);
      seen_[i].due = world.connections[i]->pacer().due();
    }
    world.up.tap = [this](Instant, const net::Packet& packet, const net::TcpView&) {
      note(packet.flow);
    };
  }
  ~Watch() { world_.up.tap = {}; }
  // A burst starts the next delay before its segments leave: the first one to see it tells.
  void note(uint32_t flow) {
    const tcp::Pacer& pacer = world_.connections[flow]->pacer();
    Seen& s = seen_[flow];
    if (pacer.due() == s.due) return;
    const Instant now = world_.loop.clock();
    if (is_measuring) {
      ++bursts;
      if (now < s.due) ++early;
      lateness.record(static_cast<uint64_t>(std::max<int64_t>((now - s.due).count(), 0)));
      if (s.first == Instant{}) {
        s.first = now;
        s.asked_first = pacer.asked();
      }
      s.last = now;
      s.asked_last = pacer.asked();
    }
    s.due = pacer.due();
  }
  // Over all connections: how far the time taken is from the time asked for.
  double rate_error() const {
    double asked = 0, took = 0;
    for (const Seen& s : seen_) {
      asked += to_seconds(s.asked_last - s.asked_first);
      took += to_seconds(s.last - s.first);
    }
    return std::abs(1 - asked / took);
  }

  bool is_measuring = false;
  uint64_t early = 0, bursts = 0;
  Histogram lateness;

 private:
  struct Seen {
    Instant due{}, first{}, last{};
    Duration asked_first{0}, asked_last{0};
  };
  World& world_;
  std::vector<Seen> seen_;
};

Histogram bare_jitter(Duration time) {
  auto loop = MUST(host::RealLoop::make());
  BareTimer timer(*loop);
  timer.is_measuring = true;
  loop->run_until(loop->now() + time);
  return timer.lateness;
}

void compare_lateness(Duration time) {
  constexpr int kConnections = 10'000;
  constexpr Rate kRate = 64_kbps;
  fmt::print("{:<34} {:>9} {:>8} {:>8} {:>8} {:>7} {:>9} {:>6}\n", "10,000 paced, real time",
             "bursts/s", "p50 us", "p99 us", "max us", "early", "rate err", "CPU");
  const auto show_bare = [&] {
    const Histogram h = bare_jitter(3s);
    fmt::print("{:<34} {:>9} {:>8.1f} {:>8.1f} {:>8.0f}\n", "a bare timer of the loop", "",
               us(h, 0.5), us(h, 0.99), us(h, 1));
  };
  show_bare();
  for (const bool precise : {false, true}) {
    auto loop = MUST(host::RealLoop::make());
    World world(*loop, 1ms);
    if (precise) world.set_precise();
    Ends senders(32'768), receivers(0);
    world.connect(kConnections, senders, receivers,
                  [&](tcp::Connection& c) { c.set_pace_rate(kRate); });
    Watch watch(world);
    loop->run_until(loop->now() + 2s);
    watch.is_measuring = true;
    const double cpu = cpu_seconds();
    loop->run_until(loop->now() + time);
    const double used = cpu_seconds() - cpu;
    watch.is_measuring = false;
    const double p50 = us(watch.lateness, 0.5), p99 = us(watch.lateness, 0.99);
    const double error = watch.rate_error();
    fmt::print(
        "{:<34} {:>9.0f} {:>8.1f} {:>8.1f} {:>8.0f} {:>7} {:>7.4f} % {:>4.0f} % {}\n",
        precise ? "precise wheel" : "FreeBSD's wheel",
        static_cast<double>(watch.bursts) / to_seconds(time), p50, p99, us(watch.lateness, 1),
        watch.early, 100 * error, 100 * used / to_seconds(time),
        precise ? verdict(p50 <= 50 && p99 <= 250 && error <= 0.001 && watch.early == 0) : "");
  }
  show_bare();
}

// One burst each ten seconds of every connection, spread evenly.
class Sparse {
 public:
  Sparse(World& world, Ends& ends)
      : world_(world), ends_(ends), timer_(world.loop, [this] { next(); }) {
    timer_.arm(world.loop.now());
  }
  void next() {
    ends_.send(*world_.connections[at_++ % world_.connections.size()]);
    timer_.arm(timer_due_ = std::max(timer_due_, world_.loop.now()) + gap());
  }

 private:
  Duration gap() const { return Duration(10s) / static_cast<int64_t>(world_.connections.size()); }
  World& world_;
  Ends& ends_;
  Timer timer_;
  Instant timer_due_{};
  size_t at_ = 0;
};

struct Idle {
  double bytes = 0, ns_per_second = 0;
};

Idle measure_idle(Loop& loop, int n, Duration time) {
  const double before = heap_bytes();
  World world(loop, 1ms);
  Ends senders(2896), receivers(0);
  Ends nobody(0);
  world.connect(n, nobody, receivers, [](tcp::Connection& c) { c.set_pace_rate(1_Mbps); });
  Idle idle;
  idle.bytes = (heap_bytes() - before) / n / 2;  // Both ends are here.
  Sparse sparse(world, senders);
  loop.run_until(loop.now() + 2s);
  const double cpu = cpu_seconds();
  loop.run_until(loop.now() + time);
  idle.ns_per_second = (cpu_seconds() - cpu) * 1e9 / n / to_seconds(time) / 2;
  return idle;
}

void compare_idle(Duration time) {
  fmt::print("\n{:<34} {:>14} {:>22}\n", "mostly idle, paced", "bytes each",
             "ns of CPU a second each");
  for (const bool is_real : {false, true}) {
    Idle few;
    for (const int n : {1'000, 100'000}) {
      std::unique_ptr<Loop> loop;
      if (is_real) {
        loop = MUST(host::RealLoop::make());
      } else {
        loop = std::make_unique<VirtualLoop>();
      }
      const Idle idle = measure_idle(*loop, n, time);
      fmt::print("{:<34} {:>14.0f} {:>22.0f}",
                 fmt::format("{} in {} time", n, is_real ? "real" : "virtual"), idle.bytes,
                 idle.ns_per_second);
      if (n == 1'000) {
        few = idle;
        fmt::print("\n");
      } else {
        fmt::print("   {:.2f} x and {:.2f} x those of 1000\n", idle.bytes / few.bytes,
                   idle.ns_per_second / few.ns_per_second);
      }
    }
  }
}

}  // namespace

int main(int argc, char** argv) {
  const double seconds = argc > 1 ? std::atof(argv[1]) : 10;
  const auto time = Duration(static_cast<int64_t>(seconds * 1e9));
  compare_lateness(time);
  compare_idle(time);
  return all_reached ? 0 : 1;
}
