// The TCP of one network stack instance: who gets a segment, who may listen where, and when output
// is considered.
//
// Segments come in frames. Each is checked, found its connection by the four-tuple, and processed;
// only when the whole frame has been processed is output considered, once for each connection that
// the frame touched. The application's verbs and the wheel's calls work in the same way: all happen
// within a Batch, and the end of the outermost Batch (1) lets marked connections output, (2) tells
// applications what changed, and repeats both until nothing is left, (3) hands the segments that
// were built to IP, (4) ticks the soft timer, once.
//
// Ownership: owns its connections and listeners; the IpService and the wheel must outlive it.
// Bounded: connections by net.inet.tcp.maxtcpcb, handshakes by each listener's backlog.
#pragma once

#include <map>
#include <memory>
#include <string>
#include <vector>

#include "core/random.h"
#include "net/ip_service.h"
#include "pacing/hpts.h"
#include "tcp/black_box.h"
#include "tcp/connection.h"
#include "tcp/connection_table.h"
#include "tcp/cookies.h"
#include "tcp/counters.h"
#include "tcp/idle_timers.h"
#include "tcp/listener.h"
#include "tcp/scarce_ports.h"
#include "tcp/tunables.h"

namespace wh::tcp {

class TcpStack final : public net::IpProtocol {
 public:
  // Registers itself with `ip` for TCP and its sysctls in ip.sysctl().
  TcpStack(net::IpService& ip, pacing::Hpts& wheel);
  ~TcpStack() override;
  TcpStack(const TcpStack&) = delete;
  TcpStack& operator=(const TcpStack&) = delete;

  struct ConnectOptions {
    Endpoint local;  // Unspecified parts are chosen: the route's source, a free port.
    ConnectionObserver* observer = nullptr;
    std::string congestion;  // "" for the default (net.inet.tcp.cc.algorithm).
    std::function<void(Connection&)> on_create = {};  // To set options before the SYN leaves.
  };
  // Errors: network_unreachable; address_in_use; address_not_available (no port is free); an
  // unknown congestion control; not_enough_memory (connection limit).
  Result<Connection*> connect(const Endpoint& remote, const ConnectOptions& options);
  // Errors: address_in_use; address_not_available.
  Result<Listener*> listen(Listener::Config config);

  void input(net::Frame&& frame) override;
  void error(const net::IpError& error) override;
  Result<void> leave_table(uint16_t table) override;

  void add_congestion(std::string name, CongestionFactory factory);
  Result<std::unique_ptr<CongestionControl>> make_congestion(std::string_view name) const;

  Tunables& tunables() { return tunables_; }
  const Tunables& tunables() const { return tunables_; }
  Counters& counters() { return counters_; }
  const Counters& counters() const { return counters_; }
  pacing::Hpts& wheel() { return wheel_; }
  const IdleTimers& idle_timers() const { return idle_timers_; }
  size_t connections() const { return table_.size(); }
  size_t peers_short_of_ports() const { return scarce_ports_.peers(); }
  template <class Fn>
  void for_each(Fn fn) {
    for (Connection* c = all_.front(); c != nullptr;) {
      Connection* next = all_.next(*c);
      fn(*c);
      c = next;
    }
  }
  // Every connection's invariants and the table's own.
  void check_invariants();

  // Output is considered when the outermost Batch ends. Cheap; nest them freely.
  class Batch {
   public:
    explicit Batch(TcpStack& stack) : stack_(stack) { ++stack_.depth_; }
    ~Batch() {
      if (stack_.depth_ == 1) stack_.settle();
      --stack_.depth_;
    }
    Batch(const Batch&) = delete;
    Batch& operator=(const Batch&) = delete;

   private:
    TcpStack& stack_;
  };

 private:
  friend class Connection;
  friend class Listener;

  // demux.cc: segments to connections.
  bool read_segment(net::Packet& packet, Segment& segment);
  void deliver(const Segment& s);
  void answer_with_reset(const Segment& s);
  bool reopen(Connection& old, const Segment& s);
  void open(Listener& listener, const Segment& s, const net::Route& route, SeqNum iss);
  void answer_syn(Listener& listener, const Segment& s);
  void answer_cookie(Listener& listener, const Segment& s);
  Connection* find(const Endpoint& local, const Endpoint& remote);
  void turn_to(Connection& c);
  Listener* find_listener(const Endpoint& local) const;
  void add(Connection& c);
  void remove(Connection& c);

  // stack_facts.cc
  std::string congestion_table();
  void add_facts();
  void remove_facts();

  // stack.cc
  std::unique_ptr<Connection> make(const Endpoint& local, const Endpoint& remote,
                                   const net::Route& route, const std::string& congestion);
  Result<uint16_t> choose_port(const Endpoint& local, const Endpoint& remote);
  bool is_taken(const Endpoint& local, uint16_t port, const Endpoint& remote) const;
  const ScarcePorts::Ports& note_ports(const Endpoint& local, const Endpoint& remote);
  SeqNum initial_sequence(const Endpoint& local, const Endpoint& remote) const;
  uint32_t timestamp_offset(const Endpoint& local, const Endpoint& remote) const;
  uint64_t keyed_hash(const Endpoint& local, const Endpoint& remote, uint64_t salt) const;
  void mark(Connection& c);  // It wants output or has something to tell.
  void bury(Connection& c);  // To be destroyed when the batch ends.
  void settle();
  void flush();
  void close_listener(Listener& listener);
  uint8_t receive_scale() const;
  net::PacketPtr packet();           // Null, and counted, when the pool is empty.
  void send(net::PacketPtr packet);  // Leaves when the batch ends.
  void send(net::Frame&& packets);
  void send_stray(const Endpoint& local, const Endpoint& remote,
                  const HeaderTemplate::Fields& fields, const net::TcpOptions& options);
  // The time of what is being handled: an event of the loop, or a call of the wheel, which comes
  // later where handling takes time. It does not go back.
  Instant now() const { return std::max(loop_.now(), called_at_); }

  net::IpService& ip_;
  Loop& loop_;  // ip_'s: asked for the time many times a segment.
  pacing::Hpts& wheel_;
  Tunables tunables_;
  Counters counters_;
  SendEntryPool entries_;
  IdleTimers idle_timers_;
  SipKey key_;
  CookieJar cookies_;
  std::map<std::string, CongestionFactory, std::less<>> congestion_;
  int depth_ = 0;
  Instant called_at_{};                     // When the wheel last called a connection.
  std::vector<net::Frame> out_, flushing_;  // Built in this batch; on their way to IP.

  ConnectionTable table_;
  ScarcePorts scarce_ports_;
  Connection* last_found_ = nullptr;                     // Or last written to: its memory is near.
  IntrusiveList<Connection, &Connection::in_all_> all_;  // In the table.
  IntrusiveList<Connection, &Connection::in_all_> ended_;  // Closed, and not yet given up.
  IntrusiveList<Connection, &Connection::in_batch_> batch_;
  std::vector<Connection*> buried_;
  std::map<Endpoint, std::unique_ptr<Listener>> listeners_;
  std::vector<std::unique_ptr<Listener>> closed_listeners_;
  IntrusiveList<Listener, &Listener::in_ready_> ready_listeners_;
};

}  // namespace wh::tcp

#include "tcp/figures.h"  // Connection's, which are the stack's in part.
