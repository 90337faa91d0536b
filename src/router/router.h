// A router: a vnet, the ports it owns, and what its users set and ask.
//
// This and vnet::Vnet are the C++ API. The command line, the JSON socket and a saved configuration
// are three ways to say commands (router/command.h), and a command does nothing but call these.
//
//   Router router({}, loop, ports);
//   auto name = TRY(router.create_port({.kind = PortSpec::Kind::Netmap, .link = "epair0a"}));
//   TRY(router.vnet().add_address(TRY(router.index_of(name)), prefix));
//
// Ownership: the loop and the ports' source outlive it. Threads: belongs to its loop.
#pragma once

#include <map>
#include <memory>
#include <string>
#include <vector>

#include "host/library.h"
#include "router/pcap_trace.h"
#include "router/ports.h"
#include "vnet/vnet.h"

namespace wh::router {

class LocalApps;

class Router {
 public:
  struct Config {
    graph::CycleCounter cycles = {};   // For the clocks of `show runtime`.
    WallClock wall = {};               // For captures; none in virtual time.
    uint64_t seed = 1;                 // Of identifiers and timers' spread.
    uint32_t thread = 0;               // 0: the router that commands are given to; else a worker's.
    vnet::Handoff* handoff = nullptr;  // Of a worker's.
  };
  Router(Config config, Loop& loop, Ports& ports);
  ~Router();
  Router(const Router&) = delete;
  Router& operator=(const Router&) = delete;

  vnet::Vnet& vnet() { return vnet_; }
  const vnet::Vnet& vnet() const { return vnet_; }
  net::PacketPool& pool() { return pool_; }
  const net::PacketPool& pool() const { return pool_; }
  Loop& loop() { return loop_; }
  Ports& source() { return source_; }

  // --- ports ---
  static constexpr auto kFirstRxMode = host::RxMode::Adaptive;
  struct Port {
    PortSpec spec;
    uint16_t index = 0;  // Of its interface.
    std::unique_ptr<net::Interface> device;
    bool is_open() const;  // Whether its Linux interface is still there.
    // Whether it has a cable with somebody at the other end, as far as can be told.
    bool has_carrier() const;
    bool was_up = false;  // When that went: it is down since, but was set up.
    host::RxMode rx_mode = kFirstRxMode;
  };
  // Its interface begins down. Returns the interface's name. Errors: as Ports::open; the name is
  // in use, or the Linux interface is, by a port that is here.
  Result<std::string> create_port(PortSpec spec);
  // With its addresses and routes. Errors: no port has this name.
  Result<void> delete_port(std::string_view name);
  const std::vector<std::unique_ptr<Port>>& ports() const { return ports_list_; }
  const Port* port(uint16_t index) const;
  Port* port(uint16_t index) { return const_cast<Port*>(std::as_const(*this).port(index)); }
  uint32_t free_tap_number() const;
  // What its loop does when there is nothing to read. Error: it is no port.
  Result<void> set_rx_mode(uint16_t index, host::RxMode mode);

  // --- interfaces whose medium is inside; they begin down, too ---
  // As VirtualInterfaces::add_loopback and add_sub, which own them. The interface's name. A
  // sub-interface's MTU begins as its port's did, less what its tags take of that.
  Result<std::string> create_loopback(uint32_t number, const net::MacAddress& mac = {});
  Result<std::string> create_sub(uint16_t parent, const vnet::SubInterfaceConfig& config);
  // Errors: it is a port.
  Result<void> delete_virtual(uint16_t index);
  uint32_t free_loopback_number() const;

  // As Vnet::set_mtu. Error: beyond what its link carries, which would lose what does not fit. A
  // loopback's may be any. While the link carries less, so does the interface.
  Result<void> set_mtu(uint16_t index, uint32_t mtu);
  // The MTU that an interface has when none is set: its link's, followed where that changes, or
  // what it began with. REQUIRES: it is a port or was created here.
  uint32_t first_mtu(uint16_t index) const { return first_mtus_.at(index); }
  // The one that is set, whether or not the link carries it now; first_mtu() when none is.
  uint32_t wanted_mtu(uint16_t index) const {
    const auto set = set_mtus_.find(index);
    return set == set_mtus_.end() ? first_mtu(index) : set->second;
  }
  // Error: no interface has it, with the nearest name.
  Result<uint16_t> index_of(std::string_view name) const { return vnet_.interfaces().find(name); }

