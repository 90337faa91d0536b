#include "router/configuration.h"

#include <gtest/gtest.h>
#include <sys/stat.h>
#include <unistd.h>

#include "core/random.h"
#include "core/virtual_loop.h"
#include "host/system.h"

namespace wh::router {
namespace {

// Paper ports of which some cannot be opened, though nothing says so beforehand.
class TreacherousPorts final : public Ports {
 public:
  explicit TreacherousPorts(Loop& loop) : plain_(loop), paper_(loop, *this) {}
  Result<std::unique_ptr<net::Interface>> open(const PortSpec& spec,
                                               net::PacketPool& pool) override {
    if (spec.link == refused) return fail("open {}: refused", spec.link);
    return paper_.open(spec, pool);
  }
  Result<net::Interface::Config> describe(const PortSpec& spec) override {
    if (spec.link == absent) return fail("no interface {}", spec.link);
    auto config = plain_.describe(spec);
    if (mtus.contains(spec.link)) config->mtu = mtus.at(spec.link);
    return config;
  }
  std::string refused = "treacherous", absent = "absent";
  std::map<std::string, uint32_t> mtus;

 private:
  PaperPorts plain_, paper_;
};

class ConfigurationTest : public testing::Test {
 protected:
  void set(std::string_view text) {
    while (!text.empty()) {
      const size_t end = std::min(text.find('\n'), text.size());
      const auto done = line_.set(text.substr(0, end));
      EXPECT_TRUE(done) << text.substr(0, end) << ": " << done.error().text;
      text.remove_prefix(std::min(end + 1, text.size()));
    }
  }
  std::string now() { return to_text(line_.configuration()); }
  std::string load(std::string_view text) {
    const auto target = try_configuration(router_, text, "new.conf");
    if (!target) return target.error().text;
    const auto done =
        apply_configuration(line_, *target, [&](const std::string& one, std::string& place) {
          return find_place(router_, text, "new.conf", one, place);
        });
    return done ? "applied" : done.error().text;
  }
  VirtualLoop loop_;
  TreacherousPorts ports_{loop_};
  Router router_{{}, loop_, ports_};
  CommandLine line_{router_};
};

constexpr const char* kArticle =
    "create netmap name epair0a\n"
    "create netmap name epair1a\n"
    "set interface state netmap-epair0a up\n"
    "set interface state netmap-epair1a up\n"
    "set interface ip address netmap-epair0a 10.1.0.1/24\n"
    "set interface ip address netmap-epair1a 10.2.0.1/24\n";

TEST_F(ConfigurationTest, command_says_where_a_line_was_read_that_cannot_be_applied) {
  const std::string path = fmt::format("{}untrue-{}.conf", testing::TempDir(), ::getpid());
  MUST(host::write_file(path, "create netmap name epair0a\ncreate netmap name treacherous\n"));
  std::string said;
  const auto activity = line_.execute(
      "configuration load " + path,
      {[](std::string_view) {},
       [&](Result<Answer> answer) { said = answer ? "applied" : answer.error().text; }});
  loop_.run_for(1s);
  EXPECT_NE(said.find("not applied"), std::string::npos) << said;
  EXPECT_NE(said.find(path + ":2: "), std::string::npos) << said;
  EXPECT_EQ(now(), "");
  std::remove(path.c_str());
}

TEST_F(ConfigurationTest, what_was_set_is_shown_as_lines_that_set_it_again) {
  const std::string all =
      "create netmap name epair0a\n"
      "create host-interface name eth1 hw-addr 02:00:00:00:00:07\n"
      "create tap id 3 host-if-name tapdev\n"
      "set interface mtu packet 1400 netmap-epair0a\n"
      "set interface state netmap-epair0a up\n"
      "set interface ip address netmap-epair0a 10.1.0.1/24\n"
      "set interface ip address netmap-epair0a 2001:db8::1/64\n"
      "set ip neighbor netmap-epair0a 10.1.0.7 02:00:00:00:00:08\n"
      "ip route add 10.9.0.0/16 via 10.1.0.7 netmap-epair0a\n"
      "ip route add 192.168.0.0/16 via drop\n"
      "set sysctl net.inet.ip.ttl 33\n";
  set(all);
  EXPECT_EQ(now(), all);
  EXPECT_EQ(load(""), "applied");
  EXPECT_EQ(now(), "");
  EXPECT_EQ(load(all), "applied");
  EXPECT_EQ(now(), all);
}

TEST_F(ConfigurationTest, short_words_comments_and_order_make_no_difference) {
  set(kArticle);
  const auto target = try_configuration(router_,
                                        "# the article's router\n"
                                        "cre net n epair0a\n"
                                        "set int ip addr netmap-epair0a 10.1.0.1/24\n"
                                        "set int st netmap-epair0a up   # at last\n\n"
                                        "cre net n epair1a\n"
                                        "set int st netmap-epair1a up\n"
                                        "set int ip addr netmap-epair1a 10.2.0.1/24",
                                        "short.conf");
  ASSERT_TRUE(target) << target.error().text;
  EXPECT_TRUE(difference(line_.configuration(), *target).is_empty());
}

TEST_F(ConfigurationTest, link_with_an_mtu_that_no_vnet_takes_is_refused_or_cut) {
  set(kArticle);
  const std::string before = now();
  ports_.mtus = {{"lo", 65536}, {"narrow", 67}, {"least", 68}};
  const auto refused = line_.set("create netmap name narrow");
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().text, "interface netmap-narrow: its MTU is 67; accepted: 68 and more");
  EXPECT_EQ(load("create netmap name narrow\n"), "new.conf:1: " + refused.error().text);
  EXPECT_EQ(now(), before);
  set("create netmap name lo\ncreate netmap name least\ncreate sub-interfaces netmap-lo 7");
  for (const auto& [name, mtu] : std::map<std::string, uint32_t>{
           {"netmap-lo", 65535}, {"netmap-lo.7", 65535}, {"netmap-least", 68}}) {
    const uint16_t index = *router_.index_of(name);
    EXPECT_EQ(router_.vnet().interfaces()[index].mtu(), mtu);
    EXPECT_EQ(router_.first_mtu(index), mtu);
  }
  EXPECT_EQ(load(now()), "applied");
}

TEST_F(ConfigurationTest, name_that_no_line_can_have_is_refused) {
  const auto refused = line_.set("create netmap name \"e0,\"");
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().text,
            "Linux interface 'e0,': accepted: a name without a comma at its end");
  set("create netmap name e,0\ncreate netmap name e#0\nset interface state netmap-e,0 up\n"
      "create tap id 3 host-if-name \"t,\"");
  const std::string all = now();
  EXPECT_EQ(load(""), "applied");
  EXPECT_EQ(load(all), "applied");
  EXPECT_EQ(now(), all);
}

