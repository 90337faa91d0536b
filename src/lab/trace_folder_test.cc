#include "lab/trace_folder.h"

#include <gtest/gtest.h>

#include <filesystem>
#include <nlohmann/json.hpp>
#include <set>
#include <sstream>

#include "host/system.h"
#include "lab/experiment.h"

namespace wh::lab {
namespace {

class TraceFolderTest : public ::testing::Test {
 protected:
  TraceFolderTest() {
    char name[] = "/tmp/wh-trace-XXXXXX";
    dir_ = ::mkdtemp(name);
  }
  ~TraceFolderTest() override { std::filesystem::remove_all(dir_); }
  static LabSpec lab(std::vector<std::string> flows, const std::string& more = "") {
    std::vector<FlowSpec> parsed;
    for (const std::string& text : flows) parsed.push_back(parse_flow(text).value());
    const std::string link = "rate=10Mbps,delay=10ms,buffer=30ms" + more;
    LabSpec spec = pace_lab({net::parse_link_config(link).value()}, std::move(parsed)).value();
    spec.duration = 4s;
    return spec;
  }
  void run(const LabSpec& spec, const std::string& folder) {
    auto experiment = Experiment::make(spec, {.trace = dir_ / folder}).value();
    experiment->run([](Duration) {});
    ASSERT_TRUE(experiment->finish().has_value());
  }
  std::string read(const std::string& path) { return host::read_file(dir_ / path).value(); }
  std::filesystem::path dir_;
};

TEST_F(TraceFolderTest, has_a_file_for_each_end_of_each_flow) {
  run(lab({"newreno", "cubic,rate=2Mbps,name=a b/c", "newreno,reverse,count=2"}), "t");
  std::set<std::string> names;
  for (const auto& file : std::filesystem::directory_iterator(dir_ / "t")) {
    EXPECT_GT(file.file_size(), 1000u) << file.path();
    names.insert(file.path().filename());
  }
  EXPECT_EQ(names,
            (std::set<std::string>{"1-newreno-1-sender.jsonl", "1-newreno-1-receiver.jsonl",
                                   "2-a_b_c-sender.jsonl", "2-a_b_c-receiver.jsonl",
                                   "3-newreno-2-sender.jsonl", "3-newreno-2-receiver.jsonl",
                                   "4-newreno-3-sender.jsonl", "4-newreno-3-receiver.jsonl"}));
}

TEST_F(TraceFolderTest, same_seed_same_bytes_other_seed_other_bytes) {
  LabSpec spec = lab({"newreno", "cubic,rate=4Mbps"}, ",loss=1%");
  run(spec, "a");
  run(spec, "b");
  spec.seed = 2;
  run(spec, "c");
  for (const char* file : {"1-newreno-sender.jsonl", "2-cubic_4Mbps-receiver.jsonl"}) {
    EXPECT_EQ(read(std::string("a/") + file), read(std::string("b/") + file));
    EXPECT_NE(read(std::string("a/") + file), read(std::string("c/") + file));
  }
}

TEST_F(TraceFolderTest, changes_nothing_of_the_run) {
  const LabSpec spec = lab({"newreno", "cubic,rate=4Mbps"}, ",loss=1%");
  auto plain = Experiment::make(spec, {}).value();
  plain->run([](Duration) {});
  auto traced = Experiment::make(spec, {.trace = dir_ / "t"}).value();
  traced->run([](Duration) {});
  EXPECT_EQ(to_json(plain->report()), to_json(traced->report()));
}

// Whatever the boxes write is an object of JSON, and every event, key and reason in it is in the
// legend.
TEST_F(TraceFolderTest, legend_names_all_that_is_written) {
  run(lab({"newreno,bytes=2MB", "cubic,rate=4Mbps,bytes=1MB", "newreno,reverse,bytes=200kB",
           "dgp,fcc=auto", "bbr", "cubic,web=100ms:20kB", "newreno,onoff=300ms:500ms"},
          ",loss=3%,rev.loss=3%,reorder=2%,dup=1%"),
      "t");
  const std::string legend = host::read_file(WH_DOCS "/blackbox.md").value();
  std::set<std::string> words;
  for (const auto& file : std::filesystem::directory_iterator(dir_ / "t")) {
    std::istringstream lines(read("t/" + file.path().filename().string()));
    for (std::string line; std::getline(lines, line);) {
      const auto object = nlohmann::json::parse(line, nullptr, false);
      ASSERT_TRUE(object.is_object()) << line;
      for (const auto& [key, value] : object.items()) words.insert(key);
      for (const char* key : {"ev", "why", "by", "phase", "path", "timer"}) {
        if (object.contains(key)) words.insert(object[key].get<std::string>());
      }
    }
  }
  EXPECT_GT(words.size(), 50u);
  for (const std::string& word : words) {
    EXPECT_NE(legend.find("`" + word + "`"), std::string::npos) << word;
  }
}

TEST_F(TraceFolderTest, connections_of_a_web_flow_share_its_files) {
  run(lab({"cubic,web=200ms:10kB"}), "t");
  std::set<uint64_t> opened[2];
  for (const bool is_sender : {false, true}) {
    std::istringstream lines(
        read(is_sender ? "t/1-cubic_web-sender.jsonl" : "t/1-cubic_web-receiver.jsonl"));
    for (std::string line; std::getline(lines, line);) {
      const auto object = nlohmann::json::parse(line);
      if (object["ev"] == "open") opened[is_sender].insert(object["conn"].get<uint64_t>());
      EXPECT_TRUE(opened[is_sender].contains(object["conn"].get<uint64_t>())) << line;
    }
  }
  EXPECT_GT(opened[0].size(), 5u);
  EXPECT_EQ(opened[0], opened[1]);
}

TEST_F(TraceFolderTest, refuses_more_files_than_a_process_may_open_and_a_folder_it_cannot_make) {
  const auto many = Experiment::make(lab({"newreno,count=401"}), {.trace = dir_ / "t"});
  ASSERT_FALSE(many.has_value());
  EXPECT_NE(many.error().text.find("at most 400 flows, not 401"), std::string::npos);
  const auto nowhere = Experiment::make(lab({"newreno"}), {.trace = "/proc/no/such"});
  ASSERT_FALSE(nowhere.has_value());
  EXPECT_NE(nowhere.error().text.find("/proc/no/such"), std::string::npos);
}

}  // namespace
}  // namespace wh::lab