  // As Vnet::add_address; with its first IPv6 address an interface gets a link-local one, unless
  // that is one. Which address comes first is the same however it came to what is set: those that
  // are given in their order, before leased ones.
  Result<void> add_address(uint16_t index, const net::Prefix& prefix);
  // As Vnet::remove_address. Error: it is the link-local one that came with others.
  Result<void> remove_address(uint16_t index, const net::IpAddress& address);
  // That address: made of its MAC address, and of a sub-interface's number, for sub-interfaces and
  // their port have one MAC address.
  net::Ip6 link_local(uint16_t index) const;

  // What devices lost, each with the reason: NAME-rx and NAME-tx in place of a node.
  struct DeviceDrop {
    std::string node, name, reason;
    graph::Severity severity = graph::Severity::Error;
    uint64_t count = 0;  // Since clear_errors(), not 0.
  };
  std::vector<DeviceDrop> device_drops() const;
  // The graph's counts and these begin anew.
  void clear_errors();

  // Tunables as they were when the router was made.
  const std::map<std::string, std::string>& first_tunables() const { return first_tunables_; }

  // TCP and UDP programs at the router's own addresses.
  LocalApps& apps() { return *apps_; }
  const LocalApps& apps() const { return *apps_; }

  PcapTrace& pcap() { return pcap_; }
  const PcapTrace& pcap() const { return pcap_; }

  // --- plugins: shared objects with nodes (router/plugin.h) ---
  // Loads one, which stays. A name without a slash is looked for in the plugin path, another from
  // the working directory on. Errors: it cannot be loaded, is no node plugin, was built for another
  // ABI, or cannot be started beside what there is; it is loaded already.
  Result<void> load_plugin(const std::string& name);
  bool has_plugin(const std::string& name) const;
  void set_plugin_path(std::string path) { plugin_path_ = std::move(path); }
  const std::vector<std::shared_ptr<host::Library>>& plugins() const { return plugins_; }
  // The same nodes here that another router has loaded, and its plugin path.
  void share_plugins(const Router& other);

  // --- the workers' routers, which forward as this one is set (router/workers.h) ---
  class Replicas {
   public:
    virtual ~Replicas() = default;
    // Calls `look` with each, in its own thread, one after another, and returns when it is done.
    virtual void each(const std::function<void(Router&)>& look) = 0;
    // Works on what they have left to this router.
    virtual void settle() = 0;
  };
  void set_replicas(Replicas* replicas) { replicas_ = replicas; }
  bool has_replicas() const { return replicas_ != nullptr; }
  // Calls `look` with this router and then with each replica.
  void for_all(const std::function<void(const Router&)>& look) const {
    look(*this);
    if (replicas_ != nullptr) replicas_->each([&](Router& r) { look(r); });
  }
  // The same with what may change them.
  void each(const std::function<void(Router&)>& act) {
    act(*this);
    if (replicas_ != nullptr) replicas_->each(act);
  }
  uint32_t thread() const { return thread_; }

  // --- what is to happen when it ends ---
  void on_quit(std::function<void()> action) { on_quit_ = std::move(action); }
  void quit() {
    if (on_quit_) on_quit_();
  }

 private:
  Loop& loop_;
  Ports& source_;
  net::PacketPool pool_;
  std::vector<std::shared_ptr<host::Library>> plugins_;  // Go after the nodes made of them.
  std::vector<std::unique_ptr<Port>> ports_list_;  // Go after the vnet that has their devices.
  vnet::Vnet vnet_;
  std::unique_ptr<LocalApps> apps_;
  PcapTrace pcap_;
  std::map<uint16_t, uint32_t> first_mtus_, set_mtus_;  // By index.
  std::map<std::string, std::string> first_tunables_;
  std::string plugin_path_;
  std::function<void()> on_quit_;
  uint32_t thread_;
  std::map<std::string, uint64_t> drops_cleared_;  // By device_losses()'s names.
  Replicas* replicas_ = nullptr;

  std::vector<std::pair<std::string, DeviceDrop>> device_losses() const;
  std::string plugin_file(const std::string& name) const;  // Its absolute path.
  void settle();
  void mind_link_local(uint16_t index);
  std::string begin(uint16_t index, uint32_t mtu);
  void forget(uint16_t index);
  void follow_link(const Port& port);
  void follow_mtu(uint16_t index, uint32_t first);
  Result<void> try_plugin(const std::shared_ptr<host::Library>& library) const;
  void start_plugin(std::shared_ptr<host::Library> library);
};

}  // namespace wh::router
