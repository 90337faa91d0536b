// The command line as a whole, run in a child process, and beside Debian's kyua where that is
// installed.
#include <csignal>
#include <nlohmann/json.hpp>

#include "kyua/cli/cli_test_support.h"
#include "kyua/store/migrate.h"

namespace wh::kyua::cli {
namespace {

TEST_F(CliTest, tests_and_reports_as_the_manual_shows) {
  demo_suite();
  const Ran ran = run({"test"});
  const std::string id = suite_id(suite_);
  EXPECT_EQ(ran.status, 1);
  EXPECT_EQ(plain(ran.out),
            "pass:main  ->  passed  [TIME]\n"
            "fail:main  ->  failed: Returned non-success exit status 3  [TIME]\n"
            "pass:main  ->  skipped: Required file '/no/such' not found  [TIME]\n"
            "sub/tap:main  ->  failed: 1 of 2 tests failed  [TIME]\n\nResults file id is " +
                id + ".STAMP\nResults saved to " + folder_ + "/home/.kyua/store/results." + id +
                ".STAMP.db\n\n2/4 passed (2 failed)\n");
  const Ran report = run({"report", "--verbose", "fail"});
  EXPECT_EQ(report.status, 0);
  EXPECT_NE(report.out.find("    custom.A = v\n"), std::string::npos);
  EXPECT_NE(report.out.find("    timeout = 5\n"), std::string::npos);
  EXPECT_NE(
      report.out.find("Test cases: 1 total, 0 skipped, 0 expected failures, 0 broken, 1 failed"),
      std::string::npos);
  EXPECT_EQ(run({"list", "-v", "fail"}).out,
            "fail:main (demo)\n    custom.A = v\n    timeout = 5\n");
  EXPECT_EQ(run({"db-exec", "select count(*) as n, NULL from test_results"}).out,
            "n,NULL\n4,NULL\n");
}

TEST_F(CliTest, says_what_was_wrong_and_how_to_ask) {
  kyuafile("");
  const auto expect = [&](const std::vector<std::string>& words, int status,
                          const std::string& err) {
    const Ran ran = run(words);
    EXPECT_EQ(ran.status, status) << join(words, " ");
    EXPECT_EQ(ran.err, err) << join(words, " ");
  };
  const std::string general = "Type 'kyua help' for usage information.\n";
  expect({}, 3, "Usage error: No command provided.\n" + general);
  expect({"--foo"}, 3, "Usage error: Unknown option --foo.\n" + general);
  expect({"x"}, 3, "Usage error: Unknown command 'x'.\n" + general);
  expect({"--loglevel=foo", "list"}, 3, "Usage error: Unrecognized log level 'foo'.\n" + general);
  expect(
      {"-v", "nope", "list"}, 3,
      "Usage error: Invalid argument 'nope' for option --variable: Argument does not have the form "
      "'K=V'.\n" +
          general);
  expect(
      {"-v", "=x", "list"}, 3,
      "Usage error: Invalid argument '=x' for option --variable: Empty property name.\n" + general);
  expect({"-v", "x=", "list"}, 3,
         "Usage error: Invalid argument 'x=' for option --variable: Empty value.\n" + general);
  const std::string of_test = "Type 'kyua help test' for usage information.\n";
  expect({"test", "-k"}, 3,
         "Usage error for command test: Missing required argument for option -k.\n" + of_test);
  expect({"debug"}, 3,
         "Usage error for command debug: Not enough arguments.\nType 'kyua help debug' "
         "for usage information.\n");
  expect({"debug", "sh_test"}, 3,
         "Usage error for command debug: 'sh_test' is not a test case identifier (missing "
         "':'?).\nType "
         "'kyua help debug' for usage information.\n");
  expect({"test", "a", "a"}, 2, "kyua: E: Duplicate filter 'a'.\n");
  expect(
      {"test", "-k", "/nonexistent/Kyuafile"}, 2,
      "kyua: E: Load of '/nonexistent/Kyuafile' failed: File '/nonexistent/Kyuafile' not found.\n");
  expect({"list", "nope:x"}, 1, "kyua: W: No test cases matched by the filter 'nope:x'.\n");
  expect({"config", "nope"}, 1, "kyua: W: 'nope' is not defined.\n");
  expect({"report"}, 2,
         fmt::format("kyua: E: No previous results file found for test suite {}.\n",
                     suite_id(suite_)));
  expect({"db-exec", "select 1"}, 1,
         fmt::format("kyua: E: No previous results file found for test suite {}.\n",
                     suite_id(suite_)));
  expect({"help", "--foo"}, 3,
         "Usage error for command help: Unknown option --foo.\nType 'kyua help help' for usage "
         "information.\n");
  expect({"db-migrate", "-r", "nope"}, 1,
         "kyua: E: Migration failed: No previous results file found for test suite nope.\n");
  EXPECT_EQ(run({"help", "help"}).status, 0);
  EXPECT_EQ(run({"help", "test"}).status, 0);
  EXPECT_EQ(run({"test", "--help"}).status, 0);
}

TEST_F(CliTest, says_what_is_wrong_with_a_results_file_or_a_question_to_it) {
  demo_suite();
  const std::string file = folder_ + "/r.db";
  run({"test", "-r", file, "pass"});
  const auto error_of = [&](const std::vector<std::string>& words, int status) {
    const Ran ran = run(words);
    EXPECT_EQ(ran.status, status) << join(words, " ");
    return ran.err;
  };
  for (const std::string nothing : {"", " ", ";", "/* a comment */"}) {
    EXPECT_NE(error_of({"db-exec", "-r", file, nothing}, 1).find("no statement in"),
              std::string::npos);
  }
  EXPECT_NE(error_of({"report", "-r", file, "--results-filter=nope"}, 2)
                .find("kyua: E: Unknown result type 'nope'"),
            std::string::npos);
  EXPECT_EQ(error_of({"test", "-r", "/dev/null/x.db"}, 2),
            "kyua: E: Cannot make the folder /dev/null: Not a directory.\n");
  EXPECT_EQ(run({"test", "-r", folder_ + "/not/there/x.db", "pass"}).status, 0);
  EXPECT_TRUE(fs::exists(folder_ + "/not/there/x.db"));
}

TEST_F(CliTest, keeps_finished_results_when_killed_and_leaves_nothing_running) {
  script("a", "exit 0");
  const std::string pid_file = folder_ + "/pid";
  script("b", "echo $$ >" + pid_file + "; sleep 321");
  kyuafile("plain_test_program{name='a'}\nplain_test_program{name='b'}");
  const pid_t pid = start({"test", "-r", folder_ + "/r.db"});
  for (int i = 0; i < 1000 && host::read_file(pid_file).value_or("").empty(); ++i) ::usleep(10'000);
  ::kill(pid, SIGKILL);
  finish(pid);
  const auto body = parse_int(trim(*host::read_file(pid_file)));
  for (int i = 0; i < 500 && ::kill(static_cast<pid_t>(*body), 0) == 0; ++i) ::usleep(10'000);
  EXPECT_NE(::kill(static_cast<pid_t>(*body), 0), 0);
  for (int i = 0; i < 500 && !fs::is_empty(folder_ + "/tmp"); ++i) ::usleep(10'000);
  const Ran report = run({"report", "--results-filter=", "-r", folder_ + "/r.db"});
  EXPECT_NE(report.out.find("a:main  ->  passed"), std::string::npos) << report.err;
  EXPECT_NE(report.out.find("was killed"), std::string::npos);
}

TEST_F(CliTest, ends_by_the_signal_that_interrupted_it_unless_it_was_ignored_before) {
  const std::string mark = folder_ + "/mark";
  script("a", "touch " + mark + "; sleep 321");
  kyuafile("plain_test_program{name='a'}");
  for (const bool is_ignored : {false, true}) {
    const auto before = std::signal(SIGTERM, is_ignored ? SIG_IGN : SIG_DFL);
    const pid_t pid = start({"test", "-r", folder_ + (is_ignored ? "/i.db" : "/r.db")});
    std::signal(SIGTERM, before);
    for (int i = 0; i < 1000 && !fs::exists(mark); ++i) ::usleep(10'000);
    fs::remove(mark);
    ::kill(pid, SIGTERM);
    const Ran ran = finish(pid);
    EXPECT_EQ(ran.status, is_ignored ? 2 : 128 + SIGTERM);
    EXPECT_EQ(ran.err,
              "[-- Signal caught; please wait for cleanup --]\nkyua: E: Interrupted by signal "
              "15.\n");
  }
}

TEST_F(CliTest, has_standard_output_to_its_events_where_they_go_there) {
  demo_suite();
  const Ran ran = run({"test", "--json", "-"});
  size_t lines = 0;
  for (const auto line : split_lines(ran.out)) {
    EXPECT_TRUE(nlohmann::json::accept(line)) << line;
    ++lines;
  }
  EXPECT_EQ(lines, 8u);
  EXPECT_NE(ran.err.find("pass:main  ->  passed"), std::string::npos);
  EXPECT_NE(ran.err.find("/4 passed"), std::string::npos);
}

TEST_F(CliTest, names_a_junit_report_after_its_suites) {
  demo_suite();
  kyuafile("plain_test_program{name='pass'}\nplain_test_program{name='fail', test_suite='a'}");
  run({"test"});
  EXPECT_NE(run({"report-junit"}).out.find("<testsuite name=\"a demo\" tests=\"2\""),
            std::string::npos);
}

TEST_F(CliTest, streams_events_as_json_lines) {
  demo_suite();
  run({"test", "--json", folder_ + "/events"});
  int started = 0, finished = 0;
  const std::string text = *host::read_file(folder_ + "/events");
  for (const auto line : split_lines(text)) {
    const auto event = nlohmann::json::parse(line);
    started += event["event"] == "started";
    if (event["event"] != "finished") continue;
    ++finished;
    EXPECT_TRUE(event["result"].is_string() && event["peak_memory_bytes"].is_number());
  }
  EXPECT_EQ(started, 4);
  EXPECT_EQ(finished, 4);
}

TEST_F(CliTest, runs_only_what_failed_and_compares_runs) {
  demo_suite();
  run({"test"});
  script("fail", "exit 0");
  const Ran again = run({"test", "--rerun-failed", "-r", folder_ + "/again.db"});
  EXPECT_NE(again.out.find("1/2 passed (1 failed)"), std::string::npos) << again.out << again.err;
  const Ran diff = run({"diff", "LATEST", folder_ + "/again.db"});
  EXPECT_EQ(diff.status, 0);
  EXPECT_NE(diff.out.find("~ fail:main  ->  passed  (was failed"), std::string::npos) << diff.out;
  EXPECT_NE(diff.out.find("- pass:main  (was "), std::string::npos);
  EXPECT_EQ(run({"diff", folder_ + "/again.db", "LATEST"}).status, 1);
}

TEST_F(CliTest, merges_shards_into_the_whole) {
  demo_suite();
  script("mute", "exit 3");  // Cannot be listed, which either shard says.
  fs::rename(suite_ + "/Kyuafile", suite_ + "/Demo");
  kyuafile("include('Demo')\natf_test_program{name='mute'}");
  run({"test", "--shard", "1/2", "-r", folder_ + "/1.db"});
  run({"test", "--shard", "2/2", "-r", folder_ + "/2.db"});
  const Ran merged =
      run({"merge", "-o", folder_ + "/all.db", folder_ + "/1.db", folder_ + "/2.db"});
  EXPECT_EQ(merged.status, 0) << merged.err;
  EXPECT_NE(run({"report", "-r", folder_ + "/all.db"}).out.find("Test cases: 5 total"),
            std::string::npos);
  for (const char* other : {"/all.db", "/1.db", "/./1.db"}) {
    EXPECT_EQ(run({"merge", "-o", folder_ + "/x.db", folder_ + "/1.db", folder_ + other}).status, 2)
        << other;
    EXPECT_FALSE(fs::exists(folder_ + "/x.db")) << other;
  }
}

TEST_F(CliTest, makes_a_page_that_stands_alone) {
  script("evil", "echo '</script><script>alert(1)</script>'; printf '\\377\\000'; exit 1");
  kyuafile("plain_test_program{name='evil'}");
  run({"test"});
  const Ran ran = run({"report-html"});
  EXPECT_EQ(ran.out,
            "Generating html/context.html\nGenerating html/evil_main.html\nGenerating "
            "html/report.css\nGenerating html/index.html\n")
      << ran.err;
  const std::string page = *host::read_file(suite_ + "/html/index.html");
  EXPECT_EQ(page.find("</script><script>alert"), std::string::npos);
  const std::string opening = "<script type=\"application/json\" id=\"data\">";
  const size_t at = page.find(opening) + opening.size();
  const auto data = nlohmann::json::parse(page.substr(at, page.find("</script>", at) - at));
  EXPECT_EQ(data["cases"][0]["id"], "evil:main");
  EXPECT_EQ(run({"report-html"}).err,
            "kyua: E: Output directory 'html' already exists; maybe use --force?.\n");
  EXPECT_EQ(run({"report-html", "--force"}).status, 0);
}

TEST_F(CliTest, makes_a_page_for_a_case_whose_id_is_no_files_name) {
  const std::string name(300, 'n');
  script("p",
         "for a; do case $a in -l) printf 'Content-Type: application/X-atf-tp; "
         "version=\"1\"\\n\\nident: " +
             name +
             "\\n'; exit;; -r*) echo 'failed: x' >${a#-r}; "
             "exit 1;; esac; done");
  kyuafile("atf_test_program{name='p'}");
  EXPECT_EQ(run({"test"}).status, 1);
  const Ran ran = run({"report-html"});
  EXPECT_EQ(ran.status, 0) << ran.err;
  EXPECT_TRUE(fs::exists(suite_ + "/html/index.html"));
}

TEST_F(CliTest, migrates_an_old_store_run_by_run) {
  const std::string path = folder_ + "/old.db";
  {
    Database db = *Database::open(path, Database::Mode::Create);
    ASSERT_TRUE(db.execute(R"(
      CREATE TABLE metadata (schema_version INTEGER PRIMARY KEY, timestamp TIMESTAMP);
      INSERT INTO metadata VALUES (1, 0);
      CREATE TABLE contexts (context_id INTEGER PRIMARY KEY, cwd TEXT);
      CREATE TABLE env_vars (context_id INTEGER, var_name TEXT, var_value TEXT);
      CREATE TABLE actions (action_id INTEGER PRIMARY KEY, context_id INTEGER);
      CREATE TABLE test_programs (test_program_id INTEGER PRIMARY KEY, action_id INTEGER, absolute_path
        TEXT, root TEXT, relative_path TEXT, test_suite_name TEXT, interface TEXT);
      CREATE TABLE plain_test_programs (test_program_id INTEGER PRIMARY KEY, timeout INTEGER);
      CREATE TABLE test_cases (test_case_id INTEGER PRIMARY KEY, test_program_id INTEGER, name TEXT);
      CREATE TABLE atf_test_cases (test_case_id INTEGER PRIMARY KEY, description TEXT, has_cleanup TEXT,
        timeout INTEGER, required_memory INTEGER, required_user TEXT);
      CREATE TABLE atf_test_cases_multivalues (test_case_id INTEGER, property_name TEXT, property_value
        TEXT);
      CREATE TABLE test_results (test_case_id INTEGER PRIMARY KEY, result_type TEXT, result_reason TEXT,
        start_time TIMESTAMP, end_time TIMESTAMP);
      CREATE TABLE files (file_id INTEGER PRIMARY KEY, contents BLOB);
      CREATE TABLE test_case_files (test_case_id INTEGER, file_name TEXT, file_id INTEGER);
      INSERT INTO contexts VALUES (1, '/cwd');
      INSERT INTO env_vars VALUES (1, 'A', 'b');
      INSERT INTO actions VALUES (1, 1), (2, 1);
      INSERT INTO test_programs VALUES (1, 1, '/s/p', '/s', 'p', 'demo', 'plain'),
        (2, 2, '/s/t', '/s', 't', 'demo', 'atf');
      INSERT INTO plain_test_programs VALUES (1, 10000000);
      INSERT INTO test_cases VALUES (1, 1, 'main'), (2, 2, 'c');
      INSERT INTO atf_test_cases VALUES (2, 'text', 'true', 300000000, 0, NULL);
      INSERT INTO atf_test_cases_multivalues VALUES (2, 'require.progs', 'sh'), (2, 'require.progs', 'ls');
      INSERT INTO test_results VALUES (1, 'failed', 'why', 1763767155000001, 1763767156000001),
        (2, 'passed', NULL, 1763767255000001, 1763767256000001);
      INSERT INTO files VALUES (1, x'6869');
      INSERT INTO test_case_files VALUES (1, '__STDOUT__', 1);
    )"));
  }
  EXPECT_EQ(
      run({"report", "-r", path}).err,
      "kyua: E: The database has schema version 1, which is too old; please use db-migrate to "
      "upgrade it.\n");
  const Ran ran = run({"db-migrate", "-r", path});
  EXPECT_EQ(ran.status, 0) << ran.err;
  EXPECT_TRUE(fs::exists(path + ".v1.backup"));
  EXPECT_FALSE(fs::exists(path));
  const Ran first = run({"report", "--verbose", "-r", "s.20251121-231915-000001"});
  EXPECT_NE(first.out.find("failed: why"), std::string::npos) << first.err;
  EXPECT_NE(first.out.find("timeout = 10"), std::string::npos);
  EXPECT_NE(first.out.find("Standard output:\nhi\n"), std::string::npos);
  const Ran second = run({"report", "--verbose", "--results-filter=", "-r", "s"});
  EXPECT_NE(second.out.find("required_programs = ls sh"), std::string::npos) << second.out;
  EXPECT_NE(second.out.find("has_cleanup = true"), std::string::npos);
  EXPECT_EQ(
      run({"db-migrate", "-r", "s"}).err,
      "kyua: E: Migration failed: Database already at schema version 3; migration not needed.\n");
}

TEST_F(CliTest, agrees_with_debians_kyua_on_a_suite_and_on_its_results_file) {
  if (::access(kOracle, X_OK) != 0) GTEST_SKIP() << "Debian's kyua is not installed";
  demo_suite();
  const bool has_atf = ::access("/usr/bin/atf-sh", X_OK) == 0;
  if (has_atf) {
    ASSERT_TRUE(host::write_file(
        suite_ + "/sh_test",
        "#!/usr/bin/atf-sh\n"
        "atf_test_case pass; pass_head() { atf_set descr 'A pass'; atf_set timeout 17; }\n"
        "pass_body() { echo out; echo err >&2; }\n"
        "atf_test_case fail cleanup; fail_body() { touch left; atf_fail 'Doomed: reason'; }\n"
        "fail_cleanup() { echo cleaned; }\n"
        "atf_test_case skip; skip_body() { atf_skip 'Not today'; }\n"
        "atf_test_case xfail; xfail_body() { atf_expect_fail known; atf_fail boo; }\n"
        "atf_test_case death; death_body() { atf_expect_signal 9 boom; kill -9 $$; }\n"
        "atf_init_test_cases() { for c in xfail skip pass fail death; do atf_add_test_case $c; "
        "done; }\n"));
    ASSERT_EQ(::chmod((suite_ + "/sh_test").c_str(), 0755), 0);
    script("not_atf", "echo hi");
    kyuafile(
        "atf_test_program{name='sh_test'}\natf_test_program{name='not_atf'}\n"
        "plain_test_program{name='fail', timeout=5}\ninclude('sub/Kyuafile')");
  }
  const Ran ours = run({"test"}), theirs = oracle({"test"});
  EXPECT_EQ(plain(ours.out), plain(theirs.out));
  EXPECT_EQ(ours.status, theirs.status);
  EXPECT_EQ(run({"list", "-v"}).out, oracle({"list", "-v"}).out);
  EXPECT_EQ(plain(run({"test", "none"}).out), plain(oracle({"test", "none"}).out));
  if (has_atf) {
    // Its standard output is a file, and what its cleanup routine prints comes first.
    const std::vector<std::string> words = {"debug", "sh_test:fail"};
    EXPECT_EQ(plain(run(words).out), plain(oracle(words).out));
  }
  // Either reads the other's file.
  run({"test", "-r", folder_ + "/ours.db"});
  oracle({"test", "-r", folder_ + "/theirs.db"});
  for (const char* file : {"/ours.db", "/theirs.db"}) {
    const std::vector<std::string> words = {"report", "--results-filter=", "-r", folder_ + file};
    EXPECT_EQ(run(words).out, oracle(words).out) << file;
  }
  run({"test", "-r", "here.db"});
  const std::vector<std::string> words = {"report", "-r", "./here.db"};
  EXPECT_EQ(run(words).out, oracle(words).out);
}

}  // namespace
}  // namespace wh::kyua::cli
