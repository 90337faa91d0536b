#include "graph/graph.h"

#include <gtest/gtest.h>

#include <nlohmann/json.hpp>

#include "core/virtual_loop.h"
#include "graph/show.h"

namespace wh::graph {
namespace {

using net::Frame;
using net::Packet;
using net::PacketPool;
using net::PacketPtr;

enum : uint16_t { kOdd, kSeen };

// Does with each packet what a test says, and remembers the vectors it was given.
class ScriptNode final : public Node {
 public:
  using Script = std::function<void(Batch&, uint32_t)>;
  ScriptNode(std::string name, std::vector<std::string> next, Script script,
             NodeKind kind = NodeKind::Internal, bool is_insertable = false)
      : Node({.name = std::move(name),
              .next = std::move(next),
              .errors = {{"odd", Severity::Error, "odd packet"}, {"seen", Severity::Info, "seen"}},
              .kind = kind,
              .is_insertable = is_insertable}),
        script_(std::move(script)) {}
  void process(Batch& batch) override {
    vectors.push_back(batch.size());
    for (uint32_t i = 0; i < batch.size(); ++i) {
      flows.push_back(batch[i].flow_hash);
      script_(batch, i);
    }
  }
  std::string account(const Packet& packet) const override {
    return fmt::format("flow {}", packet.flow_hash);
  }

  std::vector<uint32_t> vectors;
  std::vector<uint32_t> flows;

 private:
  Script script_;
};

class GraphTest : public testing::Test {
 protected:
  ScriptNode& add(std::string name, std::vector<std::string> next, ScriptNode::Script script,
                  NodeKind kind = NodeKind::Internal) {
    auto node =
        std::make_unique<ScriptNode>(std::move(name), std::move(next), std::move(script), kind);
    ScriptNode& ref = *node;
    graph.add(std::move(node));
    return ref;
  }
  ScriptNode& add_insertable(std::string name, std::vector<std::string> next,
                             ScriptNode::Script script) {
    auto node = std::make_unique<ScriptNode>(std::move(name), std::move(next), std::move(script),
                                             NodeKind::Internal, true);
    ScriptNode& ref = *node;
    graph.add(std::move(node));
    return ref;
  }
  ScriptNode& add_sink(std::string name) {
    return add(std::move(name), {}, [](Batch& b, uint32_t i) { b.take(i); });
  }
  PacketPtr packet(uint32_t flow) {
    PacketPtr p = pool.allocate();
    p->append(60);
    p->flow_hash = flow;
    return p;
  }
  Frame frame(uint32_t count, uint32_t first_flow = 0) {
    Frame f;
    for (uint32_t i = 0; i < count; ++i) f.push(packet(first_flow + i));
    return f;
  }

