// The vector engine: nodes joined by name, and the dispatch that moves frames of packets through
// them.
//
//   enqueue(frame) --> [node A] --arc 1--> [node B] --arc 1--> [node C] ...
//                          \---arc 0 (error-drop): counted with node and reason
//
// Model. Each node has at most one open frame that packets are appended to. Frames wait in one
// queue; run() takes the first, closes it, calls its node and spreads the packets over the open
// frames of the next nodes, until nothing waits. So packets that arrive together stay together, and
// what several nodes send to one is worked on as one vector: a node's code and tables are in the
// cache for all of it. A batch whose packets all go to one idle node hands its frame on without
// touching the packets, and past the queue when that is empty. Frames are used again, never freed.
//
// Books. Per node: calls, vectors (packets), clocks, suspends; per reason: a count; per traced
// packet: each node's own account. Clocks come from the counter given at construction; without one
// (virtual time) they are zero. Tracing costs one test per batch when it is off. graph/show.h makes
// tables of all this.
//
// Bounds: `max_pending_frames` frames wait at once; what would need one more is dropped and counted
// in overflow_drops(). Traces: kMaxTraces packets, kMaxRecords accounts of each. Threads: belongs
// to its loop. Nothing here is global: a graph belongs to one vnet.
#pragma once

#include <deque>
#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "core/loop.h"
#include "core/result.h"
#include "graph/node.h"

namespace wh::graph {

// The engine's books of one node.
struct NodeRuntime {
  std::unique_ptr<Node> node;
  net::Frame* open = nullptr;      // The waiting frame that takes further packets.
  std::vector<NodeIndex> arcs;     // arcs[0] is error-drop.
  std::vector<NodeIndex> targets;  // The same before inserted nodes are put in between.
  uint32_t first_error = 0;        // Of this node's reasons among all.
  uint32_t trace_credit = 0;       // Packets still to be marked for tracing here.
  uint64_t calls = 0, vectors = 0, clocks = 0, suspends = 0;
};

struct ErrorCount {
  NodeIndex node;
  uint16_t code;  // Within its node.
  uint64_t count = 0;
};

struct TraceRecord {
  Instant when;
  std::string node;  // As it was named then.
  std::string text;
};
struct PacketTrace {
  std::vector<TraceRecord> records;
  uint32_t records_lost = 0;  // Beyond kMaxRecords.
};

// Reads the processor's cycle counter. The lab's virtual runs have none; real programs bring their
// own.
using CycleCounter = std::function<uint64_t()>;

class Graph {
 public:
  static constexpr uint32_t kMaxTraces = 4096;
  static constexpr uint32_t kMaxRecords = 128;
  struct Config {
    CycleCounter cycles = {};
    size_t max_pending_frames = 4096;
  };

  explicit Graph(Loop& loop) : Graph(loop, Config{}) {}
  Graph(Loop& loop, Config config);
  ~Graph();
  Graph(const Graph&) = delete;
  Graph& operator=(const Graph&) = delete;

  // --- building ---
  // Takes the node in. REQUIRES: no node has its name.
  Node& add(std::unique_ptr<Node> node);
  // A node of kind Process: a name under which work done by timers is booked.
  NodeIndex add_process(std::string name, std::vector<ErrorSpec> errors = {});
  // A node serves something else from now on: under a name that no node has (REQUIRES), its books
  // empty. Those that declare it under the old one mean it by the new.
  void rename(NodeIndex node, const std::string& name);
  // Joins every name that a new node has declared to its node. Error: a name that no node has, with
  // the node that declared it.
  Result<void> link();
  // One more arc from `from` to the node named `to`, or the arc that already leads there. REQUIRES:
  // both exist.
  Arc add_arc(NodeIndex from, std::string_view to);

  // Puts a node, whose arc 1 leads on, before another: whatever led there leads to it, and its
  // arc 1 there. Of several before one, the first inserted comes first. Packets that are
  // enqueued at a node from outside go past what is inserted before it. Errors: it does not
  // declare itself insertable, or no next node; it is inserted already; the other is error-drop, or
  // insertable itself.
  Result<void> insert(NodeIndex node, NodeIndex before);
  // Error: it is not inserted.
  Result<void> take_out(NodeIndex node);
  struct Insertion {
    NodeIndex node, before;
  };
  const std::vector<Insertion>& insertions() const { return insertions_; }

  // --- running ---
  // Hands packets to a node; run() then works on them.
  void enqueue(NodeIndex node, net::Frame&& frame);
  void enqueue(NodeIndex node, net::PacketPtr packet);
  // Dispatches until nothing waits. Called while it runs (a node's effect came back), it returns at
  // once: the outer run does the work.
  void run();
  // enqueue() and run().
  void run(NodeIndex node, net::Frame&& frame);
  // Books the work of a process node: one suspend and the clocks that `work` takes.
  template <class Work>
  void run_process(NodeIndex index, Work work) {
    const uint64_t before = cycles();
    work();
    NodeRuntime& node = nodes_[index];
    ++node.suspends;
    node.clocks += cycles() - before;
  }
  // Books work that was done for a node before packets were handed to it: reading a device, since
  // cycles() was `before`.
  void book(NodeIndex index, uint64_t before) { nodes_[index].clocks += cycles() - before; }
  uint64_t cycles() const { return config_.cycles ? config_.cycles() : 0; }
  // Counts an event or a drop of a node outside of process().
  void count(NodeIndex node, uint16_t error, uint64_t n = 1) {
    errors_[nodes_[node].first_error + error].count += n;
  }
  // As Batch::blame, of a packet that a node kept.
  void blame(NodeIndex node, uint16_t error, net::Packet& packet) {
    note_drop(nodes_[node], error, packet);
  }
  // Ends a packet that a node kept: counted with the node's reason, then through error-drop.
  void drop(NodeIndex node, uint16_t error, net::PacketPtr packet);
  // Sees each packet that ends in error-drop, with the reason in packet.reason. Must not keep it.
  void on_drop(std::function<void(const net::Packet&)> see) { on_drop_ = std::move(see); }

