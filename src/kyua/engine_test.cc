// The engine on real processes: shell scripts in a folder of their own.
#include "kyua/engine.h"

#include <gtest/gtest.h>
#include <sys/stat.h>
#include <unistd.h>

#include <csignal>
#include <filesystem>
#include <map>

#include "host/system.h"
#include "kyua/worker.h"

namespace wh::kyua {
namespace {

namespace fs = std::filesystem;

struct Seen {
  TestResult result;
  std::string out, err;
  int attempts = 0;
  Duration took{};
};

class Collector final : public Observer {
 public:
  Result<void> finished(const Finished& f) override {
    const std::string id = case_id(f.program, f.test_case.name);
    order.push_back(id);
    all[id] = {f.outcome.result, std::string(f.out), std::string(f.err), f.attempt,
               f.outcome.end - f.outcome.start};
    if (on_finished) on_finished();
    return {};
  }
  void started(const TestProgram&, const TestCase&, int running) override {
    most_running = std::max(most_running, running);
    if (on_started) on_started();
  }
  std::map<std::string, Seen> all;
  std::vector<std::string> order;
  int most_running = 0;
  std::function<void()> on_started, on_finished;
};

class EngineTest : public testing::Test {
 protected:
  void SetUp() override {
    std::string name = testing::TempDir() + "engine." + std::string(6, 'X');
    ASSERT_NE(::mkdtemp(name.data()), nullptr);
    root_ = name;
    ASSERT_EQ(::chmod(root_.c_str(), 0755), 0);
    temporary_ = root_ + "/tmp";
    fs::create_directory(temporary_);
    config_ = default_config();
  }
  void TearDown() override { fs::remove_all(root_); }

  TestProgram& script(const std::string& name, const std::string& body,
                      const std::string& interface = "plain") {
    const std::string path = root_ + "/" + name;
    EXPECT_TRUE(host::write_file(path, "#!/bin/sh\n" + body + "\n"));
    EXPECT_EQ(::chmod(path.c_str(), 0755), 0);
    programs_.push_back({interface, root_, name, "demo", {}});
    return programs_.back();
  }
  // An ATF program in plain shell: `cases` is its list, `body` a case statement's arms.
  TestProgram& atf(const std::string& name, const std::string& cases, const std::string& arms) {
    return script(name,
                  "for a; do case $a in -l) printf 'Content-Type: application/X-atf-tp; "
                  "version=\"1\"\\n\\n" +
                      cases +
                      "'; exit 0;; -r*) r=${a#-r};; esac; done\n"
                      "case $a in\n" +
                      arms + "\nesac",
                  "atf");
  }

  void run(Scanner::Options scanning = {}, Engine::Options options = {}) {
    options.temporary = temporary_;
    loop_ = MUST(host::RealLoop::make());
    const Calendar calendar(*loop_);
    Scanner scanner(programs_, {}, std::move(scanning));
    Engine engine(*loop_, config_, calendar, scanner, seen_, options);
    engine_ = &engine;
    const auto done = engine.run();
    EXPECT_TRUE(done) << done.error().text;
    counts_ = engine.counts();
    engine_ = nullptr;
    EXPECT_TRUE(fs::is_empty(temporary_)) << "work folders are left behind";
  }
  std::string result(const std::string& id) { return to_string(seen_.all[id].result); }

