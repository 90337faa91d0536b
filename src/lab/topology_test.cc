// Topologies as files say them, as they are drawn, and as they run in virtual time.
#include "lab/topology.h"

#include <gtest/gtest.h>

#include <cstdlib>
#include <filesystem>
#include <set>

#include "core/virtual_loop.h"
#include "lab/drawing.h"
#include "lab/world.h"

namespace wh::lab {
namespace {

constexpr std::string_view kTwo =
    "[[host]]\nname = \"a\"\n[[host]]\nname = \"b\"\n[[link]]\nfrom = \"a\"\nto = \"b\"\n";

std::string error_of(const std::string& text) {
  const auto topology = parse_topology(text, "x.toml");
  return topology ? "" : topology.error().text;
}

TEST(Topology, takes_names_and_addresses_from_its_place_when_none_are_given) {
  const auto t = parse_topology(kTwo, "some/dir/pair.toml");
  ASSERT_TRUE(t) << t.error().text;
  EXPECT_EQ(t->name, "pair");
  EXPECT_FALSE(t->is_real());
  EXPECT_EQ(t->links[0].from.interface, "epair0a");
  EXPECT_EQ(net::to_string(t->links[0].to.addresses[0]), "10.0.0.2/24");
}

// A lab that is up has a folder of its name, which goes with it.
TEST(Topology, refuses_a_file_whose_name_leads_to_another_folder) {
  for (const char* file : {".toml", "some/dir/.toml", "..toml", "...toml", "dir/..."}) {
    const auto t = parse_topology(kTwo, file);
    ASSERT_FALSE(t) << file << " makes " << t->name;
    EXPECT_NE(t.error().text.find("accepted: name = \"LAB\""), std::string::npos);
    EXPECT_TRUE(parse_topology("name = \"x\"\n" + std::string(kTwo), file)) << file;
  }
}

TEST(Topology, names_what_was_wrong_and_where) {
  const std::string two(kTwo);
  EXPECT_EQ(error_of(""), "x.toml: it has no [[host]]");
  EXPECT_EQ(error_of("[[host]]\nname = \"a\"\nkind = \"vm\"\n"),
            "x.toml:3: kind: unknown 'vm'; accepted: vnet, router, jail");
  EXPECT_EQ(error_of("[[host]]\nname = \"a\"\n[[host]]\nname = \"a\"\n"),
            "x.toml:3: name: two hosts are named 'a'");
  EXPECT_NE(error_of("[[host]]\nname = \"a\"\ncolour = 1\n").find("x.toml:3: colour: unknown key"),
            std::string::npos);
  EXPECT_NE(error_of("[[host]]\nname = \"a/b\"\n").find("'a/b' is not a name"), std::string::npos);
  for (const char* name : {"a b", "a/b", "a:b", "a\\nb", "a\\u0000"}) {
    EXPECT_NE(error_of(two + "from_interface = \"" + name + "\"\n").find("not an interface's name"),
              std::string::npos)
        << name;
  }
  EXPECT_NE(error_of(two + "[[link]]\nfrom = \"a\"\nto = \"c\"\n").find("there is no host 'c'"),
            std::string::npos);
  EXPECT_NE(error_of(two + "dealy = \"1ms\"\n").find("dealy"), std::string::npos);
  EXPECT_NE(error_of(two + "[[check]]\nhost = \"a\"\n").find("give one of command, ping and flow"),
            std::string::npos);
  EXPECT_NE(error_of(two + "[[check]]\nhost = \"a\"\ncommand = \"ls\"\n").find("'a' is a vnet"),
            std::string::npos);
  EXPECT_NE(error_of(two + "[[program]]\nhost = \"a\"\ncommand = \"x\"\n").find("accepted: jail"),
            std::string::npos);
  EXPECT_NE(error_of("[[host]]\nname = \"a\"\nroute = \"10.0.0.1\"\n").find("is not a route"),
            std::string::npos);
  EXPECT_NE(error_of("[[host\n").find("x.toml:1: "), std::string::npos);
}

// What neither `wh pace` takes, nor a clock has room for.
TEST(Topology, takes_a_list_only_where_there_may_be_several) {
  const std::string two(kTwo);
  EXPECT_EQ(error_of("[[host]]\nname = \"a\"\nkind = []\n"),
            "x.toml:3: kind: a list; accepted: one value");
  for (const char* tail : {"name = []", "from_interface = [\"x\", \"y\"]",
                           "[[check]]\nhost = \"a\"\nping = \"10.0.0.2\"\ncount = [1, 2]",
                           "[[check]]\nflow = \"f\"\ngoodput = []", "[[check]]\nwithin = []"}) {
    EXPECT_NE(error_of(two + tail).find("a list; accepted: one value"), std::string::npos)
        << tail << ": " << error_of(two + tail);
  }
  const std::string several =
      "from_address = [\"10.0.0.1/24\", \"fd00::1/64\"]\n"
      "[[host]]\nname = \"c\"\nroute = [\"default via 10.0.0.2\"]";
  EXPECT_EQ(error_of(two + several), "");
}

TEST(Topology, reads_even_what_only_wh_pace_goes_by) {
  EXPECT_EQ(error_of("warmup = \"1s\"\n" + std::string(kTwo)), "");
  EXPECT_NE(error_of("warmup = \"x\"\n" + std::string(kTwo)).find("x.toml:1: warmup: "),
            std::string::npos);
}

TEST(Topology, refuses_what_no_run_could_hold) {
  const std::string two(kTwo), flow = "[[flow]]\nfrom = \"a\"\nto = \"b\"\n";
  const auto says = [&](const std::string& text, const char* what) {
    const std::string error = error_of(text);
    EXPECT_TRUE(error.starts_with("x.toml:") && error.find(what) != std::string::npos) << error;
  };
  for (const char* time : {"0s", "-1s", "9223372036s"}) {
    const std::string value = std::string("\"") + time + "\"\n";
    says("duration = " + value + two, "duration: ");
    says(two + "[[check]]\nhost = \"a\"\nping = \"10.0.0.2\"\nwithin = " + value, "within: ");
  }
  says(two + "[[check]]\nhost = \"a\"\nping = \"10.0.0.2\"\ncount = 0\n", "count: ");
  says(two + flow + "rtt = \"80ms\"\n", "rtt: ");
  says(two + flow + "start = \"30s\"\n", "starts at 30s");
  says(two + flow + "bytes = \"1MB\"\nweb = \"1s:1kB\"\n", "bytes and a workload");
  says(two + flow + "count = 20000\n", "at most 10000");
}

TEST(Topology, takes_flows_in_all_the_words_of_a_lab_file_of_wh_pace) {
  const auto t = parse_topology(std::string(kTwo) +
                                    "[[flow]]\nfrom = \"b\"\nto = \"a\"\nbackground = true\n"
                                    "[[flow]]\npreset = \"dgp,fcc=5Mbps\"\nfrom = \"a\"\nto = "
                                    "\"b\"\n",
                                "x.toml");
  ASSERT_TRUE(t) << t.error().text;
  EXPECT_TRUE(t->flows[0].background);
  EXPECT_EQ(t->flows[1].fcc, 5_Mbps);
}

TEST(Topology, is_drawn_with_its_addresses) {
  const auto t = parse_topology(kTwo, "pair.toml");
  EXPECT_EQ(to_text(*t),
            "lab pair: 2 hosts, 1 links; virtual time\n\n"
            "a (vnet)\n  epair0a 10.0.0.1/24 --- link0 --- b epair0b 10.0.0.2/24\n\n"
            "b (vnet)\n  epair0b 10.0.0.2/24 --- link0 --- a epair0a 10.0.0.1/24\n");
  const std::string svg = to_svg(*t);
  EXPECT_NE(svg.find(">epair0b</tspan>"), std::string::npos);
  EXPECT_NE(svg.find(">10.0.0.2/24</tspan>"), std::string::npos);
  EXPECT_TRUE(svg.ends_with("</svg>\n"));
}

TEST(Topology, links_between_the_same_two_are_drawn_apart) {
  std::string text = "[[host]]\nname = \"a\"\n[[host]]\nname = \"b\"\n";
  for (int i = 0; i < 5; ++i) {
    text += i % 2 == 0 ? "[[link]]\nfrom = \"a\"\nto = \"b\"\n"
                       : "[[link]]\nfrom = \"b\"\nto = \"a\"\n";
  }
  const std::string svg = to_svg(*parse_topology(text, "five.toml"));
  std::set<std::string> bends;  // The points that the curves are drawn to.
  for (size_t at = 0; (at = svg.find(" Q", at)) != svg.npos; ++at) {
    bends.insert(svg.substr(at, std::string_view(" Q480 300").size()));
  }
  EXPECT_EQ(bends.size(), 5u) << svg;
}

// Two hosts with a router between, whose second link takes 15 ms each way.
TEST(World, holds_checks_in_virtual_time) {
  const auto t = parse_topology(
      "duration = \"2s\"\n"
      "[[host]]\nname = \"a\"\nroute = \"default via 10.1.0.1\"\n"
      "[[host]]\nname = \"r\"\nkind = \"router\"\n"
      "[[host]]\nname = \"b\"\nroute = \"default via 10.2.0.1\"\n"
      "[[link]]\nfrom = \"a\"\nto = \"r\"\nfrom_address = \"10.1.0.2/24\"\nto_address = "
      "\"10.1.0.1/24\"\n"
      "[[link]]\nfrom = \"r\"\nto = \"b\"\nfrom_address = \"10.2.0.1/24\"\nto_address = "
      "\"10.2.0.2/24\"\n"
      "delay = \"15ms\"\nrate = \"10Mbps\"\n"
      "[[flow]]\nname = \"f\"\nfrom = \"a\"\nto = \"b\"\n",
      "x.toml");
  ASSERT_TRUE(t) << t.error().text;
  VirtualLoop loop;
  auto world = World::build(*t, loop, nullptr);
  ASSERT_TRUE(world) << world.error().text;
  const CheckSpec reachable{.host = "a", .ping = MUST(net::parse_ip("10.2.0.2")), .within = 2s};
  const auto held = (*world)->hold(reachable);
  EXPECT_TRUE(held) << held.error().text;
  const CheckSpec nobody{.host = "a", .ping = MUST(net::parse_ip("10.2.0.9")), .within = 1s};
  EXPECT_EQ((*world)->hold(nobody).error().text, "0 of 3 replies");
  EXPECT_TRUE((*world)->hold({.flow = "f", .goodput = 5_Mbps}));
  EXPECT_FALSE((*world)->hold({.flow = "f", .goodput = 50_Mbps}));
}

TEST(World, short_flows_flow) {
  const auto t = parse_topology(std::string(kTwo) +
                                    "rate = \"10Mbps\"\ndelay = \"5ms\"\n"
                                    "[[flow]]\nfrom = \"a\"\nto = \"b\"\nname = \"w\"\nweb = "
                                    "\"20ms:10kB\"\n",
                                "x.toml");
  ASSERT_TRUE(t) << t.error().text;
  VirtualLoop loop;
  auto world = World::build(*t, loop, nullptr);
  ASSERT_TRUE(world) << world.error().text;
  const auto held = (*world)->hold({.flow = "w", .goodput = 2_Mbps});
  EXPECT_TRUE(held) << held.error().text;
}

// As for `wh pace --link`, a trace is a file's or made of its name.
TEST(World, links_follow_traces) {
  const auto build = [](const std::string& trace, VirtualLoop& loop) {
    return World::build(MUST(parse_topology("[[host]]\nname = \"a\"\n[[host]]\nname = \"b\"\n"
                                            "[[link]]\nfrom = \"a\"\nto = \"b\"\ntrace = \"" +
                                                trace + "\"\n",
                                            "x.toml")),
                        loop, nullptr);
  };
  VirtualLoop loop;
  const auto world = build("outage:10Mbps:1s:1s", loop);
  ASSERT_TRUE(world) << world.error().text;
  const CheckSpec reachable{.host = "a", .ping = MUST(net::parse_ip("10.0.0.2")), .within = 5s};
  EXPECT_TRUE((*world)->hold(reachable));
  const auto none = build("no/such/file", loop);
  ASSERT_FALSE(none);
  EXPECT_NE(none.error().text.find("no/such/file"), std::string::npos) << none.error().text;
}

TEST(World, a_program_that_ends_is_ready_only_with_exit_status_0_and_what_it_was_to_print) {
  const std::string folder = testing::TempDir() + "wh-world-" + std::to_string(::getpid());
  ::setenv("WHEELHOUSE_RUN", folder.c_str(), 1);
  const struct {
    const char *command, *ready, *error;  // "" for none.
  } kCases[] = {
      {"echo up", "up", ""},
      {"echo up; sleep 60", "up", ""},
      {"echo bye", "up", "ended at once: exit status 0, and it had not printed 'up': bye"},
      {"kill -SEGV $$", "up",
       "ended at once: killed by signal 11 (Segmentation fault), and it had not printed 'up'"},
      {"exit 3", "up", "ended at once: exit status 3, and it had not printed 'up'"},
  };
  for (const auto& c : kCases) {
    auto loop = MUST(host::RealLoop::make());
    auto world = World::build(
        MUST(parse_topology(
            fmt::format("[[host]]\nname = \"j\"\nkind = \"jail\"\n"
                        "[[program]]\nhost = \"j\"\ncommand = \"{}\"\nready = \"{}\"\n",
                        c.command, c.ready),
            "x.toml")),
        *loop, loop.get());
    if (!world) GTEST_SKIP() << world.error().text;
    const auto started = (*world)->start_programs();
    const std::string error = started ? "" : started.error().text;
    if (*c.error == 0) {
      EXPECT_EQ(error, "") << c.command;
    } else {
      EXPECT_TRUE(error.ends_with(c.error)) << c.command << ": " << error;
    }
  }
  std::filesystem::remove_all(folder);
  ::unsetenv("WHEELHOUSE_RUN");
}

// The last attempt of several is often cut off by the end of the time.
TEST(World, a_check_that_fails_again_and_again_says_why_it_did) {
  const std::string folder = testing::TempDir() + "wh-checks-" + std::to_string(::getpid());
  ::setenv("WHEELHOUSE_RUN", folder.c_str(), 1);
  auto loop = MUST(host::RealLoop::make());
  auto world =
      World::build(MUST(parse_topology("[[host]]\nname = \"j\"\nkind = \"jail\"\n", "x.toml")),
                   *loop, loop.get());
  if (!world) GTEST_SKIP() << world.error().text;
  const std::string mark = folder + ".second";
  const auto held = (*world)->hold(
      {.host = "j",
       .command = fmt::format("echo other; test -e {0} && sleep 60; touch {0}", mark),
       .output = "wanted",
       .within = 1s});
  ASSERT_FALSE(held);
  EXPECT_EQ(held.error().text, "'wanted' is not in its output: other");
  EXPECT_EQ((*world)->hold({.host = "j", .command = "sleep 60", .within = 100ms}).error().text,
            "it did not end within 100ms");
  std::filesystem::remove(mark);
  std::filesystem::remove_all(folder);
  ::unsetenv("WHEELHOUSE_RUN");
}

}  // namespace
}  // namespace wh::lab
