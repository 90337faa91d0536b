#include "router/workers.h"

#include <condition_variable>
#include <deque>
#include <mutex>
#include <thread>

#include "host/system.h"
#include "net/handoff_ring.h"

namespace wh::router {

using net::IpAddress;
using net::Packet;
using vnet::HandoffTo;

// A worker's ports: packet sockets, of which it reads a share of the frames of each or all of some,
// and the main thread's devices.
class Workers::QueuePorts final : public Ports {
 public:
  // What could not be opened goes to `problem`; the main thread's device stands in then, so that
  // interfaces keep the numbers they have in the main router.
  QueuePorts(host::RealLoop& loop, std::optional<Error>& problem, uint32_t number,
             const Options& options)
      : loop_(loop), problem_(problem), sockets_(loop, HostPorts::Receive::Share) {
    if (options.placement == Placement::Interface) turns_ = Turns{number - 1, options.count};
  }

  Result<std::unique_ptr<net::Interface>> open(const PortSpec& spec,
                                               net::PacketPool& pool) override {
    if (spec.kind != PortSpec::Kind::Tap) {
      if (turns_) sockets_.set_receive(turns_->next());
      auto opened = sockets_.open(spec, pool);
      if (opened) return opened;
      problem_ = std::move(opened.error());
    }
    auto config = describe(spec);
    // The main thread sees to what its device does not do.
    return std::make_unique<vnet::HandoffInterface>(
        net::Interface::Config{.name = spec.name(),
                               .mac = config ? config->mac : net::MacAddress{},
                               .mtu = config ? config->mtu : 1500,
                               .checksum_offload = true,
                               .max_gso = 0xffff},
        loop_);
  }
  Result<net::Interface::Config> describe(const PortSpec& spec) override {
    return sockets_.describe(spec);
  }

 private:
  // Every worker opens the same links in the same order, and each reads those at its turn.
  struct Turns {
    uint32_t left, workers;
    HostPorts::Receive next() {
      const bool is_mine = left == 0;
      left = is_mine ? workers - 1 : left - 1;
      return is_mine ? HostPorts::Receive::All : HostPorts::Receive::None;
    }
  };

  host::RealLoop& loop_;
  std::optional<Error>& problem_;
  HostPorts sockets_;
  std::optional<Turns> turns_;
};

class Workers::Worker final : public vnet::Handoff {
 public:
  using Task = std::function<void(Router&, CommandLine&)>;

  Worker(uint32_t number, const Options& options, std::unique_ptr<host::RealLoop> loop,
         Workers& owner)
      : owner_(owner), loop_(std::move(loop)) {
    thread_ = std::thread([this, number, options] { run(number, options); });
  }
  // The router goes in its own thread.
  ~Worker() override {
    post([this](Router&, CommandLine&) { loop_->stop(); });
    thread_.join();
  }

  // --- from the main thread ---
  // Waits while too much is waiting.
  void post(Task task) {
    std::unique_lock lock(mutex_);
    has_room_.wait(lock, [this] { return tasks_.size() < kMostTasks; });
    tasks_.push_back(std::move(task));
    lock.unlock();
    loop_->wake();
  }
  void call(const Task& task) {
    bool is_done = false;
    post([&](Router& router, CommandLine& line) {
      task(router, line);
      const std::lock_guard lock(mutex_);
      is_done = true;
      done_.notify_one();
    });
    std::unique_lock lock(mutex_);
    done_.wait(lock, [&] { return is_done; });
  }
  // In a task: what the command before could not open.
  Result<void> check() {
    if (!problem_) return {};
    return tl::unexpected(*std::exchange(problem_, std::nullopt));
  }
  // At most a frame's worth. False when nothing is left.
  bool take_over(Router& main) {
    net::PacketPtr packet;
    uint8_t to = 0;
    for (uint32_t n = 0; n < net::Frame::kCapacity && (packet = ring_.pop(main.pool(), to)); ++n) {
      vnet::take_over(main.vnet(), std::move(packet), static_cast<HandoffTo>(to));
    }
    std::deque<Use> uses;
    {
      const std::lock_guard lock(mutex_);
      uses.swap(uses_);
    }
    for (const Use& use : uses) vnet::note_neighbour_use(main.vnet(), use.interface, use.address);
    main.vnet().graph().run();
    return !ring_.is_empty();
  }

 private:
  static constexpr size_t kMostTasks = 1024;
  static constexpr size_t kMostUses = 65'536;
  struct Use {
    uint16_t interface;
    IpAddress address;
  };