  std::string root_, temporary_;
  Config config_;
  std::vector<TestProgram> programs_;
  Collector seen_;
  std::unique_ptr<host::RealLoop> loop_;
  std::unique_ptr<Timer> later_;
  Engine* engine_ = nullptr;
  Engine::Counts counts_;
};

TEST_F(EngineTest, runs_cases_in_order_and_keeps_their_output) {
  script("b", "echo out; echo err >&2; exit 3");
  script("a", "exit 0");
  run();
  EXPECT_EQ(seen_.order, (std::vector<std::string>{"b:main", "a:main"}));
  EXPECT_EQ(result("b:main"), "failed: Returned non-success exit status 3");
  EXPECT_EQ(seen_.all["b:main"].out, "out\n");
  EXPECT_EQ(seen_.all["b:main"].err, "err\n");
  EXPECT_EQ(seen_.all["a:main"].out, "");
  EXPECT_EQ(counts_.good, 1u);
  EXPECT_EQ(counts_.bad, 1u);
}

TEST_F(EngineTest, isolates_a_case_as_promised) {
  script("p",
         "pwd; echo $HOME; echo $TMPDIR; echo $TZ; echo \"[$LANG]\"; umask; ls -A | wc -l\n"
         "read line || echo eof; ls /proc/self/fd | wc -l; ps -o sid= -p $$ | tr -d ' '; echo $$");
  ::setenv("LANG", "xx", 1);
  run();
  const auto lines = split_lines(seen_.all["p:main"].out);
  ASSERT_EQ(lines.size(), 11u) << seen_.all["p:main"].out << seen_.all["p:main"].err;
  EXPECT_TRUE(lines[0].starts_with(temporary_ + "/kyua."));
  EXPECT_EQ(lines[0], lines[1]);
  EXPECT_EQ(lines[0], lines[2]);
  EXPECT_EQ(lines[3], "UTC");
  EXPECT_EQ(lines[4], "[]");
  EXPECT_EQ(lines[5], "0022");
  EXPECT_EQ(lines[6], "0");
  EXPECT_EQ(lines[7], "eof");
  EXPECT_EQ(lines[8], "4");  // 0, 1, 2 and the listing's own.
  EXPECT_EQ(lines[9], lines[10]);
}

TEST_F(EngineTest, runs_atf_cases_with_cleanup_in_the_same_folder) {
  atf("t", "ident: good\\nhas.cleanup: true\\n\\nident: bad\\nhas.cleanup: true\\n",
      "good) echo x >file; echo passed >$r;;\n"
      "good:cleanup) cat file;;\n"
      "bad) touch left1 left2; echo 'failed: Doomed' >$r; exit 1;;\n"
      "bad:cleanup) echo cleaned; exit 1;;");
  run();
  EXPECT_EQ(result("t:good"), "passed");
  EXPECT_EQ(seen_.all["t:good"].out, "x\n");
  EXPECT_EQ(result("t:bad"), "failed: Doomed");  // A bad cleanup does not change a bad result.
  EXPECT_EQ(seen_.all["t:bad"].out, "cleaned\n");
  EXPECT_EQ(seen_.all["t:bad"].err, "Files left in work directory after failure: left1, left2\n");
}

TEST_F(EngineTest, breaks_a_good_case_whose_cleanup_fails) {
  atf("t", "ident: a\\nhas.cleanup: true\\n", "a) echo passed >$r;;\na:cleanup) exit 1;;");
  script("p", "exit 0");
  ASSERT_TRUE(programs_.back().metadata.set("has_cleanup", "true"));
  run();
  EXPECT_EQ(result("t:a"), "broken: Test case cleanup did not terminate successfully");
  EXPECT_EQ(result("p:main"), "broken: Test case cleanup did not terminate successfully");
}

TEST_F(EngineTest, kills_the_whole_tree_at_the_timeout) {
  const std::string pids = root_ + "/pids";
  // One that ignores SIGTERM, one in the background, one in a session of its own.
  script("p", "trap '' TERM; sleep 321 & echo $! >" + pids + "; setsid sh -c 'echo $$ >>" + pids +
                  "; exec sleep 321' & wait; wait; sleep 321");
  ASSERT_TRUE(programs_.back().metadata.set("timeout", "1"));
  run();
  EXPECT_EQ(result("p:main"), "broken: Test case timed out");
  const auto words = split_words(*host::read_file(pids));
  ASSERT_EQ(words.size(), 2u);
  for (const std::string& pid : words) {
    EXPECT_NE(::kill(static_cast<pid_t>(*parse_int(pid)), 0), 0) << pid << " is still there";
  }
}

TEST_F(EngineTest, ends_daemons_that_outlive_their_case) {
  const std::string pid_file = root_ + "/pid";
  script("p", "setsid sh -c '(echo $$ >" + pid_file + "; exec sleep 321) &' ; while [ ! -s " +
                  pid_file + " ]; do sleep 0.01; done; exit 0");
  run();
  EXPECT_EQ(result("p:main"), "passed");
  const auto pid = parse_int(trim(*host::read_file(pid_file)));
  ASSERT_TRUE(pid);
  EXPECT_NE(::kill(static_cast<pid_t>(*pid), 0), 0);
}

TEST_F(EngineTest, lets_the_dead_that_a_case_has_orphaned_go) {
  script("p",
         "sh -c 'sleep 0.02 & echo $! >pid'; i=0\n"
         "while kill -0 $(cat pid) 2>/dev/null; do\n"
         "  i=$((i+1)); test $i -lt 1000 || exit 1; sleep 0.01\ndone");
  run();
  EXPECT_EQ(result("p:main"), "passed");
}

TEST_F(EngineTest, breaks_a_case_that_prints_without_end) {
  script("p",
         "while :; do echo xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx; done");
  run({}, {.output_limit = 1_MiB});
  EXPECT_EQ(result("p:main"), "broken: Test case wrote more than 1.00M of output");
  EXPECT_EQ(seen_.all["p:main"].out.size(), size_t{1} << 20);
}

TEST_F(EngineTest, breaks_a_case_that_multiplies_without_end) {
  // Each waits for a writer that never comes.
  script("p", "mkfifo f; while :; do read -r line < f & done");
  run({}, {.process_limit = 100});
  EXPECT_EQ(result("p:main"), "broken: Test case started more than 100 processes");
}

TEST_F(EngineTest, keeps_binary_output_and_the_next_cases_output_apart) {
  script("p", "printf 'a\\000\\377b'");
  script("q", "echo clean");
  run();
  EXPECT_EQ(seen_.all["p:main"].out, std::string("a\0\xff"
                                                 "b",
                                                 4));
  EXPECT_EQ(seen_.all["q:main"].out, "clean\n");
}

TEST_F(EngineTest, says_why_a_program_cannot_be_started) {
  script("p", "");
  ASSERT_EQ(::chmod((root_ + "/p").c_str(), 0644), 0);
  script("t", "", "atf");
  ASSERT_EQ(::chmod((root_ + "/t").c_str(), 0644), 0);
  run();
  EXPECT_EQ(result("p:main"), "broken: Received signal 6");
  EXPECT_EQ(seen_.all["p:main"].err, "Failed to execute " + root_ + "/p: Permission denied\n");
  EXPECT_EQ(result("t:__test_cases_list__"), "broken: Permission denied to run test program");
}

TEST_F(EngineTest, says_where_a_program_that_dumped_core_was) {
  const std::string pattern = host::read_file("/proc/sys/kernel/core_pattern").value_or("|");
  if (pattern.starts_with('|') || pattern.starts_with('/')) {
    GTEST_SKIP() << "core dumps go elsewhere on this machine: " << pattern;
  }
  if (::system("gdb --version >/dev/null 2>&1") != 0) GTEST_SKIP() << "no gdb";
  script("p", "kill -SEGV $$");
  run();
  EXPECT_EQ(result("p:main"), "broken: Received signal 11");
  const std::string err = seen_.all["p:main"].err;
  EXPECT_NE(err.find("and dumped core; attempting to gather stack trace\n"), err.npos) << err;
  EXPECT_NE(err.find("\n#0 "), err.npos) << err;
  EXPECT_NE(err.find("Files left in work directory after failure: core"), err.npos) << err;
}

TEST_F(EngineTest, does_all_cases_of_a_slot_in_one_process) {
  const std::string parents = root_ + "/parents";
  for (int i = 0; i < 5; ++i) script(fmt::format("p{}", i), "echo $PPID >>" + parents);
  run();
  const auto words = split_words(*host::read_file(parents));
  ASSERT_EQ(words.size(), 5u);
  for (const std::string& word : words) EXPECT_EQ(word, words[0]);
}

TEST_F(EngineTest, goes_on_with_another_process_when_a_test_kills_the_one_it_is_in) {
  script("a", "exit 0");
  const std::string pids = root_ + "/pids";
  script("killer", "touch left; setsid sh -c 'echo $$ >>" + pids +
                       "; exec sleep 321' & echo $$ >>" + pids + "; until [ $(wc -l <" + pids +
                       ") = 2 ]; do sleep 0.01; done; kill -9 $PPID; sleep 321");
  script("b", "exit 1");
  script("c", "exit 0");
  run();
  EXPECT_EQ(result("killer:main"), "broken: The process that ran the case did not finish");
  for (const std::string& pid : split_words(*host::read_file(pids))) {
    EXPECT_NE(::kill(static_cast<pid_t>(*parse_int(pid)), 0), 0) << pid << " lives on";
  }
  EXPECT_EQ(result("b:main"), "failed: Returned non-success exit status 1");
  EXPECT_EQ(result("c:main"), "passed");
}

TEST_F(EngineTest, skips_what_may_not_run_here) {
  const auto needs = [&](const std::string& name, const char* property, const char* value) {
    script(name, "exit 1");
    ASSERT_TRUE(programs_.back().metadata.set(property, value));
  };
  needs("conf", "required_configs", "myvar");
  needs("arch", "allowed_architectures", "vax");
  needs("plat", "allowed_platforms", "toaster");
  needs("prog", "required_programs", "no-such-program");
  needs("file", "required_files", "/non/existent");
  needs("leaf", "required_files", "leaf");
  needs("mem", "required_memory", "500T");
  needs("disk", "required_disk_space", "900T");
  needs("kmod", "required_kmods", "no_such_module");
  needs("env", "execenv", "moon");
  run();
  EXPECT_EQ(result("conf:main"), "skipped: Required configuration property 'myvar' not defined");
  EXPECT_EQ(result("arch:main"),
            fmt::format("skipped: Current architecture '{}' not supported", config_.architecture));
  EXPECT_EQ(result("plat:main"),
            fmt::format("skipped: Current platform '{}' not supported", config_.platform));
  EXPECT_EQ(result("prog:main"), "skipped: Required program 'no-such-program' not found in PATH");
  EXPECT_EQ(result("file:main"), "skipped: Required file '/non/existent' not found");
  EXPECT_EQ(result("leaf:main"), "skipped: Required file 'leaf' not found");
  EXPECT_TRUE(result("mem:main").starts_with("skipped: Requires 500.00T bytes of physical memory"));
  EXPECT_TRUE(result("disk:main").starts_with("skipped: Requires 900.00T bytes of free disk"));
  EXPECT_EQ(result("kmod:main"), "skipped: Required kmods are not loaded: no_such_module.");
  EXPECT_EQ(result("env:main"),
            "skipped: 'moon' execenv is not supported or not allowed by the "
            "runtime user configuration");
}

TEST_F(EngineTest, runs_exclusive_cases_alone_and_last) {
  config_.parallelism = 4;
  const std::string lock = root_ + "/busy";
  for (int i = 0; i < 3; ++i) {
    script(fmt::format("x{}", i), "mkdir " + lock + " && sleep 0.05 && rmdir " + lock);
    ASSERT_TRUE(programs_.back().metadata.set("is_exclusive", "true"));
  }
  for (int i = 0; i < 8; ++i) script(fmt::format("p{}", i), "sleep 0.05; test ! -e " + lock);
  run();
  EXPECT_EQ(counts_.bad, 0u);
  EXPECT_EQ(counts_.good, 11u);
  EXPECT_EQ(seen_.most_running, 4);
  for (int i = 0; i < 3; ++i) EXPECT_EQ(seen_.order[static_cast<size_t>(8 + i)][0], 'x');
}

TEST_F(EngineTest, shards_cover_the_suite_without_overlap) {
  for (int i = 0; i < 7; ++i) script(fmt::format("p{}", i), "exit 0");
  std::map<std::string, int> times;
  for (const char* text : {"1/3", "2/3", "3/3"}) {
    seen_ = {};
    run({.shard = *Shard::parse(text)});
    for (const auto& [id, ignored] : seen_.all) ++times[id];
  }
  EXPECT_EQ(times.size(), 7u);
  for (const auto& [id, count] : times) EXPECT_EQ(count, 1) << id;
  for (const char* bad : {"0/3", "4/3", "1", "a/b", "1/0"}) EXPECT_FALSE(Shard::parse(bad)) << bad;
}

// Listings that run beside one another end in any order.
TEST_F(EngineTest, shards_are_the_same_whatever_is_listed_first) {
  config_.parallelism = 2;
  std::map<std::string, int> times;
  for (const char* text : {"1/2", "2/2"}) {
    programs_.clear();
    seen_ = {};
    const std::string slow = text[0] == '1' ? "p" : "q";
    for (const char* name : {"p", "q"}) {
      const std::string wait = name == slow ? "sleep 0.3; " : "";
      script(name,
             wait +
                 "for a; do case $a in -l) printf 'Content-Type: application/X-atf-tp; "
                 "version=\"1\"\\n\\nident: a\\n\\nident: b\\n\\nident: c\\n'; exit;; "
                 "-r*) echo passed >${a#-r};; esac; done",
             "atf");
    }
    run({.shard = *Shard::parse(text)});
    for (const auto& [id, ignored] : seen_.all) ++times[id];
  }
  EXPECT_EQ(times.size(), 6u);
  for (const auto& [id, count] : times) EXPECT_EQ(count, 1) << id;
}

TEST_F(EngineTest, says_of_what_is_run_again_or_in_parts_that_it_cannot_be_listed) {
  script("p", "exit 3", "atf");
  script("q", "exit 3", "atf");
  run({.only = std::set<std::string>{"p:a"}});
  EXPECT_EQ(seen_.order, std::vector<std::string>{"p:__test_cases_list__"});
  for (const char* text : {"1/2", "2/2"}) {
    seen_ = {};
    run({.shard = *Shard::parse(text)});
    EXPECT_EQ(seen_.order.size(), 2u);
  }
}

TEST_F(EngineTest, tries_again_and_calls_it_flaky) {
  const std::string mark = root_ + "/mark";
  script("p", "test -e " + mark + " || { touch " + mark + "; exit 1; }");
  script("q", "exit 1");
  run({}, {.retries = 2});
  EXPECT_EQ(result("p:main"), "passed");
  EXPECT_EQ(seen_.all["p:main"].attempts, 2);
  EXPECT_EQ(seen_.all["q:main"].attempts, 3);
  EXPECT_EQ(counts_.flaky, 1u);
  EXPECT_EQ(counts_.bad, 1u);
}

TEST_F(EngineTest, stops_at_the_first_bad_case_if_told) {
  script("a", "exit 0");
  script("b", "exit 1");
  script("c", "exit 0");
  run({}, {.stops_at_first_bad = true});
  EXPECT_EQ(seen_.order, (std::vector<std::string>{"a:main", "b:main"}));
}

TEST_F(EngineTest, starts_with_the_slowest_of_last_time) {
  for (const char* name : {"fast", "slow", "unknown", "middle"}) script(name, "exit 0");
  run({.last_durations = {{"fast:main", 1ms}, {"slow:main", 9s}, {"middle:main", 1s}}});
  EXPECT_EQ(seen_.order,
            (std::vector<std::string>{"unknown:main", "slow:main", "middle:main", "fast:main"}));
}

TEST_F(EngineTest, runs_cleanups_and_keeps_what_is_finished_when_interrupted) {
  const std::string mark = root_ + "/cleaned";
  script("done", "exit 0");
  atf("t", "ident: a\\nhas.cleanup: true\\n",
      "a) touch " + root_ + "/started; sleep 321;;\na:cleanup) touch " + mark + ";;");
  seen_.on_started = [this] {
    if (seen_.order.empty()) return;
    // The body has begun once its file is there.
    later_ = std::make_unique<Timer>(*loop_, [this] {
      if (fs::exists(root_ + "/started")) return engine_->stop();
      later_->arm(loop_->now() + 10ms);
    });
    later_->arm(loop_->now() + 10ms);
  };
  run();
  EXPECT_EQ(seen_.order, std::vector<std::string>{"done:main"});
  EXPECT_TRUE(fs::exists(mark));
}

TEST(Worker, reads_the_orders_that_the_runner_writes) {
  Order order{7, TestCase{"a:b c", {}}};
  auto& metadata = order.test_case->metadata;
  for (const auto& [name, value] :
       {std::pair("custom.A", "3:x\n"), std::pair("required_memory", "1.5G"),
        std::pair("required_programs", "b a"), std::pair("timeout", "17"),
        std::pair("description", "\"quoted\" and \xff"), std::pair("is_exclusive", "true"),
        std::pair("execenv_jail_params", "vnet 'a b'"), std::pair("required_user", "root")}) {
    ASSERT_TRUE(metadata.set(name, value)) << name;
  }
  const auto read = decode_order(encode(order));
  ASSERT_TRUE(read) << read.error().text;
  EXPECT_EQ(read->program, 7u);
  EXPECT_EQ(read->test_case->name, "a:b c");
  EXPECT_EQ(read->test_case->metadata, metadata);
  EXPECT_FALSE(decode_order(encode({3, {}}))->test_case.has_value());
  for (const char* bad : {"", "x", "1:", "9:a", "1:1-1:a", "1:x"}) {
    EXPECT_FALSE(decode_order(bad)) << bad;
  }
}

TEST(Worker, takes_frames_whole_however_they_come) {
  const std::string sent = to_frame("hello") + to_frame("") + to_frame(std::string(10000, 'x'));
  std::string received;
  std::vector<size_t> sizes;
  for (const char c : sent) {
    received += c;
    while (const auto text = take_frame(received)) sizes.push_back(text->size());
  }
  EXPECT_EQ(sizes, (std::vector<size_t>{5, 0, 10000}));
  EXPECT_TRUE(received.empty());
}

}  // namespace
}  // namespace wh::kyua
