// Programs of this machine on our TCP: connections that our stack accepts go on to a program's
// socket, and connections that a program makes to us go out through our stack.
//
//   remote --(TAP, through an emulated link if asked)--> our TCP :5201 ==> 127.0.0.1:5201 program
//   program ==> 127.0.0.1:5202 ==> our TCP --(the same way)--> remote
//
// A TAP device in this process' network namespace joins the kernel (the remote end, or the router
// to it) with a host of ours, whose default routes lead to the kernel. Every connection is one
// Relay. Goes away whole with this object.
#pragma once

#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "host/real_loop.h"
#include "host/stream.h"
#include "host/tap.h"
#include "lab/connection_log.h"
#include "lab/host.h"
#include "lab/kernel_host.h"
#include "lab/relay.h"
#include "lab/spec.h"
#include "lab/trace_folder.h"
#include "net/link/link.h"

namespace wh::lab {

struct Forward {
  uint16_t port = 0;  // Where connections come.
  tcp::Endpoint to;   // Where they go on to.
};
// "5201=127.0.0.1:5201", "80=[::1]:8080"; a bare port means the same port of 127.0.0.1.
Result<Forward> parse_forward(std::string_view text);

class Proxy {
 public:
  struct Config {
    std::string device = "wh0";
    // Of our host and of the kernel's side of the device, pairwise in one network.
    std::vector<net::Prefix> ours, kernels;
    std::optional<net::LinkConfig> link;  // Between the two, from us to the kernel; none: a wire.
    std::vector<Forward> serve;           // Accepted by our TCP, for programs' sockets.
    std::vector<Forward> reach;           // Accepted on 127.0.0.1, for our TCP to connect.
    // How our side sends: control ("" for the stack's default), rate, profile, FCC.
    FlowSpec flow = {.cc = ""};
    std::vector<std::string> sysctls;
    std::string log;    // A line here for each connection that has ended; "" for none.
    std::string trace;  // Black boxes into this folder, a file for each port; "" for none.
    uint64_t seed = 1;  // Of the link's chances; of our side's secrets no seed is known.
  };
  struct Totals {
    uint64_t connections = 0, open = 0, refused = 0;
    uint64_t to_network = 0, to_program = 0;  // Bytes of relays that have ended.
  };

  // Errors: no right to make the device, a name or an address or a port that is taken, a file that
  // cannot be written.
  static Result<std::unique_ptr<Proxy>> make(Config config, host::RealLoop& loop);
  ~Proxy();

  const Totals& totals() const { return totals_; }
  Host& host() { return *host_; }
  // Ends the connections that are open, and closes the log and the trace. Errors: the first that
  // could not be written whole. Nothing is carried afterwards.
  Result<void> finish();

 private:
  // A port of `config.serve` or `config.reach`. Its number is that of its file in the trace.
  struct Way {
    bool is_served;
    Forward forward;
    size_t number;
    std::string_view side() const { return is_served ? "serve" : "reach"; }
  };
  struct Carried {
    const Way& way;
    Instant began;
    std::unique_ptr<Relay> relay = nullptr;
  };
  Proxy(Config config, host::RealLoop& loop);
  Result<void> open_books();
  Result<void> join_kernel();
  Result<void> serve(const Way& way);
  Result<void> reach(const Way& way);
  void accept(tcp::Connection& connection, const Way& way);
  void connect(host::Fd program, const Way& way);
  void prepare(tcp::Connection& connection, const Way& way);
  Carried& add(const Way& way);
  void refuse(Carried& carried, tcp::Connection* connection);
  void ended(Carried& carried);
  void forget(Carried& carried);

  Config config_;
  host::RealLoop& loop_;
  const Instant started_;
  std::vector<Way> ways_;
  std::unique_ptr<ConnectionLog> log_;
  std::unique_ptr<TraceFolder> trace_;  // Outlives the connections that write to it.
  Random random_;
  net::PacketPool pool_;
  net::ChunkPool chunks_;
  std::unique_ptr<host::TapInterface> tap_;
  std::unique_ptr<net::Link> link_;
  std::unique_ptr<Patch> patch_;  // Goes before what it joins.
  std::unique_ptr<Host> host_;
  std::vector<std::unique_ptr<host::Listener>> listeners_;
  std::vector<std::unique_ptr<Carried>> carried_, ended_;
  Timer bury_;  // What has ended goes when nobody is in it any more.
  Totals totals_;
};

}  // namespace wh::lab