TEST_F(ConfigurationTest, one_linux_interface_is_one_port) {
  set("create netmap name e0\ncreate tap id 3 host-if-name t");
  const std::string before = now();
  const auto refused = line_.set("create host-interface name e0");
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().text, "Linux interface 'e0': interface netmap-e0 has it");
  EXPECT_EQ(load(before + "create host-interface name e0\n"),
            "new.conf:3: " + refused.error().text);
  EXPECT_EQ(now(), before);
  EXPECT_EQ(load("create host-interface name e0\n"), "applied") << "by another name";
}

TEST_F(ConfigurationTest, difference_names_what_goes_and_what_comes) {
  set(kArticle);
  const auto target = try_configuration(
      router_, "create netmap name epair0a\nset interface ip address netmap-epair0a 10.3.0.1/24\n",
      "new.conf");
  ASSERT_TRUE(target) << target.error().text;
  EXPECT_EQ(format(difference(line_.configuration(), *target)),
            "- create netmap name epair1a\n"
            "- set interface state netmap-epair0a up\n"
            "- set interface state netmap-epair1a up\n"
            "- set interface ip address netmap-epair0a 10.1.0.1/24\n"
            "- set interface ip address netmap-epair1a 10.2.0.1/24\n"
            "+ set interface ip address netmap-epair0a 10.3.0.1/24\n");
}

