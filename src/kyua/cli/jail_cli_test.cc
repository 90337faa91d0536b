// The command line with cases that run in jails of their own.
#include "kyua/cli/cli_test_support.h"
#include "kyua/jail_execenv.h"

namespace wh::kyua::cli {
namespace {

class JailCliTest : public CliTest {
 protected:
  void SetUp() override {
    CliTest::SetUp();
    auto registry = jail::Registry::open_at(folder_ + "/run");
    ::setenv("WHEELHOUSE_RUN", (folder_ + "/run").c_str(), 1);
    auto probe = jail::Jail::create(*registry, *jail::parse_params({"name=probe"}), {});
    if (!probe) GTEST_SKIP() << "no jails here: " << probe.error().text;
    ASSERT_TRUE(probe->remove());
  }
  void TearDown() override {
    ::unsetenv("WHEELHOUSE_RUN");
    CliTest::TearDown();
  }
};

TEST_F(JailCliTest, runs_body_and_cleanup_of_a_case_in_one_jail) {
  script(
      "t",
      "r=; for a; do case $a in -l) printf 'Content-Type: application/X-atf-tp; version=\"1\"\\n\\n"
      "ident: a\\nhas.cleanup: true\\n'; exit 0;; -r*) r=${a#-r};; esac; done\n"
      "case $a in\na) hostname; readlink /proc/self/ns/net >ns; ls /sys/class/net >/dev/null;\n"
      "  echo passed >$r;;\na:cleanup) test \"$(cat ns)\" = \"$(readlink "
      "/proc/self/ns/net)\";;\nesac");
  script("p", "exit 0");
  kyuafile(
      "atf_test_program{name='t', execenv='jail', execenv_jail_params='vnet'}\n"
      "plain_test_program{name='p', execenv='jail', execenv_jail_params='no.such'}\n");
  const Ran ran = run({"test", "-r", folder_ + "/r.db"});
  EXPECT_NE(ran.out.find("t:a  ->  passed"), std::string::npos) << ran.out << ran.err;
  EXPECT_NE(ran.out.find("p:main  ->  failed: Returned non-success exit status 1"),
            std::string::npos);
  const Ran report = run({"report", "--verbose", "--results-filter=", "-r", folder_ + "/r.db"});
  EXPECT_NE(report.out.find("unknown parameter: no.such"), std::string::npos) << report.out;
  EXPECT_NE(report.out.find(jail_name(suite_ + "/t", "a").substr(0, 64)), std::string::npos);
  EXPECT_TRUE(fs::is_empty(folder_ + "/run/jails"));
  const Ran skipped = run({"-v", "execenvs=host", "test", "-r", folder_ + "/s.db"});
  EXPECT_NE(skipped.out.find("t:a  ->  skipped: 'jail' execenv is not supported"),
            std::string::npos);
}

TEST_F(JailCliTest, runs_exec_start_before_a_case_and_exec_stop_after_it) {
  script("t", "cd " + suite_ + " && grep -q kyua started && echo ran >>started");
  script("p", "exit 0");
  kyuafile(fmt::format(
      "local function add(name, params) plain_test_program{{name=name, execenv='jail', "
      "execenv_jail_params=params}} end\n"
      "add('t', [[exec.clean exec.start='cd {0}; hostname >started; echo $HOME >>started' "
      "exec.stop='cd {0}; echo stop >>started']])\n"
      "add('p', 'exec.start=\"exit 3\" exec.start=\"touch {0}/second\"')\n"
      "add('p', 'exec.stop=\"exit 4\"')\nadd('p', 'command=/bin/true')\n",
      suite_));
  const Ran ran = run({"test", "-r", folder_ + "/r.db"});
  EXPECT_NE(ran.out.find("t:main  ->  passed"), std::string::npos) << ran.out << ran.err;
  EXPECT_EQ(*host::read_file(suite_ + "/started"),
            jail_name(suite_ + "/t", "main").substr(0, 64) + "\n/root\nran\nstop\n");
  EXPECT_NE(ran.out.find("p:main  ->  failed: Returned non-success exit status 1"),
            std::string::npos);
  EXPECT_FALSE(fs::exists(suite_ + "/second"));
  EXPECT_NE(ran.out.find("broken: Test case execenv cleanup did not terminate successfully"),
            std::string::npos);
  const std::string text =
      run({"report", "--verbose", "--results-filter=", "-r", folder_ + "/r.db"}).out;
  for (const char* why : {"jail: exec.start: exit 3: exited with code 3",
                          "jail: exec.stop: exit 4: exited with code 4", "command is not accepted"})
    EXPECT_NE(text.find(why), std::string::npos) << text;
  EXPECT_TRUE(fs::is_empty(folder_ + "/run/jails"));
}

}  // namespace
}  // namespace wh::kyua::cli