  // --- in the worker's thread ---
  void run(uint32_t number, const Options& options) {
    // Tried before; one that was taken from us since leaves it where it is.
    if (!options.cores.empty()) (void)host::run_on_core(options.cores[number - 1]);
    const std::unique_ptr<Ports> ports =
        options.ports ? options.ports(number, *loop_)
                      : std::make_unique<QueuePorts>(*loop_, problem_, number, options);
    Router router({.cycles = options.cycles,
                   .wall = options.wall,
                   .seed = options.seed + number,
                   .thread = number,
                   .handoff = this},
                  *loop_, *ports);
    router.set_plugin_path(options.plugin_path);
    CommandLine line(router);
    loop_->on_wake([&] { do_tasks(router, line); });
    loop_->run();
    loop_->on_wake({});
  }
  void do_tasks(Router& router, CommandLine& line) {
    std::deque<Task> tasks;
    {
      const std::lock_guard lock(mutex_);
      tasks.swap(tasks_);
    }
    has_room_.notify_one();
    for (const Task& task : tasks) task(router, line);
  }
  bool take(const Packet& packet, HandoffTo to) override {
    const bool taken = ring_.push(packet, static_cast<uint8_t>(to));
    wake_owner();
    return taken;
  }
  void note_use(uint16_t interface, const IpAddress& address) override {
    {
      const std::lock_guard lock(mutex_);
      // One that is lost costs a question to the neighbour later.
      if (uses_.size() < kMostUses) uses_.push_back({interface, address});
    }
    wake_owner();
  }
  void wake_owner() {
    if (!owner_.is_woken_.exchange(true)) owner_.loop_.wake();
  }

  Workers& owner_;
  std::unique_ptr<host::RealLoop> loop_;
  std::optional<Error> problem_;  // What the last command could not open. The worker's thread's.
  net::HandoffRing ring_;
  std::mutex mutex_;  // Of what follows.
  std::condition_variable has_room_, done_;
  std::deque<Task> tasks_;
  std::deque<Use> uses_;
  std::thread thread_;  // Last: it uses all of this.
};

Workers::Workers(CommandLine& main, host::RealLoop& loop) : main_(main), loop_(loop) {}

Result<std::unique_ptr<Workers>> Workers::start(Options options, CommandLine& main,
                                                host::RealLoop& loop) {
  CHECK(options.count > 0 && options.count <= kMost && main.router().ports().empty());
  CHECK(options.cores.empty() || options.cores.size() == options.count);
  std::unique_ptr<Workers> made(new Workers(main, loop));
  for (uint32_t i = 1; i <= options.count; ++i) {
    made->workers_.push_back(
        std::make_unique<Worker>(i, options, TRY(host::RealLoop::make()), *made));
  }
  loop.on_wake([raw = made.get()] { raw->take_over(); });
  main.on_done(
      [raw = made.get()](std::span<const Grammar::Match> all) { return raw->repeat(all); });
  main.router().set_replicas(made.get());
  vnet::set_discoveries(main.router().vnet(), made.get());
  return made;
}

Workers::~Workers() {
  vnet::set_discoveries(main_.router().vnet(), nullptr);
  main_.router().set_replicas(nullptr);
  main_.on_done({});
  workers_.clear();  // While the main loop can still be woken.
  loop_.on_wake({});
}

void Workers::each(const std::function<void(Router&)>& look) {
  for (const auto& worker : workers_) {
    worker->call([&](Router& router, CommandLine&) { look(router); });
  }
}

// One after another: sockets of a link join their group in the same order everywhere, so that both
// ways of a flow come to one worker.
Result<void> Workers::repeat(std::span<const Grammar::Match> all) {
  Result<void> result;
  for (size_t i = 0; i < workers_.size(); ++i) {
    workers_[i]->call([&](Router&, CommandLine& line) {
      for (const Grammar::Match& match : all) {
        auto done = line.repeat(match);
        if (done) done = workers_[i]->check();
        if (!done && result) {
          result = tl::unexpected(
              std::move(done.error()).within(fmt::format("done, but not by worker {}", i)));
        }
      }
    });
  }
  return result;
}

void Workers::post(std::function<void(Router&)> task) {
  for (const auto& worker : workers_) {
    worker->post([task](Router& router, CommandLine&) { task(router); });
  }
}

void Workers::take_over() {
  is_woken_.store(false);
  bool is_more = false;
  for (const auto& worker : workers_) is_more = worker->take_over(main_.router()) || is_more;
  if (is_more && !is_woken_.exchange(true)) loop_.wake();
}

// What is in the rings now; more may come meanwhile.
void Workers::settle() {
  constexpr size_t kFrames = net::HandoffRing::kMostPackets / net::Frame::kCapacity + 1;
  for (const auto& worker : workers_) {
    for (size_t i = 0; i < kFrames && worker->take_over(main_.router()); ++i) continue;
  }
}

void Workers::neighbour(uint16_t interface, const IpAddress& address,
                        const std::optional<net::MacAddress>& mac) {
  post([=](Router& r) { vnet::mirror_neighbour(r.vnet(), interface, address, mac); });
}

void Workers::address(uint16_t interface, const net::Prefix& prefix, bool is_there) {
  post([=](Router& r) { vnet::mirror_address(r.vnet(), interface, prefix, is_there); });
}

void Workers::default_router(uint16_t interface, net::Ip4 router, bool is_there) {
  post([=](Router& r) { vnet::mirror_default_router(r.vnet(), interface, router, is_there); });
}

}  // namespace wh::router