TEST_F(ConfigurationTest, error_names_file_line_word_and_what_was_expected) {
  EXPECT_EQ(load("create netmap name epair0a\nset int state netmap-epair0a upp\n"),
            "new.conf:2: column 30: unknown input 'upp'; accepted: down, up (did you mean up?)");
  EXPECT_EQ(load("create netmap name absent\n"), "new.conf:1: no interface absent");
  EXPECT_EQ(load("\n\nshow interface\n"),
            "new.conf:3: 'show interface' sets nothing; accepted: commands that `show "
            "configuration` shows");
  EXPECT_EQ(now(), "");
}

// It would be waited for, and nothing forwarded meanwhile.
TEST_F(ConfigurationTest, fifo_is_refused_wherever_a_file_is_named) {
  const std::string path = fmt::format("/tmp/wh-fifo-{}", ::getpid());
  ASSERT_EQ(::mkfifo(path.c_str(), 0600), 0);
  for (const char* command :
       {"configuration check", "configuration diff", "configuration load", "configuration save",
        "exec", "ip route load", "plugin load", "pcap trace rx file"}) {
    const auto checked = line_.check(fmt::format("{} {}", command, path));
    ASSERT_FALSE(checked) << command;
    EXPECT_NE(checked.error().text.find(path + ": a FIFO"), std::string::npos)
        << checked.error().text;
  }
  const auto named = router_.pcap().start({.rx = true, .path = path});
  ASSERT_FALSE(named);
  EXPECT_NE(named.error().text.find(path + ": a FIFO"), std::string::npos) << named.error().text;
  ::unlink(path.c_str());
  // A pipe that the process was given has its other end: `exec /dev/fd/3` with `3<<END`.
  int ends[2];
  ASSERT_EQ(::pipe(ends), 0);
  EXPECT_TRUE(line_.check(fmt::format("exec /dev/fd/{}", ends[0])));
  ::close(ends[0]);
  ::close(ends[1]);
}

TEST_F(ConfigurationTest, failure_on_the_way_leaves_everything_as_it_was) {
  set(kArticle);
  const std::string before = now();
  const std::string text = load(
      "create netmap name epair7a\n"
      "set interface state netmap-epair7a up\n"
      "create netmap name treacherous\n");
  EXPECT_NE(text.find("the former configuration stands"), std::string::npos) << text;
  EXPECT_NE(text.find("new.conf:3: 'create netmap name treacherous': open treacherous: refused"),
            std::string::npos)
      << text;
  EXPECT_EQ(now(), before);
  // Also where the file says it in other words.
  const std::string other = load("# Two ports\ncreate netmap name e7\ncre net n treacherous\n");
  EXPECT_NE(other.find("new.conf:3: 'create netmap name treacherous'"), std::string::npos) << other;
}

TEST_F(ConfigurationTest, port_that_changes_takes_its_addresses_along_and_gets_them_back) {
  set(kArticle);
  std::string text = kArticle;
  text.replace(text.find("epair0a\n"), 7, "epair0a hw-addr 02:00:00:00:00:09");
  EXPECT_EQ(load(text), "applied");
  EXPECT_EQ(load(text), "applied");
  EXPECT_NE(now().find("10.1.0.1/24"), std::string::npos) << now();
  EXPECT_NE(now().find("hw-addr 02:00:00:00:00:09"), std::string::npos) << now();
}

TEST_F(ConfigurationTest, address_may_move_from_one_port_to_another) {
  set(kArticle);
  std::string text = kArticle;
  text.replace(text.find("10.1.0.1"), 8, "10.2.0.7");
  text.replace(text.find("10.2.0.1/"), 9, "10.1.0.1/");
  text.replace(text.find("10.2.0.7"), 8, "10.2.0.1");
  EXPECT_EQ(load(text), "applied");
  EXPECT_EQ(now(), text);
}

TEST_F(ConfigurationTest, prefix_may_move_from_one_port_to_another_but_not_be_on_two) {
  set(kArticle);
  const std::string before = now();
  const auto refused = line_.set("set int ip addr netmap-epair1a 10.1.0.7/24");
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().text,
            "address 10.1.0.7/24: 10.1.0.1/24 of interface netmap-epair0a overlaps it");
  EXPECT_EQ(load(before + "set int ip addr netmap-epair1a 10.1.0.7/24\n"),
            "new.conf:7: " + refused.error().text);
  EXPECT_EQ(now(), before);
  for (const auto& [first, second] :
       {std::pair("10.2.0.9/24", "10.1.0.9/24"), std::pair("10.3.0.1/24", "10.2.0.1/16"),
        std::pair("10.2.0.1/24", "10.3.0.1/16"), std::pair("10.1.0.1/24", "10.2.0.1/24")}) {
    std::string text = kArticle;
    text.replace(text.find("10.1.0.1/24"), 11, first);
    text.replace(text.rfind("10.2.0.1/24"), 11, second);
    EXPECT_EQ(load(text), "applied");
    EXPECT_EQ(now(), text);
  }
}

