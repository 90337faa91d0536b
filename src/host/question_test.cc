#include "host/question.h"

#include <gtest/gtest.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <atomic>
#include <chrono>
#include <cstddef>
#include <cstring>
#include <future>
#include <memory>
#include <thread>

#include "host/no_descriptor_left.h"

namespace wh::host {
namespace {

class AnswererTest : public ::testing::Test {
 protected:
  // One comes and goes while there are descriptors: to check a call, UBSan may want a pipe.
  AnswererTest() {
    open([](const std::string& question) { return question; });
  }
  std::unique_ptr<Answerer> open(Answerer::Answer answer) const {
    return MUST(Answerer::open(name, std::move(answer)));
  }
  // Somebody who connects and says nothing.
  Fd connect() const {
    Fd socket(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0));
    sockaddr_un un = {.sun_family = AF_UNIX, .sun_path = {}};
    std::memcpy(un.sun_path + 1, name.data(), name.size());
    const size_t size = offsetof(sockaddr_un, sun_path) + 1 + name.size();
    EXPECT_EQ(::connect(socket.raw(), reinterpret_cast<const sockaddr*>(&un),
                        static_cast<socklen_t>(size)),
              0);
    return socket;
  }
  const std::string name = fmt::format("wh-question-{}", ::getpid());
  std::unique_ptr<NoDescriptorLeft> none;
};

TEST_F(AnswererTest, goes_on_when_descriptors_come_back) {
  std::future<Result<std::string>> later;  // Goes after the answerer, whose end ends a question.
  std::promise<void> answered;
  const auto answerer = open([&](const std::string& question) {
    if (question == "how long?") {
      none = std::make_unique<NoDescriptorLeft>();  // The next one who asks cannot be let in.
      answered.set_value();
    }
    return question;
  });
  EXPECT_EQ(MUST(ask(name, "anybody?")), "anybody?");
  EXPECT_EQ(MUST(ask(name, "how long?")), "how long?");
  answered.get_future().wait();
  std::this_thread::sleep_for(std::chrono::milliseconds(50));  // It has tried.
  none.reset();
  later = std::async(std::launch::async, [&] { return ask(name, "still there?"); });
  ASSERT_EQ(later.wait_for(std::chrono::seconds(10)), std::future_status::ready);
  EXPECT_EQ(MUST(later.get()), "still there?");
}

TEST_F(AnswererTest, somebody_who_is_silent_keeps_nobody_from_an_answer) {
  auto answerer = open([](const std::string& question) { return question; });
  const Fd silent = connect();
  auto later = std::async(std::launch::async, [&] { return ask(name, "anybody?"); });
  const bool is_answered = later.wait_for(std::chrono::seconds(20)) == std::future_status::ready;
  EXPECT_TRUE(is_answered);
  if (!is_answered) ::shutdown(silent.raw(), SHUT_WR);
  EXPECT_EQ(MUST(later.get()), "anybody?");
}

TEST_F(AnswererTest, ends_though_somebody_goes_on_asking) {
  auto answerer = open([](const std::string& question) { return question; });
  const Fd asker = connect();
  std::atomic<bool> has_ended = false;
  // Soon enough, and long enough, that no patience ends before the answerer's end.
  std::thread asking([&] {
    for (int i = 0; i < 200 && !has_ended; ++i) {
      if (::send(asker.raw(), "?", 1, MSG_NOSIGNAL) < 0) return;
      std::this_thread::sleep_for(std::chrono::milliseconds(50));
    }
    EXPECT_TRUE(has_ended) << "it waits for the end of a question without one";
    ::shutdown(asker.raw(), SHUT_WR);
  });
  std::this_thread::sleep_for(std::chrono::milliseconds(50));  // It listens to the asker.
  answerer.reset();
  has_ended = true;
  asking.join();
}

TEST_F(AnswererTest, ends_though_no_descriptor_is_left) {
  auto answerer = open([&](const std::string& question) {
    none = std::make_unique<NoDescriptorLeft>();
    return question;
  });
  EXPECT_EQ(MUST(ask(name, "the last?")), "the last?");
  answerer.reset();
}

}  // namespace
}  // namespace wh::host