  PacketPool pool;
  VirtualLoop loop;
  Graph graph{loop};
};

TEST_F(GraphTest, hands_a_whole_vector_on_in_order) {
  auto& a = add("a", {"b"}, [](Batch& b, uint32_t i) { b.send(i, 1); });
  auto& b = add_sink("b");
  ASSERT_TRUE(graph.link());
  graph.enqueue(a.index(), frame(256));
  graph.run();
  EXPECT_EQ(a.vectors, std::vector<uint32_t>{256});
  EXPECT_EQ(b.vectors, std::vector<uint32_t>{256});
  for (uint32_t i = 0; i < 256; ++i) EXPECT_EQ(b.flows[i], i);
  EXPECT_EQ(pool.in_use(), 0u);
}

TEST_F(GraphTest, gathers_what_two_nodes_send_to_one_into_one_vector) {
  auto& split = add("split", {"even", "odd"},
                    [](Batch& b, uint32_t i) { b.send(i, b[i].flow_hash % 2 == 0 ? 1 : 2); });
  add("even", {"join"}, [](Batch& b, uint32_t i) { b.send(i, 1); });
  add("odd", {"join"}, [](Batch& b, uint32_t i) { b.send(i, 1); });
  auto& join = add_sink("join");
  ASSERT_TRUE(graph.link());
  graph.enqueue(split.index(), frame(100));
  graph.run();
  EXPECT_EQ(join.vectors, std::vector<uint32_t>{100});
}

TEST_F(GraphTest, opens_a_second_frame_at_the_257th_packet) {
  auto& a = add("a", {"b"}, [](Batch& b, uint32_t i) { b.send(i, 1); });
  auto& b = add_sink("b");
  ASSERT_TRUE(graph.link());
  graph.enqueue(a.index(), frame(256));
  graph.enqueue(a.index(), packet(256));
  graph.run();
  EXPECT_EQ(a.vectors, (std::vector<uint32_t>{256, 1}));
  ASSERT_EQ(b.flows.size(), 257u);
  for (uint32_t i = 0; i < 257; ++i) EXPECT_EQ(b.flows[i], i);
}

TEST_F(GraphTest, counts_a_drop_with_node_and_reason) {
  auto& a = add("a", {"b"}, [](Batch& b, uint32_t i) {
    if (b[i].flow_hash % 2 == 1) {
      b.drop(i, kOdd);
    } else {
      b.send(i, 1);
      b.count(kSeen);
    }
  });
  auto& b = add_sink("b");
  ASSERT_TRUE(graph.link());
  std::vector<std::string> reasons;
  graph.on_drop([&](const Packet& p) { reasons.push_back(graph.reason(p)); });
  graph.enqueue(a.index(), frame(5));
  graph.run();
  EXPECT_EQ(graph.error_count("a", "odd"), 2u);
  EXPECT_EQ(graph.error_count("a", "seen"), 3u);
  EXPECT_EQ(graph.drops(), 2u);
  EXPECT_EQ(reasons, (std::vector<std::string>{"a: odd packet", "a: odd packet"}));
  EXPECT_EQ(b.flows, (std::vector<uint32_t>{0, 2, 4}));
  EXPECT_EQ(pool.in_use(), 0u);
}

TEST_F(GraphTest, keeps_the_rest_when_a_node_takes_some) {
  std::vector<PacketPtr> kept;
  auto& a = add("a", {"b"}, [&](Batch& b, uint32_t i) {
    if (b[i].flow_hash % 3 == 0) {
      kept.push_back(b.take(i));
    } else {
      b.send(i, 1);
    }
  });
  auto& b = add_sink("b");
  ASSERT_TRUE(graph.link());
  graph.enqueue(a.index(), frame(7));
  graph.run();
  EXPECT_EQ(kept.size(), 3u);
  EXPECT_EQ(b.flows, (std::vector<uint32_t>{1, 2, 4, 5}));
  graph.drop(a.index(), kOdd, std::move(kept[0]));
  graph.run();
  EXPECT_EQ(graph.error_count("a", "odd"), 1u);
}

TEST_F(GraphTest, passes_emitted_packets_in_order) {
  auto& a = add("a", {"b"}, [&](Batch& b, uint32_t i) {
    PacketPtr first = b.take(i);
    PacketPtr second = pool.clone(*first);
    second->flow_hash += 100;
    b.emit(std::move(first), 1);
    b.emit(std::move(second), 1);
  });
  auto& b = add_sink("b");
  ASSERT_TRUE(graph.link());
  graph.enqueue(a.index(), frame(200));
  graph.run();
  ASSERT_EQ(b.flows.size(), 400u);
  for (uint32_t i = 0; i < 200; ++i) {
    EXPECT_EQ(b.flows[2 * i], i);
    EXPECT_EQ(b.flows[2 * i + 1], i + 100);
  }
}

TEST_F(GraphTest, takes_a_pair_on_together_until_it_parts) {
  auto& a = add("a", {"b"}, [](Batch& b, uint32_t i) { b.send(i, 1); });
  auto& b = add("b", {"c", "d"},
                [](Batch& batch, uint32_t i) { batch.send(i, batch[i].flow_hash == 0 ? 1 : 2); });
  auto& c = add_sink("c");
  auto& d = add_sink("d");
  ASSERT_TRUE(graph.link());
  graph.run(a.index(), frame(2));
  EXPECT_EQ(b.vectors, std::vector<uint32_t>{2});
  EXPECT_EQ(c.flows, std::vector<uint32_t>{0});
  EXPECT_EQ(d.flows, std::vector<uint32_t>{1});
  for (const ScriptNode* node : {&a, &b, &c, &d}) {
    const NodeRuntime& books = graph.nodes()[node->index()];
    EXPECT_EQ(books.calls, 1u) << node->name();
    EXPECT_EQ(books.vectors, node->flows.size()) << node->name();
  }
  EXPECT_EQ(graph.loops(), 1u);
}

TEST_F(GraphTest, a_frame_that_comes_while_it_runs_waits_for_its_turn) {
  ScriptNode *a = nullptr, *b = nullptr;
  a = &add("a", {"b"}, [&](Batch& batch, uint32_t i) {
    if (batch[i].flow_hash == 1) graph.run(a->index(), frame(1, 2));
    batch.send(i, 1);
  });
  b = &add_sink("b");
  ASSERT_TRUE(graph.link());
  graph.run(a->index(), frame(1, 1));
  EXPECT_EQ(a->flows, (std::vector<uint32_t>{1, 2}));
  EXPECT_EQ(b->flows, (std::vector<uint32_t>{1, 2}));
  EXPECT_EQ(b->vectors, std::vector<uint32_t>{2});  // The first waited for it in turn.
  EXPECT_EQ(graph.loops(), 1u);
}

TEST_F(GraphTest, gives_a_node_all_packets_at_once_and_traces_each) {
  Frame got;
  auto& a = add("a", {}, [&](Batch& b, uint32_t i) {
    if (i + 1 == b.size()) got = b.take_all();
  });
  ASSERT_TRUE(graph.link());
  ASSERT_TRUE(graph.trace_add("a", 2));
  graph.run(a.index(), frame(3, 5));
  ASSERT_EQ(got.size(), 3u);
  EXPECT_EQ(got[2].flow_hash, 7u);
  ASSERT_EQ(graph.traces().size(), 2u);
  EXPECT_EQ(graph.traces()[1].records[0].text, "flow 6");
}

TEST_F(GraphTest, survives_a_node_that_enqueues_while_running) {
  ScriptNode* a = nullptr;
  uint32_t again = 3;
  a = &add("a", {}, [&](Batch& b, uint32_t i) {
    b.take(i);
    if (again-- > 0) {
      graph.enqueue(a->index(), packet(9));
      graph.run();
    }
  });
  ASSERT_TRUE(graph.link());
  graph.enqueue(a->index(), packet(1));
  graph.run();
  EXPECT_EQ(a->flows, (std::vector<uint32_t>{1, 9, 9, 9}));
}

TEST_F(GraphTest, drops_and_counts_beyond_its_pending_frames) {
  Graph small(loop, {.max_pending_frames = 2});
  auto node = std::make_unique<ScriptNode>("a", std::vector<std::string>{},
                                           [](Batch& b, uint32_t i) { b.take(i); });
  ScriptNode& a = *node;
  small.add(std::move(node));
  ASSERT_TRUE(small.link());
  for (int i = 0; i < 2; ++i) small.enqueue(a.index(), frame(256));
  EXPECT_EQ(small.overflow_drops(), 0u);
  small.enqueue(a.index(), packet(0));
  EXPECT_EQ(small.overflow_drops(), 1u);
  EXPECT_EQ(error_report(small).rows.at(0).reason, "too many frames pending");
  small.clear_errors();
  EXPECT_TRUE(error_report(small).rows.empty());
  small.run();
  EXPECT_EQ(a.flows.size(), 512u);
  EXPECT_EQ(pool.in_use(), 0u);
}

TEST_F(GraphTest, names_the_node_that_declares_a_missing_next) {
  add("ip4-input", {"ip4-lokup"}, [](Batch& b, uint32_t i) { b.take(i); });
  add_sink("ip4-lookup");
  const auto linked = graph.link();
  ASSERT_FALSE(linked);
  EXPECT_EQ(linked.error().text,
            "next of ip4-input: no node 'ip4-lokup'; did you mean 'ip4-lookup'?");
}

TEST_F(GraphTest, adds_arcs_behind_the_declared_ones) {
  auto& a = add("a", {"b"}, [](Batch& b, uint32_t i) { b.send(i, 2); });
  add_sink("b");
  ASSERT_TRUE(graph.link());
  auto& c = add_sink("c");
  EXPECT_EQ(graph.add_arc(a.index(), "c"), 2);
  EXPECT_EQ(graph.add_arc(a.index(), "b"), 1);
  EXPECT_EQ(graph.add_arc(a.index(), "c"), 2);
  ASSERT_TRUE(graph.link());
  graph.enqueue(a.index(), frame(1));
  graph.run();
  EXPECT_EQ(c.flows.size(), 1u);
}

TEST_F(GraphTest, traces_the_next_packets_from_a_node_on) {
  auto& a = add("a", {"b"}, [](Batch& b, uint32_t i) { b.send(i, 1); });
  add("b", {"c"}, [](Batch& b, uint32_t i) {
    if (b[i].flow_hash == 1) {
      b.drop(i, kOdd);
    } else {
      b.send(i, 1);
    }
  });
  add_sink("c");
  ASSERT_TRUE(graph.link());
  ASSERT_TRUE(graph.trace_add("a", 2));
  loop.run_for(18s + 805261us);
  graph.enqueue(a.index(), frame(5));
  graph.run();
  EXPECT_EQ(format_traces(graph),
            "------------------- Start of thread 0 vpp_main -------------------\n"
            "Packet 1\n\n"
            "00:00:18:805261: a\n  flow 0\n"
            "00:00:18:805261: b\n  flow 0\n"
            "00:00:18:805261: c\n  flow 0\n\n"
            "Packet 2\n\n"
            "00:00:18:805261: a\n  flow 1\n"
            "00:00:18:805261: b\n  flow 1\n"
            "00:00:18:805261: error-drop\n  b: odd packet\n"
            "  00:00:00:00:00:00 > 00:00:00:00:00:00, 802.3 length 0x0000, length 46\n"
            "  60 bytes, interface 0\n\n");
  EXPECT_EQ(traces_to_json(graph)[1]["records"][2]["node"], "error-drop");
  graph.clear_trace();
  EXPECT_NE(format_traces(graph).find("No packets in trace buffer"), std::string::npos);
}

TEST_F(GraphTest, traces_from_the_next_node_on_when_asked_by_one) {
  auto& a = add("a", {"b"}, [&](Batch& b, uint32_t i) {
    ASSERT_TRUE(graph.trace_add("b", 1));
    b.send(i, 1);
  });
  add_sink("b");
  ASSERT_TRUE(graph.link());
  graph.run(a.index(), frame(1, 4));
  ASSERT_EQ(graph.traces().size(), 1u);
  EXPECT_EQ(graph.traces()[0].records[0].text, "flow 4");
}

TEST_F(GraphTest, bounds_the_accounts_of_a_packet_that_goes_round) {
  auto& a = add("a", {"a"}, [](Batch& b, uint32_t i) {
    if (++b[i].flow_hash < 500) {
      b.send(i, 1);
    } else {
      b.drop(i, kOdd);
    }
  });
  ASSERT_TRUE(graph.link());
  ASSERT_TRUE(graph.trace_add("a", 1));
  graph.enqueue(a.index(), packet(0));
  graph.run();
  ASSERT_EQ(graph.traces().size(), 1u);
  EXPECT_EQ(graph.traces()[0].records.size(), Graph::kMaxRecords);
  EXPECT_EQ(graph.traces()[0].records_lost, 501 - Graph::kMaxRecords);
}

TEST_F(GraphTest, refuses_a_trace_with_the_word_that_was_wrong) {
  add_sink("ip4-input");
  EXPECT_EQ(graph.trace_add("ip4-inptu", 1).error().text,
            "no node 'ip4-inptu'; did you mean 'ip4-input'?");
  EXPECT_EQ(graph.trace_add("ip4-input", 0).error().text, "trace of 0 packets; accepted: 1..4096");
  EXPECT_TRUE(graph.trace_add("ip4-input", Graph::kMaxTraces));
  EXPECT_FALSE(graph.trace_add("ip4-input", Graph::kMaxTraces + 1));
}

TEST_F(GraphTest, books_calls_vectors_and_clocks) {
  uint64_t cycle = 0;
  Graph timed(loop, {.cycles = [&] { return cycle; }});
  auto node = std::make_unique<ScriptNode>(
      "a", std::vector<std::string>{}, [&](Batch& b, uint32_t i) { b.take(i), cycle += 30; },
      NodeKind::Input);
  ScriptNode& a = *node;
  timed.add(std::move(node));
  const NodeIndex walk = timed.add_process("fib-walk");
  ASSERT_TRUE(timed.link());
  timed.enqueue(a.index(), frame(10));
  timed.run();
  timed.enqueue(a.index(), frame(2));
  timed.run();
  timed.run_process(walk, [&] { cycle += 1140; });
  loop.run_for(2s);
  const RuntimeReport report = runtime_report(timed, {.out = 8, .punted = 0});
  ASSERT_EQ(report.rows.size(), 2u);
  EXPECT_EQ(report.in_per_second, 6);
  EXPECT_EQ(report.rows[0].state, "active");
  EXPECT_EQ(report.rows[0].clocks, 30);
  EXPECT_EQ(report.rows[1].clocks, 1140);
  EXPECT_EQ(to_json(report)["nodes"][0]["vectors"], 12);
  timed.clear_runtime();
  EXPECT_TRUE(runtime_report(timed, {}).rows.empty());
}

TEST(Show, prints_runtime_in_the_original_columns) {
  RuntimeReport report;
  report.elapsed = 5s;
  report.vector_rate = 36.99;
  report.loops_per_second = 305325.89;
  report.in_per_second = report.out_per_second = 156260;
  report.rows = {{"af-packet-input", "polling", 21616, 785689, 0, 1030, 36.35},
                 {"fib-walk", "any wait", 0, 0, 2, 25200, 0}};
  EXPECT_EQ(format(report), R"(Time 5.0, 10 sec internal node vector rate 36.99 loops/sec 305325.89
  vector rates in 1.5626e5, out 1.5626e5, drop 0.0000e0, punt 0.0000e0
             Name                 State         Calls          Vectors        Suspends         Clocks       Vectors/Call
af-packet-input                  polling             21616          785689               0          1.03e3           36.35
fib-walk                        any wait                 0               0               2          2.52e4            0.00
)");
}

TEST(Show, prints_errors_in_the_original_columns) {
  const ErrorReport report{{{157633, "af-packet-input", "", "total received block"},
                            {2, "arp-reply", "", "ARP replies sent", Severity::Info},
                            {1, "ip4-input", "", "ip4 ttl <= 1"}}};
  EXPECT_EQ(
      format(report),
      R"(   Count                  Node                              Reason               Severity
    157633          af-packet-input                  total received block          error
         2             arp-reply                       ARP replies sent            info
         1             ip4-input                         ip4 ttl <= 1              error
)");
}

TEST_F(GraphTest, shows_errors_and_the_graph) {
  auto& a = add("af-packet-input", {"ip4-input"}, [](Batch& b, uint32_t i) { b.drop(i, kOdd); });
  add_sink("ip4-input");
  ASSERT_TRUE(graph.link());
  graph.enqueue(a.index(), frame(3));
  graph.run();
  EXPECT_EQ(error_report(graph).rows[0].count, 3u);
  EXPECT_EQ(to_json(error_report(graph))[0]["name"], "odd");
  const std::string text = format(graph_report(graph));
  EXPECT_TRUE(
      text.starts_with("           Name                      Next                    "
                       "Previous\n"
                       "af-packet-input                 error-drop [0]\n"
                       "                                 ip4-input [1]\n"))
      << text;
  EXPECT_NE(format_dot(graph_report(graph)).find("\"af-packet-input\" -> \"ip4-input\";"),
            std::string::npos);
}

TEST(Table, centres_with_the_odd_space_to_the_left) {
  EXPECT_EQ(centred("ab", 5), "  ab ");
  EXPECT_EQ(centred("abc", 3), "abc");
  EXPECT_EQ(centred("abcd", 3), "abcd");
  EXPECT_EQ(scientific(0, 2) + " " + scientific(1030, 2), "0.00e0 1.03e3");
  EXPECT_EQ(scientific(999.6, 2), "1.00e3");
  EXPECT_EQ(clock_time(18s + 805261us), "00:00:18:805261");
  EXPECT_EQ(clock_time(25h + 61s), "25:01:01:000000");
}

TEST_F(GraphTest, nodes_inserted_before_another_stand_in_every_way_to_it) {
  auto& a = add("a", {"c"}, [](Batch& b, uint32_t i) { b.send(i, 1); });
  auto& z = add("z", {}, [](Batch& b, uint32_t i) { b.send(i, 1); });
  auto& c = add_sink("c");
  std::vector<std::string> way;
  auto& x =
      add_insertable("x", {"c"}, [&](Batch& b, uint32_t i) { way.push_back("x"), b.send(i, 1); });
  auto& y =
      add_insertable("y", {"a"}, [&](Batch& b, uint32_t i) { way.push_back("y"), b.send(i, 1); });
  auto& n = add_insertable("n", {}, [](Batch& b, uint32_t i) { b.take(i); });
  ASSERT_TRUE(graph.link());
  ASSERT_TRUE(graph.insert(x.index(), c.index()));
  ASSERT_TRUE(graph.insert(y.index(), c.index()));
  EXPECT_FALSE(graph.insert(x.index(), a.index()));  // It is somewhere already.
  EXPECT_FALSE(graph.insert(n.index(), a.index()));  // It leads nowhere.
  EXPECT_FALSE(graph.insert(y.index(), y.index()));
  graph.add_arc(z.index(), "c");  // Added later, and still behind both.
  graph.enqueue(a.index(), packet(1));
  graph.run();
  graph.enqueue(z.index(), packet(2));
  graph.run();
  EXPECT_EQ(way, (std::vector<std::string>{"x", "y", "x", "y"}));
  EXPECT_EQ(c.flows, (std::vector<uint32_t>{1, 2}));
  ASSERT_TRUE(graph.take_out(x.index()));
  EXPECT_FALSE(graph.take_out(x.index()));
  way.clear();
  graph.enqueue(a.index(), packet(3));
  graph.run();
  EXPECT_EQ(way, std::vector<std::string>{"y"});
  ASSERT_TRUE(graph.take_out(y.index()));
  graph.enqueue(a.index(), packet(4));
  graph.run();
  EXPECT_EQ(way, std::vector<std::string>{"y"});
  EXPECT_EQ(c.flows.back(), 4u);
}

TEST_F(GraphTest, only_nodes_made_for_it_are_inserted_and_never_before_one_another) {
  auto& a = add("a", {"c"}, [](Batch& b, uint32_t i) { b.send(i, 1); });
  auto& c = add_sink("c");
  auto& x = add_insertable("x", {"c"}, [](Batch& b, uint32_t i) { b.send(i, 1); });
  auto& y = add_insertable("y", {"c"}, [](Batch& b, uint32_t i) { b.send(i, 1); });
  ASSERT_TRUE(graph.link());
  EXPECT_EQ(graph.insert(a.index(), c.index()).error().text,
            "a cannot be inserted; accepted: nodes that are made for it");
  EXPECT_FALSE(graph.insert(0, c.index()));
  EXPECT_EQ(graph.insert(x.index(), 0).error().text, "x cannot stand before error-drop");
  // Two of them before each other would be a ring.
  EXPECT_EQ(graph.insert(x.index(), y.index()).error().text, "x cannot stand before y");
  EXPECT_TRUE(graph.insertions().empty());
  EXPECT_TRUE(graph.insert(x.index(), c.index()));
}

}  // namespace
}  // namespace wh::graph