TEST_F(ConfigurationTest, order_of_an_interfaces_addresses_is_kept) {
  set("create netmap name e0\ncreate netmap name e1");
  for (const char* text : {"10.1.0.1/24", "10.1.0.2/24", "2001:db8::1/64", "10.1.0.3/24"}) {
    set(fmt::format("set int ip addr netmap-e0 {}", text));
  }
  const std::string before = now();
  set("set int ip addr del netmap-e0 10.1.0.1/24\nset int ip addr netmap-e0 10.1.0.1/24");
  const auto target = try_configuration(router_, before, "t");
  ASSERT_TRUE(target);
  EXPECT_EQ(format(difference(line_.configuration(), *target)),
            "- set interface ip address netmap-e0 10.1.0.2/24\n"
            "- set interface ip address netmap-e0 10.1.0.3/24\n"
            "- set interface ip address netmap-e0 10.1.0.1/24\n"
            "+ set interface ip address netmap-e0 10.1.0.1/24\n"
            "+ set interface ip address netmap-e0 10.1.0.2/24\n"
            "+ set interface ip address netmap-e0 10.1.0.3/24\n");
  auto addresses = [&] {
    std::string all;
    for (const auto& l : line_.configuration()) {
      if (l.line.find(" 10.1.0.") != std::string::npos) all += l.line.substr(l.line.size() - 4, 1);
    }
    return all;
  };
  EXPECT_EQ(addresses(), "231");
  EXPECT_EQ(load(before), "applied");
  EXPECT_EQ(addresses(), "123");
  // One that comes in front.
  std::string text = before;
  text.insert(text.find("set interface ip address"),
              "set interface ip address netmap-e0 10.1.0.9/24\n");
  EXPECT_EQ(load(text), "applied");
  EXPECT_EQ(addresses(), "9123");
  EXPECT_EQ(load(before), "applied");
  // A load that fails brings it back as it was.
  text = before;
  text.erase(text.find("set interface ip address netmap-e0 10.1.0.1/24\n"), 47);
  EXPECT_NE(load("create netmap name treacherous\n" + text), "applied");
  EXPECT_EQ(addresses(), "123");
}

TEST_F(ConfigurationTest, address_is_taken_back_with_the_length_it_has) {
  set(kArticle);
  const std::string before = now();
  const auto refused = line_.set("set int ip addr del netmap-epair0a 10.1.0.1/16");
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().text, "interface netmap-epair0a: has 10.1.0.1/24, not 10.1.0.1/16");
  EXPECT_FALSE(line_.set("set int ip addr del netmap-epair0a 10.1.0.2/24"));
  EXPECT_EQ(now(), before);
  set("set int ip addr del netmap-epair0a 10.1.0.1/24");
}

TEST_F(ConfigurationTest, interface_is_deleted_by_the_command_of_its_kind_only) {
  set("create netmap name e0\ncreate host-interface name e1\ncreate tap id 3 host-if-name t\n"
      "create loopback interface instance 0\ncreate sub-interfaces netmap-e0 5");
  const std::string before = now();
  for (const auto& [text, reason] :
       {std::pair("delete tap netmap-e0",
                  "interface netmap-e0: is not a TAP device; accepted: delete netmap name e0"),
        std::pair("delete netmap name e1", "host-e1: is not a netmap port; accepted: delete host-"),
        std::pair("delete host-interface name tap3", "accepted: delete tap tap3"),
        std::pair("delete host-interface name netmap-e0", "accepted: delete netmap name e0"),
        std::pair("delete netmap name e7", "interface 'e7': is not a netmap port"),
        std::pair("delete tap loop0", "interface 'loop0': is not a TAP device"),
        std::pair("delete loopback interface intfc netmap-e0.5", "netmap-e0.5: is not a loopback"),
        std::pair("delete sub-interface loop0", "interface loop0: is not a sub-interface"),
        std::pair("delete sub-interface netmap-e0", "neither a loopback nor a sub-interface")}) {
    const auto done = line_.set(text);
    ASSERT_FALSE(done) << text;
    EXPECT_NE(done.error().text.find(reason), std::string::npos) << done.error().text;
    EXPECT_EQ(now(), before);
  }
  set("delete sub-interface netmap-e0.5\ndelete loopback interface intfc loop0\n"
      "delete netmap name netmap-e0\ndelete host-interface name e1\ndelete tap tap3");
  EXPECT_EQ(now(), "");
}

