#include "graph/graph.h"

#include <algorithm>

#include "core/sysctl.h"
#include "net/wire/describe.h"
#include "net/wire/ethernet.h"

namespace wh::graph {

using net::Frame;
using net::Packet;
using net::PacketPtr;

std::string Node::account(const Packet& packet) const {
  return fmt::format("{} bytes, interface {}", packet.size(), packet.interface);
}

// Where packets end for a reason. The reason was counted by the node that gave it.
class Graph::DropNode final : public Node {
 public:
  explicit DropNode(Graph& graph) : Node({.name = "error-drop"}), graph_(graph) {}
  void process(Batch& batch) override;
  std::string account(const Packet& packet) const override {
    std::string text = graph_.reason(packet);
    const std::string what = describe(packet);
    if (!what.empty()) text += fmt::format("\n{}", what);
    return text + "\n" + Node::account(packet);
  }

 private:
  // Its link header was taken off, or is at data(), or there is none before the IP header.
  static std::string describe(const Packet& p) {
    const uint32_t before = std::min<uint32_t>(p.l2_size, p.headroom());
    const std::span<const uint8_t> whole{p.data() - before, p.head_size() + before};
    if (net::begins_with_ip(p)) return net::describe_ip(p);
    if (whole.size() < net::EthernetHeader::kMinSize) return {};
    return net::describe_ethernet(whole, p.size() + before);
  }
  Graph& graph_;
};

// Cold: the compiler, which sees few nodes here, would else try this one first in every dispatch.
[[gnu::cold]] void Graph::DropNode::process(Batch& batch) {
  graph_.drops_ += batch.size();
  for (uint32_t i = 0; i < batch.size(); ++i) {
    if (graph_.on_drop_) graph_.on_drop_(batch[i]);
    batch.take(i);
  }
}

namespace {

// Holds the books of work done by timers; no packet ever comes to it.
class ProcessNode final : public Node {
 public:
  explicit ProcessNode(Spec spec) : Node(std::move(spec)) {}
  void process(Batch&) override { UNREACHABLE(); }
};

}  // namespace

Graph::Graph(Loop& loop, Config config)
    : loop_(loop), config_(std::move(config)), started_(loop.now()), runtime_since_(loop.now()) {
  add(std::make_unique<DropNode>(*this));
}

Graph::~Graph() = default;

// --- building ---

Node& Graph::add(std::unique_ptr<Node> node) {
  const auto index = static_cast<NodeIndex>(nodes_.size());
  CHECK(!running_ && nodes_.size() < 0xffff);
  const bool is_new = by_name_.emplace(node->name(), index).second;
  CHECK(is_new);
  node->index_ = index;
  NodeRuntime runtime;
  runtime.arcs.push_back(0);  // error-drop is the first node of all.
  runtime.targets.push_back(0);
  runtime.first_error = static_cast<uint32_t>(errors_.size());
  for (uint16_t code = 0; code < node->spec().errors.size(); ++code) {
    errors_.push_back({index, code});
  }
  // The number of a reason must fit Packet::reason, where 0 is none.
  CHECK(errors_.size() < 0xffff);
  runtime.node = std::move(node);
  nodes_.push_back(std::move(runtime));
  return *nodes_.back().node;
}

NodeIndex Graph::add_process(std::string name, std::vector<ErrorSpec> errors) {
  return add(std::make_unique<ProcessNode>(Node::Spec{
                 .name = std::move(name), .errors = std::move(errors), .kind = NodeKind::Process}))
      .index();
}

void Graph::rename(NodeIndex index, const std::string& name) {
  NodeRuntime& runtime = nodes_[index];
  const std::string old = std::exchange(runtime.node->spec_.name, name);
  CHECK(by_name_.emplace(name, index).second);
  by_name_.erase(old);
  for (NodeRuntime& other : nodes_) {
    auto& next = other.node->spec_.next;
    for (size_t i = 0; i < next.size() && i + 1 < other.targets.size(); ++i) {
      if (other.targets[i + 1] == index) next[i] = name;
    }
  }
  runtime.trace_credit = 0;
  runtime.calls = runtime.vectors = runtime.clocks = runtime.suspends = 0;
  const size_t reasons = runtime.node->spec().errors.size();
  for (size_t i = 0; i < reasons; ++i) errors_[runtime.first_error + i].count = 0;
}

Result<void> Graph::link() {
  for (; linked_ < nodes_.size(); ++linked_) {
    NodeRuntime& runtime = nodes_[linked_];
    for (const std::string& name : runtime.node->spec().next) {
      auto index = index_of(name);
      if (!index) {
        runtime.targets.resize(1);
        return tl::unexpected(
            std::move(index.error()).within(fmt::format("next of {}", runtime.node->name())));
      }
      runtime.targets.push_back(*index);
    }
    route_arcs(runtime);
  }
  return {};
}

// Where an arc really leads: to the first node inserted before its target, or from one of those to
// the next of them.
NodeIndex Graph::first_before(NodeIndex from, NodeIndex target) const {
  NodeIndex first = target;
  bool is_behind_from = true;
  for (const Insertion& i : insertions_) {
    if (i.node == from && i.before == target)
      first = target, is_behind_from = true;
    else if (i.before == target && is_behind_from)
      first = i.node, is_behind_from = false;
  }
  return first;
}

void Graph::route_arcs(NodeRuntime& runtime) {
  const NodeIndex from = runtime.node->index();
  runtime.arcs = runtime.targets;
  for (NodeIndex& arc : runtime.arcs) arc = first_before(from, arc);
  for (const Insertion& i : insertions_) {
    if (i.node == from) runtime.arcs[1] = first_before(i.node, i.before);
  }
}

void Graph::route_arcs() {
  for (NodeRuntime& runtime : nodes_) route_arcs(runtime);
}

Result<void> Graph::insert(NodeIndex node, NodeIndex before) {
  const std::string& name = nodes_[node].node->name();
  const std::string& place = nodes_[before].node->name();
  // Any other expects packets as its own neighbours leave them, or ends them.
  if (!nodes_[node].node->spec().is_insertable) {
    return fail("{} cannot be inserted; accepted: nodes that are made for it", name);
  }
  if (before == 0 || nodes_[before].node->spec().is_insertable) {
    return fail("{} cannot stand before {}", name, place);
  }
  if (nodes_[node].targets.size() < 2) return fail("{} has no next node to lead on to", name);
  for (const Insertion& i : insertions_) {
    if (i.node == node) {
      return fail("{} is inserted before {} already", name, nodes_[i.before].node->name());
    }
  }
  insertions_.push_back({node, before});
  route_arcs();
  return {};
}

Result<void> Graph::take_out(NodeIndex node) {
  const size_t was = insertions_.size();
  std::erase_if(insertions_, [&](const Insertion& i) { return i.node == node; });
  if (insertions_.size() == was) return fail("{} is not inserted", nodes_[node].node->name());
  route_arcs();
  return {};
}

Arc Graph::add_arc(NodeIndex from, std::string_view to) {
  auto& targets = nodes_[from].targets;
  CHECK(targets.size() > nodes_[from].node->spec().next.size());  // link() came first.
  const NodeIndex target = MUST(index_of(to));                    // REQUIRES: it exists.
  auto at = std::find(targets.begin(), targets.end(), target);
  if (at == targets.end()) at = targets.insert(targets.end(), target);
  const auto arc = static_cast<Arc>(at - targets.begin());
  route_arcs(nodes_[from]);
  return arc;
}

Node* Graph::find(std::string_view name) {
  const auto it = by_name_.find(std::string(name));
  return it == by_name_.end() ? nullptr : nodes_[it->second].node.get();
}

Result<NodeIndex> Graph::index_of(std::string_view name) const {
  const auto it = by_name_.find(std::string(name));
  if (it != by_name_.end()) return it->second;
  std::vector<std::string> names;
  for (const NodeRuntime& n : nodes_) names.push_back(n.node->name());
  const std::string near = nearest(name, names);
  if (near.empty()) return fail("no node '{}'", name);
  return fail("no node '{}'; did you mean '{}'?", name, near);
}

// --- running ---

[[gnu::noinline]] void Graph::make_frame() {
  frames_.push_back(std::make_unique<Frame>());
  idle_.push_back(frames_.back().get());
}

inline Frame* Graph::idle_frame() {
  if (idle_.empty()) make_frame();
  Frame* frame = idle_.back();
  idle_.pop_back();
  return frame;
}

[[gnu::always_inline]] inline Frame* Graph::open_frame(NodeIndex index) {
  NodeRuntime& node = nodes_[index];
  if (node.open != nullptr && !node.open->full()) return node.open;
  if (pending_.size() - pending_head_ >= config_.max_pending_frames) return nullptr;
  node.open = idle_frame();
  pending_.push_back({index, node.open});
  return node.open;
}

void Graph::append(NodeIndex index, std::span<Packet* const> packets) {
  do {
    Frame* frame = open_frame(index);
    if (frame == nullptr) {
      overflow_drops_ += packets.size();
      for (Packet* packet : packets) net::PacketRelease{}(packet);
      return;
    }
    const size_t n = std::min<size_t>(packets.size(), Frame::kCapacity - frame->size());
    frame->append(packets.first(n));
    packets = packets.subspan(n);
  } while (!packets.empty());
}

void Graph::enqueue(NodeIndex node, Frame&& frame) {
  if (frame.empty()) return;
  if (is_input(nodes_[node])) vectors_in_ += frame.size();
  append(node, frame.release());
}

void Graph::enqueue(NodeIndex node, PacketPtr packet) {
  if (is_input(nodes_[node])) ++vectors_in_;
  Packet* raw = packet.release();
  append(node, {&raw, 1});
}

void Graph::drop(NodeIndex node, uint16_t error, PacketPtr packet) {
  note_drop(nodes_[node], error, *packet);
  enqueue(0, std::move(packet));
}

void Graph::run() {
  if (running_ || pending_head_ == pending_.size()) return;
  begin_run();
  drain(next_pending());
}

void Graph::run(NodeIndex index, Frame&& frame) {
  if (running_) return enqueue(index, std::move(frame));
  if (is_watched() || !pending_.empty() || frame.empty()) {
    enqueue(index, std::move(frame));
    return run();
  }
  // Nothing waits: it need not wait either, and mostly ends without a frame of ours.
  NodeRuntime& node = nodes_[index];
  if (is_input(node)) vectors_in_ += frame.size();
  begin_run();
  Batch batch(*this, node, frame.release());
  follow(batch);
  Pending next;
  if (batch.taken_ != batch.size_) {
    Frame* mine = idle_frame();
    mine->append(batch.packets());
    batch.packets_ = mine->release().data();
    next = spread(batch, *mine);
  }
  drain(next);
}

void Graph::drain(Pending next) {
  for (;;) {
    while (next.frame != nullptr) {
      if (is_watched()) {
        next = dispatch(next);
      } else {
        Batch batch(*this, nodes_[next.node], next.frame->release());
        follow(batch);
        next = spread(batch, *next.frame);
      }
    }
    if (pending_head_ == pending_.size()) break;
    next = next_pending();
  }
  running_ = false;
}

inline Graph::Pending Graph::next_pending() {
  const Pending next = pending_[pending_head_++];
  // The queue's memory is bounded: what is behind the head goes once it is most of it.
  if (pending_head_ == pending_.size()) {
    pending_.clear();
    pending_head_ = 0;
  } else if (pending_head_ >= 1024 && pending_head_ * 2 >= pending_.size()) {
    pending_.erase(pending_.begin(), pending_.begin() + static_cast<std::ptrdiff_t>(pending_head_));
    pending_head_ = 0;
  }
  NodeRuntime& node = nodes_[next.node];
  if (node.open == next.frame) node.open = nullptr;
  return next;
}

// Calls the frame's node. Returns the frame and where it goes next when that may be dispatched at
// once.
Graph::Pending Graph::dispatch(Pending pending) {
  NodeRuntime& node = nodes_[pending.node];
  Batch batch(*this, node, pending.frame->release());
  ++node.calls;
  node.vectors += batch.size_;
  if (tracing_) mark_traced(node, batch);
  const uint64_t before = cycles();
  node.node->process(batch);
  const Pending next = spread(batch, *pending.frame);  // Handing packets on is part of the work.
  node.clocks += cycles() - before;
  return next;
}

// Calls the batch's node, and on from node to node as long as all packets go one way and nothing
// waits beside them: so go nearly all in a lab, one or two at a time. REQUIRES: !is_watched().
void Graph::follow(Batch& batch) {
  for (;;) {
    NodeRuntime& node = *batch.node_;
    ++node.calls;
    node.vectors += batch.size_;
    node.node->process(batch);
    const Arc arc = batch.arcs_[0];
    const bool goes_on = batch.taken_ == 0 && arc < node.arcs.size() && pending_.empty() &&
                         !tracing_ && (batch.size_ == 1 || batch.is_one_way());
    if (!goes_on) return;
    batch.come_to(nodes_[node.arcs[arc]]);
  }
}

Graph::Pending Graph::spread(Batch& batch, Frame& frame) {
  if (batch.traced_) {
    for (uint32_t i = 0; i < batch.size_; ++i) {
      if (batch.packets_[i] != nullptr) trace(*batch.node_, *batch.packets_[i]);
    }
  }
  if (batch.taken_ == batch.size_) {
    idle_.push_back(&frame);
    return {};
  }
  if (batch.taken_ != 0) compact(batch);
  const auto& arcs = batch.node_->arcs;
  const bool is_one_way = batch.is_one_way();  // Usually.
  uint32_t done = 0;
  while (done < batch.size_) {
    const Arc arc = batch.arcs_[done];
    CHECK_LT(arc, arcs.size());
    uint32_t end = is_one_way ? batch.size_ : done + 1;
    while (end < batch.size_ && batch.arcs_[end] == arc) ++end;
    const NodeIndex target = arcs[arc];
    if (is_one_way && nodes_[target].open == nullptr &&
        pending_.size() - pending_head_ < config_.max_pending_frames) {
      // All of them to an idle node: the frame itself goes on, and its packets are where they were.
      CHECK(batch.packets_ == frame.packets().data());
      frame.take_back(batch.size_);
      if (pending_.empty()) return {target, &frame};  // And nothing waits before it.
      nodes_[target].open = &frame;
      pending_.push_back({target, &frame});
      return {};
    }
    append(target, {batch.packets_ + done, end - done});
    done = end;
  }
  idle_.push_back(&frame);
  return {};
}

void Graph::compact(Batch& batch) {
  uint32_t kept = 0;
  for (uint32_t i = 0; i < batch.size_; ++i) {
    if (batch.packets_[i] == nullptr) continue;
    batch.packets_[kept] = batch.packets_[i];
    batch.arcs_[kept++] = batch.arcs_[i];
  }
  batch.size_ = kept;
}

void Graph::note_drop(NodeRuntime& node, uint16_t error, Packet& packet) {
  ErrorCount& counter = errors_[node.first_error + error];
  ++counter.count;
  packet.reason = static_cast<uint16_t>(node.first_error + error + 1);
}

void Batch::emit_drop(PacketPtr packet, uint16_t error) {
  graph_.note_drop(*node_, error, *packet);
  emit(std::move(packet), kDropArc);
}

std::string Graph::reason(const Packet& packet) const {
  if (packet.reason == 0 || packet.reason > errors_.size()) return "no reason";
  const ErrorCount& e = errors_[packet.reason - 1u];
  return fmt::format("{}: {}", nodes_[e.node].node->name(), error_spec(e).text);
}

// --- tracing ---

Result<void> Graph::trace_add(std::string_view name, uint32_t count) {
  const NodeIndex node = TRY(index_of(name));
  if (count == 0 || count > kMaxTraces) {
    return fail("trace of {} packets; accepted: 1..{}", count, kMaxTraces);
  }
  nodes_[node].trace_credit = count;
  tracing_ = true;
  return {};
}

void Graph::clear_trace() {
  trace_base_ += static_cast<uint32_t>(traces_.size());
  traces_.clear();
  for (NodeRuntime& node : nodes_) node.trace_credit = 0;
  tracing_ = false;
}

void Graph::mark_traced(NodeRuntime& node, Batch& batch) {
  for (uint32_t i = 0; i < batch.size_; ++i) {
    Packet& packet = *batch.packets_[i];
    if (packet.trace == 0 && node.trace_credit > 0 && traces_.size() < kMaxTraces) {
      --node.trace_credit;
      traces_.emplace_back();
      packet.trace = trace_base_ + static_cast<uint32_t>(traces_.size());
    }
    batch.traced_ = batch.traced_ || packet.trace != 0;
  }
}

void Graph::trace(const NodeRuntime& node, const Packet& packet) {
  const uint32_t at = packet.trace - 1 - trace_base_;
  if (packet.trace == 0 || at >= traces_.size()) return;
  PacketTrace& trace = traces_[at];
  if (trace.records.size() >= kMaxRecords) {
    ++trace.records_lost;
    return;
  }
  trace.records.push_back({loop_.now(), node.node->name(), node.node->account(packet)});
}

// --- books ---

void Graph::clear_runtime() {
  for (NodeRuntime& node : nodes_) node.calls = node.vectors = node.clocks = node.suspends = 0;
  loops_ = vectors_in_ = drops_ = 0;
  runtime_since_ = loop_.now();
}

void Graph::clear_errors() {
  for (ErrorCount& e : errors_) e.count = 0;
  overflow_drops_ = 0;
}

uint64_t Graph::error_count(std::string_view node, std::string_view error) const {
  for (const ErrorCount& e : errors_) {
    if (nodes_[e.node].node->name() == node && error_spec(e).name == error) return e.count;
  }
  return 0;
}

}  // namespace wh::graph
