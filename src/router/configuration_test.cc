#include "router/configuration.h"

#include <gtest/gtest.h>

#include "core/random.h"
#include "core/virtual_loop.h"

namespace wh::router {
namespace {

// Paper ports of which some cannot be opened, though nothing says so beforehand.
class TreacherousPorts final : public Ports {
 public:
  explicit TreacherousPorts(Loop& loop) : paper_(loop) {}
  Result<std::unique_ptr<net::Interface>> open(const PortSpec& spec,
                                               net::PacketPool& pool) override {
    if (spec.link == refused) return fail("open {}: refused", spec.link);
    return paper_.open(spec, pool);
  }
  Result<net::Interface::Config> describe(const PortSpec& spec) override {
    if (spec.link == absent) return fail("no interface {}", spec.link);
    return paper_.describe(spec);
  }
  std::string refused = "treacherous", absent = "absent";

 private:
  PaperPorts paper_;
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
    const auto done = apply_configuration(line_, *target);
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

TEST_F(ConfigurationTest, failure_on_the_way_leaves_everything_as_it_was) {
  set(kArticle);
  const std::string before = now();
  const std::string text = load(
      "create netmap name epair7a\n"
      "set interface state netmap-epair7a up\n"
      "create netmap name treacherous\n");
  EXPECT_NE(text.find("the former configuration stands"), std::string::npos) << text;
  EXPECT_NE(text.find("open treacherous: refused"), std::string::npos) << text;
  EXPECT_EQ(now(), before);
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

TEST_F(ConfigurationTest, random_walk_between_configurations_always_arrives) {
  const uint64_t seed = 20241;
  Random random(seed);
  const std::vector<std::string> pool = {"create netmap name a",
                                         "create netmap name b",
                                         "set interface state netmap-a up",
                                         "set interface ip address netmap-a 10.1.0.1/24",
                                         "set interface ip address netmap-b 10.2.0.1/24",
                                         "set interface ip address netmap-b 2001:db8::1/64",
                                         "ip route add 10.7.0.0/16 via 10.1.0.9 netmap-a",
                                         "ip route add 10.8.0.0/16 via drop",
                                         "set ip neighbor netmap-a 10.1.0.9 02:00:00:00:00:08",
                                         "set sysctl net.inet.ip.ttl 9"};
  for (int round = 0; round < 200; ++round) {
    std::string text;
    for (const std::string& l : pool) {
      if (random.below(2) == 0) text += l + "\n";
    }
    const auto target = try_configuration(router_, text, "t");
    if (!target) continue;  // A line that needs one left out.
    const auto done = apply_configuration(line_, *target);
    ASSERT_TRUE(done) << "seed " << seed << ", round " << round << "\n"
                      << text << "\n"
                      << done.error().text;
    ASSERT_TRUE(difference(line_.configuration(), *target).is_empty()) << "round " << round;
  }
}

}  // namespace
}  // namespace wh::router
