// A topology, built: its hosts and the links between them on one loop, in virtual or in real time.
//
//   auto world = TRY(World::build(topology, loop, &real_loop));
//   TRY(world->start_programs());
//   for (const CheckSpec& check : topology.checks) world->hold(check);
//
// A vnet is a lab::Host, a router a router::Router with its command line, a jail a jail::Jail that
// dies with this process. A link without impairments between two jails is an epair; any other is a
// net::Link in this process, with a TAP device in each jail that it ends in, so the loop must run
// for packets to pass. Everything goes when the world does, or its process, by whatever signal.
#pragma once

#include <map>
#include <memory>
#include <string>
#include <vector>

#include "host/netns.h"
#include "host/tap.h"
#include "jail/jail.h"
#include "lab/flow.h"
#include "lab/host.h"
#include "lab/kernel_host.h"
#include "lab/stream.h"
#include "lab/topology.h"
#include "net/link/link.h"
#include "router/server.h"

namespace wh::lab {

class World {
 public:
  // `real` is the loop when it is a real one; nullptr in virtual time. REQUIRES: real when the
  // topology is. Errors: what could not be made and why; nothing is left then.
  static Result<std::unique_ptr<World>> build(Topology topology, Loop& loop, host::RealLoop* real);
  ~World();
  World(const World&) = delete;
  World& operator=(const World&) = delete;

  const Topology& topology() const { return topology_; }
  // One after the other, each once the one before is ready. Errors: one ended or was not ready in
  // its time, with what it printed.
  Result<void> start_programs();
  // Waits until the check holds. Errors: it did not within its time, and what was seen instead.
  Result<void> hold(const CheckSpec& check);
  // Routers take commands at FOLDER/HOST.sock.
  Result<void> listen(const std::string& folder);

 private:
  struct RouterPlace {
    std::unique_ptr<router::Ports> ports;
    std::unique_ptr<router::Router> router;
    std::unique_ptr<router::CommandLine> line;
    std::unique_ptr<router::Server> server;
  };
  struct JailPlace {
    jail::Jail jail;
    host::Netns space;
    host::Rtnetlink netlink;
  };
  struct Cable {
    std::unique_ptr<net::Link> link;
    std::vector<std::unique_ptr<host::TapInterface>> taps;
    std::vector<std::unique_ptr<Patch>> patches;
  };
  struct Program {
    pid_t pid = -1;
    host::Fd output;
  };

  World(Topology topology, Loop& loop, host::RealLoop* real);
  Result<void> build_all();
  Result<void> build_host(const PlaceSpec& spec);
  Result<void> build_link(const CableSpec& spec);
  Result<void> lay_epair(const CableSpec& spec);
  Result<void> attach(const CableEnd& end, net::Interface& port, Cable& cable);
  Result<void> give_device(const DeviceSpec& spec);
  Result<void> set_up(const PlaceSpec& spec);
  Result<void> build_flow(const FlowSpec& flow, std::string name);
  vnet::Vnet* stack_of(const std::string& host);  // Of a vnet or a router; nullptr of a jail.

  // Runs the loop until the condition holds or the time is over; yields whether it does.
  bool run_until(const std::function<bool()>& condition, Instant deadline);
  Result<Program> start(const std::string& host, const std::string& command);
  Result<void> hold_ping(const CheckSpec& check);
  Result<void> hold_command(const CheckSpec& check);
  Result<void> hold_flow(const CheckSpec& check);

  Topology topology_;
  Loop& loop_;
  host::RealLoop* real_;
  Random random_;
  Pattern bytes_;
  Instant started_;  // When all was built.
  net::PacketPool pool_;
  uint32_t next_mac_ = 1;
  std::optional<host::Netns> staging_;  // Where epairs are made before they move to their jails.
  std::vector<Cable> cables_;
  std::map<std::string, std::unique_ptr<Host>> vnets_;
  std::map<std::string, RouterPlace> routers_;
  std::map<std::string, JailPlace> jails_;
  std::vector<std::pair<vnet::Vnet*, uint16_t>> attached_;
  std::vector<std::unique_ptr<Flow>> flows_;
  std::vector<Program> programs_;
};

}  // namespace wh::lab
