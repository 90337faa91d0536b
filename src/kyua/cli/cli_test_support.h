// A suite of programs in a folder of its own, and the command line that runs them in a child
// process.
#pragma once

#include <fcntl.h>
#include <gtest/gtest.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <filesystem>
#include <regex>

#include "host/system.h"
#include "kyua/cli/cli.h"

namespace wh::kyua::cli {

namespace fs = std::filesystem;

inline constexpr const char* kOracle = "/usr/bin/kyua";

struct Ran {
  int status = -1;
  std::string out, err;
};

class CliTest : public testing::Test {
 protected:
  void SetUp() override {
    std::string name = testing::TempDir() + "cli." + std::string(6, 'X');
    ASSERT_NE(::mkdtemp(name.data()), nullptr);
    folder_ = fs::canonical(name).string();
    ::chmod(folder_.c_str(), 0755);
    for (const char* part : {"home", "suite", "suite/sub", "tmp"}) {
      fs::create_directory(folder_ + "/" + part);
    }
    suite_ = folder_ + "/suite";
  }
  void TearDown() override {
    EXPECT_TRUE(fs::is_empty(folder_ + "/tmp")) << "work folders are left behind";
    fs::remove_all(folder_);
  }

  void script(const std::string& name, const std::string& text) {
    const std::string path = suite_ + "/" + name;
    ASSERT_TRUE(host::write_file(path, "#!/bin/sh\n" + text + "\n"));
    ASSERT_EQ(::chmod(path.c_str(), 0755), 0);
  }
  void kyuafile(const std::string& text, const std::string& path = "Kyuafile") {
    ASSERT_TRUE(host::write_file(suite_ + "/" + path, "syntax(2)\ntest_suite('demo')\n" + text));
  }
  void demo_suite() {
    script("pass", "echo out; exit 0");
    script("fail", "exit 3");
    script("sub/tap", "echo 1..2; echo ok 1; echo not ok 2");
    kyuafile(
        "plain_test_program{name='pass'}\nplain_test_program{name='fail', timeout=5, "
        "['custom.A']='v'}\nplain_test_program{name='pass', required_files='/no/such'}\n"
        "include('sub/Kyuafile')");
    kyuafile("tap_test_program{name='tap'}", "sub/Kyuafile");
  }

  // Starts a command with the suite as its current folder.
  pid_t start(const std::vector<std::string>& words, bool is_oracle = false) {
    const pid_t pid = ::fork();
    if (pid != 0) return pid;
    const host::Fd out = MUST(host::open_file(folder_ + "/out", O_WRONLY | O_CREAT | O_TRUNC)),
                   err = MUST(host::open_file(folder_ + "/err", O_WRONLY | O_CREAT | O_TRUNC));
    ::dup2(out.raw(), 1);
    ::dup2(err.raw(), 2);
    ::setenv("HOME", (folder_ + "/home").c_str(), 1);
    ::setenv("TMPDIR", (folder_ + "/tmp").c_str(), 1);
    if (::chdir(suite_.c_str()) != 0) ::_exit(99);
    std::vector<std::string> all = {is_oracle ? kOracle : "kyua"};
    all.insert(all.end(), words.begin(), words.end());
    std::vector<char*> argv;
    for (std::string& word : all) argv.push_back(word.data());
    argv.push_back(nullptr);
    if (is_oracle) ::execv(kOracle, argv.data());
    ::_exit(main(static_cast<int>(all.size()), argv.data()));
  }
  Ran finish(pid_t pid) {
    int status = 0;
    ::waitpid(pid, &status, 0);
    return {WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status),
            host::read_file(folder_ + "/out").value_or(""),
            host::read_file(folder_ + "/err").value_or("")};
  }
  Ran run(const std::vector<std::string>& words) { return finish(start(words)); }
  Ran oracle(const std::vector<std::string>& words) { return finish(start(words, true)); }

  // With what differs between two runs replaced.
  std::string plain(std::string text) {
    text = std::regex_replace(text, std::regex("[0-9]+\\.[0-9]{3}s"), "TIME");
    return std::regex_replace(text, std::regex("[0-9]{8}-[0-9]{6}-[0-9]{6}"), "STAMP");
  }

  std::string folder_, suite_;
};

}  // namespace wh::kyua::cli
