// A node: one step that packets take, and the batch of them it is given.
//
// A node declares its name, the nodes it may hand packets to (by name; their positions are its
// *arcs*) and the reasons it counts. The engine (graph/graph.h) calls process() with a batch of at
// most 256 packets; the node looks at each and says where it goes:
//
//   void Ip4Input::process(Batch& batch) {
//     for (uint32_t i = 0; i < batch.size(); ++i) {
//       if (is_sound(batch[i])) batch.send(i, kLookup); else batch.drop(i, kBadLength);
//     }
//   }
//
// Arc 0 is always error-drop, the only place where packets end for a reason; the declared names
// follow from 1. A packet that is neither sent, dropped nor taken is a bug, and a CHECK finds it.
// Sent packets are handed on after process(), in runs with one destination; a node that makes
// several packets of one takes it and emits them all in order.
//
// Ownership: the graph owns its nodes. Threads: one graph, one loop.
#pragma once

#include <cstdint>
#include <cstring>
#include <span>
#include <string>
#include <vector>

#include "net/frame.h"

namespace wh::graph {

class Graph;
struct NodeRuntime;

using NodeIndex = uint16_t;
using Arc = uint16_t;
constexpr Arc kDropArc = 0;

enum class Severity : uint8_t { Error, Warning, Info };

// Something a node counts: a reason to drop, or an event worth a number.
struct ErrorSpec {
  std::string name;  // One word, for machines: "ttl_expired".
  Severity severity = Severity::Error;
  std::string text;  // For people: "ip4 ttl <= 1".
};

enum class NodeKind : uint8_t {
  Internal,   // Called when packets are handed to it.
  Input,      // Where packets enter the graph.
  Interrupt,  // The same, from a device that is read when it says so.
  Process,    // Wakes by a timer and only uses the graph's books.
};

class Batch {
 public:
  uint32_t size() const { return size_; }
  net::Packet& operator[](uint32_t i) { return *packets_[i]; }
  // Null where one was taken.
  std::span<net::Packet* const> packets() const { return {packets_, size_}; }

  // REQUIRES (all of these): packet i was not taken.
  void send(uint32_t i, Arc arc) { arcs_[i] = arc; }
  void send_all(Arc arc) {
    arcs_[0] = arc;  // All there is, mostly, in a lab, or two: filling them needs no call.
    if (size_ > 1) arcs_[1] = arc;
    if (size_ > 2) std::fill_n(arcs_ + 2, size_ - 2, arc);
  }
  void drop(uint32_t i, uint16_t error);
  // Counts the reason and notes it on the packet, which goes on to a node that answers for it (an
  // ICMP error) and from there to error-drop.
  void blame(uint32_t i, uint16_t error);
  // The packet is the node's from now on: consumed, queued or cut up.
  net::PacketPtr take(uint32_t i);
  // All of them, of which none was taken before: nothing is left in the batch.
  net::Frame take_all();

  // A packet that was not in the batch, or was taken from it; handed on at once, ahead of what was
  // sent.
  void emit(net::PacketPtr packet, Arc arc);
  void emit_drop(net::PacketPtr packet, uint16_t error);

  // Counts an event that drops nothing.
  void count(uint16_t error, uint64_t n = 1);

 private:
  friend class Graph;
  static constexpr Arc kUndecided = 0xffff;

  Batch(Graph& graph, NodeRuntime& node, std::span<net::Packet*> packets)
      : graph_(graph),
        node_(&node),
        packets_(packets.data()),
        size_(static_cast<uint32_t>(packets.size())) {
    send_all(kUndecided);
  }

  // All packets are handed to the next node. REQUIRES: none was taken.
  void come_to(NodeRuntime& node) {
    node_ = &node;
    send_all(kUndecided);
  }
  bool is_one_way() const {
    if (size_ <= 2) return arcs_[0] == arcs_[size_ - 1];
    // The vector of arcs equals itself moved by one.
    return std::memcmp(arcs_, arcs_ + 1, (size_ - 1) * sizeof(Arc)) == 0;
  }

  Graph& graph_;
  NodeRuntime* node_;
  net::Packet** packets_;
  uint32_t size_;
  uint32_t taken_ = 0;
  bool traced_ = false;  // Some packet of this batch is being traced.
  Arc arcs_[net::Frame::kCapacity];
};

class Node {
 public:
  struct Spec {
    std::string name;
    std::vector<std::string> next;
    std::vector<ErrorSpec> errors;
    NodeKind kind = NodeKind::Internal;
    // Whether it may be put before any other (Graph::insert): it takes whatever packets come, and
    // sends what it lets pass by arc 1 as it came.
    bool is_insertable = false;
  };

  explicit Node(Spec spec) : spec_(std::move(spec)) {}
  virtual ~Node() = default;
  Node(const Node&) = delete;
  Node& operator=(const Node&) = delete;

  virtual void process(Batch& batch) = 0;
  // What this node has to say of a traced packet: lines without a final newline. Called after
  // process() for a packet that was sent or dropped, and as a packet is taken or emitted.
  virtual std::string account(const net::Packet& packet) const;

  const Spec& spec() const { return spec_; }
  const std::string& name() const { return spec_.name; }
  NodeIndex index() const { return index_; }

 private:
  friend class Graph;
  Spec spec_;
  NodeIndex index_ = 0;
};

}  // namespace wh::graph