TEST_F(ConfigurationTest, only_a_plugins_node_is_inserted) {
  for (const char* node : {"ethernet-input", "interface-output", "ip4-icmp-input", "ip4-input"}) {
    const auto done = line_.set(fmt::format("node insert {} before ip4-lookup", node));
    ASSERT_FALSE(done) << node;
    EXPECT_EQ(done.error().text,
              fmt::format("column 13: no plugin's node '{}'; no plugin is loaded", node));
  }
  EXPECT_TRUE(line_.grammar().complete("node insert ").empty());
  class Pass final : public graph::Node {
   public:
    Pass() : Node({.name = "pass", .next = {"ip4-lookup"}, .is_insertable = true}) {}
    void process(graph::Batch& batch) override { batch.send_all(1); }
  };
  router_.vnet().graph().add(std::make_unique<Pass>());
  MUST(router_.vnet().graph().link());
  EXPECT_EQ(line_.grammar().complete("node insert "), std::vector<std::string>{"pass"});
  EXPECT_FALSE(line_.set("node insert ip4-input before ip4-lookup"));
  set("node insert pass before ip4-lookup");
  EXPECT_EQ(now(), "node insert pass before ip4-lookup\n");
}

TEST_F(ConfigurationTest, byte_order_mark_is_no_word) {
  EXPECT_EQ(load("\xef\xbb\xbf"
                 "create netmap name e0\n"),
            "applied");
  EXPECT_EQ(now(), "create netmap name e0\n");
}

TEST_F(ConfigurationTest, completion_offers_interfaces_that_something_can_be_set_on) {
  set(kArticle);
  using Words = std::vector<std::string>;
  EXPECT_EQ(line_.grammar().complete("set interface state "),
            (Words{"netmap-epair0a", "netmap-epair1a"}));
  const auto refused = line_.run("show interface nonesuch");
  ASSERT_FALSE(refused);
  EXPECT_NE(refused.error().text.find("there are: local0, netmap-epair0a, netmap-epair1a"),
            std::string::npos)
      << refused.error().text;
}

// One line of each feature and more, of which many need others, and some stand in others' way.
const std::vector<std::string> kWalk = {
    "create netmap name a",
    "create netmap name b",
    "create loopback interface instance 0 mac 02:00:00:00:00:0a",
    "create sub-interfaces netmap-a 100",
    "create sub-interfaces netmap-b 2 dot1ad 200 inner-dot1q 7",
    "ip table add 7",
    "set interface ip table netmap-b 7",
    "set interface mtu packet 1400 netmap-a.100",
    "set interface state netmap-a up",
    "create bridge-domain 1 mac-age 5",
    "set interface l2 bridge netmap-a 1",
    "set interface l2 bridge loop0 1 bvi",
    "l2fib add 02:00:00:00:00:09 1 netmap-a static",
    "set interface ip address netmap-a 10.1.0.1/24",
    "set interface ip address netmap-b 10.2.0.1/24",
    "set interface ip address netmap-b 2001:db8::1/64",
    "set interface ip address loop0 10.3.0.1/24",
    "set interface ip address netmap-a.100 10.4.0.1/24",
    "ip route add 10.7.0.0/16 via 10.1.0.9 netmap-a",
    "ip route add 10.7.0.0/16 via 10.4.0.9 weight 3",
    "ip route add 10.6.0.0/16 via 10.7.0.1",
    "ip route add 10.8.0.0/16 table 7 via 10.2.0.9",
    "ip route add 2001:db8:8::/48 via drop",
    "set interface ip6 source-check netmap-b loose",
    "set ip neighbor netmap-a 10.1.0.9 02:00:00:00:00:08",
    "set acl-plugin acl index 0 permit proto tcp dport 80-443, deny ipv6",
    "set acl-plugin acl index 0 permit+reflect src 10.0.0.0/8 tag other",
    "set acl-plugin acl index 1 deny",
    "set acl-plugin interface netmap-a input acl 1 acl 0",
    "policer add name p cir 8 cb 200",
    "policer input name p netmap-b",
    "nat44 plugin enable sessions 100",
    "set interface nat44 in netmap-a out netmap-b",
    "nat44 add address 10.2.0.7",
    "nat44 add interface address netmap-b",
    "nat44 add static mapping tcp local 10.1.0.9 80 external 10.2.0.7 8080",
    "ip6 nd netmap-b ra-interval 60",
    "dhcp server add pool lan network 10.1.0.0/24 range 10.1.0.10 10.1.0.20 dns 9.9.9.9",
    "dhcp relay add netmap-b server 10.1.0.5",
    "set dhcp client intfc netmap-a",
    "set sysctl net.inet.ip.ttl 9"};

