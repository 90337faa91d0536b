#include "host/question.h"

#include <gtest/gtest.h>
#include <unistd.h>

#include <chrono>
#include <future>
#include <memory>

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