  // --- tracing ---
  // The next `count` packets that come to the node are traced from there on. Errors: no such node
  // (with the nearest name), more than kMaxTraces.
  Result<void> trace_add(std::string_view node, uint32_t count);
  void clear_trace();
  const std::vector<PacketTrace>& traces() const { return traces_; }

  // --- books ---
  void clear_runtime();
  void clear_errors();
  Node* find(std::string_view name);
  // Error: no such node, with the nearest name.
  Result<NodeIndex> index_of(std::string_view name) const;
  const std::vector<NodeRuntime>& nodes() const { return nodes_; }
  const std::deque<ErrorCount>& errors() const { return errors_; }
  const ErrorSpec& error_spec(const ErrorCount& e) const {
    return nodes_[e.node].node->spec().errors[e.code];
  }
  uint64_t error_count(std::string_view node,
                       std::string_view error) const;  // 0 for an unknown one.
  // Why a packet was dropped, "ip4-input: ip4 ttl <= 1".
  std::string reason(const net::Packet& packet) const;
  uint64_t loops() const { return loops_; }            // Runs that had work.
  uint64_t vectors_in() const { return vectors_in_; }  // Packets given to nodes of kind Input.
  uint64_t drops() const { return drops_; }
  uint64_t overflow_drops() const { return overflow_drops_; }
  Instant runtime_since() const { return runtime_since_; }
  Instant started() const { return started_; }
  Loop& loop() const { return loop_; }

 private:
  friend class Batch;
  class DropNode;
  struct Pending {
    NodeIndex node = 0;
    net::Frame* frame = nullptr;
  };

  // Each node's clocks are taken, or its packets' accounts.
  bool is_watched() const { return tracing_ || config_.cycles; }
  static bool is_input(const NodeRuntime& node) {
    const NodeKind kind = node.node->spec().kind;
    return kind == NodeKind::Input || kind == NodeKind::Interrupt;
  }
  void route_arcs(NodeRuntime& node);
  void route_arcs();
  NodeIndex first_before(NodeIndex from, NodeIndex target) const;
  void make_frame();
  net::Frame* idle_frame();
  net::Frame* open_frame(NodeIndex node);
  void append(NodeIndex node, std::span<net::Packet* const> packets);
  void begin_run() {
    running_ = true;
    ++loops_;
  }
  void drain(Pending next);  // Works on it and on all that waits, and ends the run.
  Pending next_pending();
  Pending dispatch(Pending pending);
  void follow(Batch& batch);
  Pending spread(Batch& batch, net::Frame& frame);
  void compact(Batch& batch);
  void note_drop(NodeRuntime& node, uint16_t error, net::Packet& packet);
  void mark_traced(NodeRuntime& node, Batch& batch);
  void trace(const NodeRuntime& node, const net::Packet& packet);

  Loop& loop_;
  Config config_;
  std::vector<NodeRuntime> nodes_;
  std::deque<ErrorCount> errors_;  // Counts stay where they are: a sysctl may refer to one.
  size_t linked_ = 0;              // Nodes before this one are.
  std::unordered_map<std::string, NodeIndex> by_name_;
  std::vector<Insertion> insertions_;

  std::vector<std::unique_ptr<net::Frame>> frames_;  // All there are.
  std::vector<net::Frame*> idle_;
  std::vector<Pending> pending_;  // A queue: the first is at pending_head_.
  size_t pending_head_ = 0;
  bool running_ = false;

  bool tracing_ = false;
  uint32_t trace_base_ = 0;  // Traces cleared so far, so that a packet's old mark leads nowhere.
  std::vector<PacketTrace> traces_;

  std::function<void(const net::Packet&)> on_drop_;
  uint64_t loops_ = 0, vectors_in_ = 0, drops_ = 0, overflow_drops_ = 0;
  Instant started_, runtime_since_;
};

inline net::Frame Batch::take_all() {
  net::Frame all;
  all.append({packets_, size_});
  if (traced_) [[unlikely]] {
    for (uint32_t i = 0; i < size_; ++i) graph_.trace(*node_, *packets_[i]);
  }
  size_ = 0;
  arcs_[0] = kUndecided;
  return all;
}

inline void Batch::emit(net::PacketPtr packet, Arc arc) {
  net::Packet* raw = packet.release();
  if (traced_) graph_.trace(*node_, *raw);
  graph_.append(node_->arcs[arc], {&raw, 1});
}

inline void Batch::count(uint16_t error, uint64_t n) {
  graph_.errors_[node_->first_error + error].count += n;
}

inline void Batch::blame(uint32_t i, uint16_t error) {
  graph_.note_drop(*node_, error, *packets_[i]);
}

inline void Batch::drop(uint32_t i, uint16_t error) {
  blame(i, error);
  arcs_[i] = kDropArc;
}

inline net::PacketPtr Batch::take(uint32_t i) {
  CHECK(packets_[i] != nullptr);
  if (traced_) graph_.trace(*node_, *packets_[i]);
  ++taken_;
  return net::PacketPtr(std::exchange(packets_[i], nullptr));
}

}  // namespace wh::graph