TEST_F(ConfigurationTest, random_walk_between_configurations_always_arrives) {
  const uint64_t seed = 20241;  // Another walk: another number.
  Random random(seed);
  size_t lines = 0;
  for (int round = 0; round < 60; ++round) {
    // As many of the lines as go together.
    Router scratch({}, loop_, ports_);
    CommandLine scratch_line(scratch);
    std::string text;
    for (const std::string& l : kWalk) {
      if (random.below(4) != 0 && scratch_line.set(l)) text += l + "\n", ++lines;
    }
    const auto target = try_configuration(router_, text, "t");
    ASSERT_TRUE(target) << "seed " << seed << ", round " << round << "\n"
                        << text << target.error().text;
    const std::string before = now();
    const auto done = apply_configuration(line_, *target);
    ASSERT_TRUE(done) << "seed " << seed << ", round " << round << "\n"
                      << before << "->\n"
                      << text << done.error().text;
    ASSERT_TRUE(difference(line_.configuration(), *target).is_empty()) << "round " << round;
    // And what it says of itself, in its order, makes it again.
    const auto again = try_configuration(router_, now(), "again");
    ASSERT_TRUE(again) << "round " << round << "\n" << now() << again.error().text;
    ASSERT_TRUE(difference(line_.configuration(), *again).is_empty()) << "round " << round;
  }
  EXPECT_GT(lines, 600u);
}

TEST_F(ConfigurationTest, error_in_a_features_line_names_file_line_word_and_what_was_expected) {
  set(kArticle);
  const std::string before = now();
  const std::string sound = std::string(kArticle) + "create loopback interface instance 0\n";
  for (const auto& [line, reason] :
       {std::pair("set acl-plugin acl permit proto tpc", "column 33: 'tpc' is not a protocol"),
        std::pair("nat44 add address 10.2.0", "column 19: "),
        std::pair("policer add name p cir 8 cb", "column 28: the line ends too early"),
        std::pair("create bridge-domain 1 learn 2", "column 30: '2' is not a number from 0 to 1"),
        std::pair("create sub-interfaces netmap-epair0a 5 dot1q 0", "column 46: '0' is not"),
        std::pair("set interface ip table netmap-epair0a 3",
                  "column 39: no table '3'; there are: 0"),
        std::pair("dhcp relay add netmap-epair0a sorver 10.2.0.2",
                  "column 31: unknown input 'sorver'"),
        std::pair("ip6 nd netmap-epair0a ra-intervall 7", "(did you mean ra-interval?)"),
        std::pair("ip route add 10.9.0.0/16 via 10.9.0.1", "route 10.9.0.0/16 via 10.9.0.1: "),
        std::pair("set interface l2 bridge loop0 1", "no bridge-domain '1'; there is none")}) {
    const std::string text = load(sound + line + "\n");
    EXPECT_TRUE(text.starts_with("new.conf:8: ")) << text;
    EXPECT_NE(text.find(reason), std::string::npos) << text;
    EXPECT_EQ(now(), before);
  }
}

}  // namespace
}  // namespace wh::router
