// The black box: what a connection says of its decisions, and that it says nothing unasked.
#include "tcp/black_box.h"

#include <gtest/gtest.h>

#include <algorithm>

#include "tcp/test_world.h"

namespace wh::tcp {
namespace {

class BlackBoxTest : public ::testing::Test {
 protected:
  void trace(Connection& c) {
    c.set_black_box(std::make_unique<BlackBox>(
        [this](std::string_view line) { lines_.emplace_back(line); }, VirtualLoop::kEpoch));
  }
  // A bulk transfer over 10 Mbps, paced if a rate is given, for so long.
  void transfer(Rate pace, Duration length, Bytes queue = 125_KiB) {
    w_.up.config = {.rate = 10_Mbps, .delay = 10ms, .queue = queue};
    w_.down.config.delay = 10ms;
    w_.establish();
    trace(*w_.a);
    w_.a->set_pace_rate(pace);
    receiver_.attach(*w_.b, 0, false);
    sender_.attach(*w_.a, 1'000'000'000, false);
    w_.run(length);
    w_.check();
  }
  // How many lines have all of these.
  size_t count(std::initializer_list<std::string_view> parts) const {
    return static_cast<size_t>(std::count_if(lines_.begin(), lines_.end(), [&](const auto& line) {
      return std::all_of(parts.begin(), parts.end(),
                         [&](auto part) { return line.find(part) != std::string::npos; });
    }));
  }

  TestWorld w_;
  TestApp sender_, receiver_;
  std::vector<std::string> lines_;
};

TEST_F(BlackBoxTest, every_line_is_one_object_with_time_event_and_state) {
  transfer(Rate::infinite(), 500ms);
  ASSERT_GT(lines_.size(), 100u);
  for (const std::string& line : lines_) {
    EXPECT_EQ(line.rfind("{\"t\":", 0), 0u) << line;
    EXPECT_EQ(line.find('\n'), line.size() - 1) << line;
    EXPECT_EQ(line[line.size() - 2], '}') << line;
    EXPECT_NE(line.find("\"ev\":\""), std::string::npos) << line;
    EXPECT_NE(line.find("\"cwnd\":"), std::string::npos) << line;
  }
}

TEST_F(BlackBoxTest, a_paced_connection_says_when_it_was_held_and_which_path_sent) {
  transfer(8_Mbps, 1s);
  EXPECT_GT(count({"\"ev\":\"hold\"", "\"why\":\"pacing\"", "\"until\":"}), 50u);
  EXPECT_GT(count({"\"ev\":\"hold\"", "\"why\":\"burst\""}), 50u);
  EXPECT_GT(count({"\"ev\":\"out\"", "\"why\":\"data\"", "\"path\":\"fast\""}), 100u);
  EXPECT_GT(count({"\"ev\":\"out\"", "\"why\":\"data\"", "\"path\":\"full\""}), 0u);
  EXPECT_GT(count({"\"ev\":\"pace\"", "\"rate\":8000000", "\"wire\":4542"}), 50u);
  EXPECT_EQ(count({"\"ev\":\"rate\"", "\"rate\":8000000"}), 1u);
}

TEST_F(BlackBoxTest, an_unpaced_connection_is_held_by_its_window) {
  transfer(Rate::infinite(), 200ms);
  EXPECT_GT(count({"\"ev\":\"hold\"", "\"why\":\"cwnd\""}), 10u);
  EXPECT_EQ(count({"\"why\":\"pacing\""}), 0u);
}

TEST_F(BlackBoxTest, a_loss_is_found_by_rack_repaired_and_told) {
  transfer(Rate::infinite(), 3s, 16_KiB);
  EXPECT_GT(count({"\"ev\":\"lost\"", "\"by\":\"rack\""}), 0u);
  EXPECT_GT(count({"\"ev\":\"out\"", "\"why\":\"rack\"", "\"times\":2"}), 0u);
  EXPECT_EQ(count({"\"ev\":\"recovery\"", "\"phase\":\"begin\""}),
            count({"\"ev\":\"recovery\"", "\"phase\":\"end\""}) +
                count({"\"ev\":\"recovery\"", "\"phase\":\"undo\""}) +
                (w_.a->info().recovery == Recovery::Recovery ? 1u : 0u));
}

TEST_F(BlackBoxTest, a_dead_path_shows_probes_timeouts_and_the_timers_behind_them) {
  transfer(Rate::infinite(), 100ms);
  lines_.clear();
  w_.up.config.loss = 1;
  w_.run(5s);
  EXPECT_GT(count({"\"ev\":\"fire\"", "\"timer\":\"tlp\""}), 0u);
  EXPECT_GT(count({"\"ev\":\"out\"", "\"why\":\"tlp"}), 0u);
  EXPECT_GT(count({"\"ev\":\"fire\"", "\"timer\":\"rto\""}), 1u);
  EXPECT_GT(count({"\"ev\":\"lost\"", "\"by\":\"timeout\""}), 1u);
  EXPECT_GT(count({"\"ev\":\"out\"", "\"why\":\"rto\""}), 1u);
  EXPECT_GT(count({"\"ev\":\"timers\"", "\"rto\":"}), 1u);
}

TEST_F(BlackBoxTest, a_handshake_and_a_close_are_a_line_for_each_state) {
  TestWorld w;
  Listener& listener = w.listen();
  Connection& c = *MUST(w.client.tcp.connect(
      w.server_endpoint(), {.on_create = [this](Connection& made) { trace(made); }}));
  w.run(20ms);
  listener.accept()->close();
  w.run(20ms);
  c.close();
  w.run(20ms);
  EXPECT_EQ(count({"\"ev\":\"open\"", "\"remote\":\"10.0.0.2:80\""}), 1u);
  EXPECT_EQ(count({"\"ev\":\"out\"", "\"why\":\"syn\"", "\"flags\":\"S\""}), 1u);
  for (const char* state : {"SYN_SENT", "ESTABLISHED", "CLOSE_WAIT", "LAST_ACK", "CLOSED"}) {
    EXPECT_EQ(count({"\"ev\":\"state\"", fmt::format("\"state\":\"{}\"", state)}), 1u) << state;
  }
  EXPECT_EQ(count({"\"ev\":\"out\"", "\"why\":\"fin\""}), 1u);
  EXPECT_EQ(count({"\"state\":\"CLOSED\"", "\"end\":"}), 1u);
}

TEST_F(BlackBoxTest, an_attempt_that_is_given_up_says_why_and_has_nothing_unsent) {
  TestWorld w;
  Connection& c = *MUST(w.client.tcp.connect(
      w.server_endpoint(), {.on_create = [this](Connection& made) { trace(made); }}));
  w.run(1ms);
  c.abort();
  EXPECT_EQ(count({"\"from\":\"SYN_SENT\"", "\"unsent\":0", "\"end\":"}), 1u);
}

TEST_F(BlackBoxTest, who_accepts_a_connection_has_nothing_unsent_when_it_is_established) {
  TestWorld w;
  Listener::Config config;
  config.local.port = TestWorld::kPort;
  config.on_create = [this](Connection& made) { trace(made); };
  MUST(w.server.tcp.listen(std::move(config)));
  w.connect();
  w.run(20ms);
  EXPECT_EQ(count({"\"from\":\"SYN_RECEIVED\"", "\"unsent\":0}"}), 1u);
}

TEST_F(BlackBoxTest, nothing_is_said_once_it_is_taken_away) {
  transfer(Rate::infinite(), 100ms);
  w_.a->set_black_box(nullptr);
  const size_t before = lines_.size();
  w_.run(500ms);
  EXPECT_EQ(lines_.size(), before);
}

TEST_F(BlackBoxTest, it_changes_nothing_of_what_the_connection_does) {
  transfer(8_Mbps, 1s);
  const std::string traced = to_string(w_.a->info());
  w_.a->set_black_box(nullptr);
  TestWorld w;
  w.up.config = w_.up.config;
  w.down.config = w_.down.config;
  w.establish();
  TestApp sender, receiver;
  w.a->set_pace_rate(8_Mbps);
  receiver.attach(*w.b, 0, false);
  sender.attach(*w.a, 1'000'000'000, false);
  w.run(1s);
  EXPECT_EQ(to_string(w.a->info()), traced);
}

}  // namespace
}  // namespace wh::tcp
