// Long configurations: packets pass and commands are heard while one is loaded, compared or saved.
#include <unistd.h>

#include <cstdio>

#include "host/output_file.h"
#include "host/system.h"
#include "router/test_lab.h"

namespace wh::router {
namespace {

class LongConfiguration : public RouterLab {
 protected:
  static constexpr uint32_t kRoutes = 3000;

  LongConfiguration() {
    up();
    small = now();
    large = small;
    for (uint32_t i = 0; i < kRoutes; ++i) {
      const net::Ip4 network{20u << 24 | i << 8};
      large += fmt::format("ip route add {}/24 via 10.2.0.2\n", to_string(network));
    }
    write(large);
  }
  ~LongConfiguration() override { std::remove(path.c_str()); }

  void write(const std::string& text) {
    MUST(MUST(host::OutputFile::create(path)).finish(text));  // A test's folder can be written.
  }
  void begin(const std::string& command, bool is_text = true) {
    is_done = false;
    said.clear();
    activity = line.execute(command, {[this](std::string_view text) { said += text; },
                                      [this](Result<Answer> answer) {
                                        is_done = true;
                                        said += answer ? answer->text() : answer.error().text;
                                        if (answer) rows = answer->data();
                                      },
                                      is_text});
  }
  // Until it is done; how often something else had its turn.
  int finish() {
    int turns = 0;
    for (; !is_done; ++turns) loop.step();
    return turns;
  }
  bool is_refused() {
    const std::string text = say("set sysctl net.inet.ip.ttl 64");
    EXPECT_TRUE(text.empty() || text == "configuration load " + path +
                                            " is under way; nothing else is set until it is done")
        << text;
    return !text.empty();
  }
  void go_on_to_the_change() {
    while (!is_refused()) {
      ASSERT_FALSE(is_done) << said;
      loop.step();
    }
  }

  const std::string path = fmt::format("{}long-{}.conf", testing::TempDir(), ::getpid());
  std::string small, large, said;
  nlohmann::json rows;
  bool is_done = false;
  std::unique_ptr<Activity> activity;
};

TEST_F(LongConfiguration, is_loaded_in_steps_and_nothing_else_is_set_meanwhile) {
  begin("configuration load " + path);
  go_on_to_the_change();
  std::string other;  // Nor by what takes its time.
  EXPECT_EQ(line.execute("ip route load " + path,
                         {[](std::string_view) {},
                          [&](Result<Answer> answer) { other = answer.error().text; }}),
            nullptr);
  EXPECT_EQ(other, "configuration load " + path + " is under way; again when it is done");
  other.clear();  // Nor is half of it saved.
  const auto saving = line.execute(
      "configuration save " + path,
      {[](std::string_view) {},
       [&](Result<Answer> answer) { other = answer ? "saved" : answer.error().text; }});
  EXPECT_GT(finish(), 50);
  EXPECT_EQ(other, "configuration load " + path + " is under way; again when it is done");
  EXPECT_EQ(now(), large);
  EXPECT_FALSE(is_refused());
}

TEST_F(LongConfiguration, says_what_it_changed_line_by_line) {
  begin("configuration load " + path);
  EXPECT_GT(finish(), 50);
  EXPECT_EQ(now(), large);
  EXPECT_TRUE(said.starts_with("+ ip route add 20.0.0.0/24 via 10.2.0.2\n+ ip")) << said;
  EXPECT_EQ(std::count(said.begin(), said.end(), '\n'), kRoutes);
  EXPECT_FALSE(is_refused());
  write(small);
  begin("configuration diff " + path, false);
  EXPECT_GT(finish(), 20);
  EXPECT_EQ(rows["remove"].size(), kRoutes);
  EXPECT_EQ(rows["add"].size(), 0u);
  EXPECT_TRUE(said.empty());
  begin("configuration load " + path);
  EXPECT_GT(finish(), 50);
  EXPECT_EQ(now(), small);
  EXPECT_TRUE(said.starts_with("- ip route add 20.0.0.0/24")) << said;
}

TEST_F(LongConfiguration, is_checked_and_saved_in_steps) {
  begin("configuration check " + path);
  EXPECT_GT(finish(), 40);
  EXPECT_EQ(said, path + fmt::format(": sound, {} lines\n",
                                     std::count(large.begin(), large.end(), '\n')));
  EXPECT_EQ(now(), small);
  begin("configuration load " + path);
  finish();
  begin("configuration save " + path);
  EXPECT_GT(finish(), 20);
  EXPECT_EQ(MUST(host::read_file(path)), large);
  begin("configuration save " + path);
  for (int i = 0; i < 10; ++i) loop.step();
  EXPECT_EQ(say("create loopback interface"),
            "configuration save " + path + " is under way; nothing else is set until it is done");
  activity.reset();
  EXPECT_FALSE(is_refused());
  EXPECT_EQ(MUST(host::read_file(path)), large);
}

// Before the change begins nothing has happened; once it has, it is made whole.
TEST_F(LongConfiguration, whoever_leaves_leaves_no_half_behind) {
  begin("configuration load " + path);
  for (int i = 0; i < 10; ++i) loop.step();
  activity.reset();
  EXPECT_EQ(now(), small);
  EXPECT_FALSE(is_refused());
  begin("configuration load " + path);
  for (int i = 0; i < 10; ++i) loop.step();
  activity->interrupt();
  finish();
  EXPECT_EQ(said, "interrupted");
  EXPECT_EQ(now(), small);
  begin("configuration load " + path);
  for (int i = 0; i < 10; ++i) loop.step();
  go_on_to_the_change();
  for (int i = 0; i < 10; ++i) loop.step();
  activity.reset();
  EXPECT_EQ(said, "");  // There is nobody to hear it.
  EXPECT_EQ(now(), large);
  EXPECT_FALSE(is_refused());
  write(small);
  begin("configuration load " + path);
  for (int i = 0; i < 10; ++i) loop.step();
  go_on_to_the_change();
  activity->interrupt();
  finish();
  EXPECT_EQ(said, "interrupted; the configuration is loaded");
  EXPECT_EQ(now(), small);
}

TEST_F(LongConfiguration, script_that_runs_itself_ends) {
  for (int again = 0; again < 2; ++again) {
    write("show version\nexec " + path + "\n");
    begin("exec " + path);
    finish();
    EXPECT_NE(said.find(path + ": more than 64 scripts at once; does one run itself?"),
              std::string::npos)
        << said;
    activity.reset();
  }
  write("show version\n");
  begin("exec " + path);
  finish();
  EXPECT_TRUE(said.starts_with("wheelhouse v")) << said;
}

TEST_F(LongConfiguration, error_in_the_last_line_changes_nothing) {
  write(large + "ip route add 1.2.3.0/33 via 10.2.0.2\n");
  begin("configuration load " + path);
  finish();
  EXPECT_NE(said.find("'1.2.3.0/33' is not a prefix"), std::string::npos) << said;
  EXPECT_EQ(now(), small);
  EXPECT_FALSE(is_refused());
}

// More lines than a step looks at, and than one block of memory finds.
TEST(ConfigurationDifferenceTest, of_long_configurations) {
  ConfigurationLines from, to;
  for (int i = 0; i < 40'000; ++i) {
    const std::string line = fmt::format("line {}", i);
    if (i % 10'000 != 1) from.push_back({line, "no " + line});
    if (i % 10'000 != 2) to.push_front({line, "no " + line});
  }
  EXPECT_EQ(format(difference(from, to)),
            "- line 2\n- line 10002\n- line 20002\n- line 30002\n"
            "+ line 30001\n+ line 20001\n+ line 10001\n+ line 1\n");
  EXPECT_TRUE(difference(from, from).is_empty());
  EXPECT_TRUE(difference({}, {}).is_empty());
}

}  // namespace
}  // namespace wh::router
