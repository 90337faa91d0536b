#include "kyua/protocol/protocol.h"

#include <gtest/gtest.h>

#include "kyua/protocol/atf.h"
#include "kyua/protocol/ctest.h"
#include "kyua/protocol/googletest.h"
#include "kyua/protocol/tap.h"

namespace wh::kyua {
namespace {

const TestProgram kProgram{"atf", "/suite", "sub/prog", "demo", {}};

std::string judged(const char* interface, Ended ended, std::string_view out = "",
                   std::optional<std::string> result = std::nullopt) {
  return to_string(protocol_of(interface).judge(ended, out, result));
}
Ended exited(int code) {
  return {.code = code};
}
Ended signalled(int signal) {
  return {.signal = signal};
}
Ended timed_out() {
  return {.signal = 9, .has_timed_out = true};
}

TEST(Plain, takes_the_exit_status_for_the_result) {
  EXPECT_EQ(judged("plain", exited(0)), "passed");
  EXPECT_EQ(judged("plain", exited(3)), "failed: Returned non-success exit status 3");
  EXPECT_EQ(judged("plain", signalled(11)), "broken: Received signal 11");
  EXPECT_EQ(judged("plain", timed_out()), "broken: Test case timed out");
  const Command command = protocol_of("plain").run_command(kProgram, "main", {{"a", "b"}}, "/r");
  EXPECT_EQ(command.arguments, std::vector<std::string>{"/suite/sub/prog"});
  EXPECT_EQ(command.environment.at("TEST_ENV_a"), "b");
}

TEST(Tap, judges_by_plan_points_and_status) {
  EXPECT_EQ(judged("tap", exited(0), "1..2\nok 1\nok - two\n"), "passed");
  EXPECT_EQ(judged("tap", exited(1), "ok\nnot ok 2\nok\n1..3\n"), "failed: 1 of 3 tests failed");
  EXPECT_EQ(judged("tap", exited(0), "1..2\nok\nnot ok 2 # Todo later\n"), "passed");
  EXPECT_EQ(judged("tap", exited(0), "1..1\nnot ok 1 # Skipped: x\n"), "passed");
  EXPECT_EQ(judged("tap", exited(0), "1..0 # SKIP no net\n"), "skipped: no net");
  EXPECT_EQ(judged("tap", exited(0), "1..0 # skip\n"), "skipped: No reason specified");
  EXPECT_EQ(judged("tap", exited(5), "1..9\nok\nBail out! tired\n"), "failed: Bailed out");
  EXPECT_EQ(judged("tap", exited(3), "1..1\nok\n"),
            "broken: Dubious test program: reported all tests as passed but returned exit code 3");
  EXPECT_EQ(judged("tap", signalled(6), "1..1\nok\n"), "broken: Received signal 6");
}

TEST(Tap, names_what_is_wrong_with_a_stream) {
  EXPECT_EQ(parse_tap("ok 1\n").error().text,
            "Output did not contain any TAP plan and the program did not bail out");
  EXPECT_EQ(parse_tap("1..2\nok 1\n").error().text,
            "Reported plan differs from actual executed tests");
  EXPECT_EQ(parse_tap("1..3\nok\n1..2\n").error().text,
            "Found duplicate plan 1..2 (saw 1..3 earlier)");
  EXPECT_EQ(parse_tap("5..3\n").error().text, "Found reversed plan 5..3");
  EXPECT_EQ(parse_tap("1..2 # SKIP x\n").error().text, "Skipped plan must be 1..0");
  // Comments, YAML, indented subtests and words that merely begin like a point are no points.
  EXPECT_TRUE(parse_tap("TAP version 13\n# hi\n    not ok 1\nokay\n1..1\nok\n  ---\n  ...\n"));
}

constexpr const char* kHeader = "Content-Type: application/X-atf-tp; version=\"1\"\n\n";

TEST(Atf, lists_cases_by_name_with_their_metadata) {
  const auto cases = parse_atf_list(std::string(kHeader) +
                                    "ident: full\nX-Foo: bar\ndescr: All: of it\ntimeout: 17\n\n"
                                    "ident: cleanup_one\nhas.cleanup: true\n");
  ASSERT_TRUE(cases) << cases.error().text;
  ASSERT_EQ(cases->size(), 2u);
  EXPECT_EQ((*cases)[0].name, "cleanup_one");
  EXPECT_TRUE((*cases)[0].metadata.flag("has_cleanup"));
  EXPECT_EQ((*cases)[1].metadata.get("description"), "All: of it");
  EXPECT_EQ((*cases)[1].metadata.get("custom.Foo"), "bar");
}

TEST(Atf, case_that_is_listed_twice_is_the_first_of_the_two) {
  const auto cases = parse_atf_list(std::string(kHeader) +
                                    "ident: a\ndescr: first\n\nident: b\n\n"
                                    "ident: a\ndescr: second\n");
  ASSERT_TRUE(cases) << cases.error().text;
  ASSERT_EQ(cases->size(), 2u);
  EXPECT_EQ((*cases)[0].name, "a");
  EXPECT_EQ((*cases)[0].metadata.get("description"), "first");
  EXPECT_EQ((*cases)[1].name, "b");
}

std::string listing_reason(Ended ended, std::string_view out, std::string_view err = "") {
  const auto cases = AtfProtocol().parse_listing(kProgram, ended, out, err);
  if (cases.size() != 1 || !cases[0].known_result) return "";
  EXPECT_EQ(cases[0].name, "__test_cases_list__");
  return to_string(*cases[0].known_result);
}

TEST(Atf, turns_a_bad_listing_into_one_broken_case) {
  EXPECT_EQ(listing_reason(exited(0), "hi\n"),
            "broken: Invalid header for test case list; expecting Content-Type for "
            "application/X-atf-tp version 1, got 'hi'");
  EXPECT_EQ(listing_reason(exited(1), ""), "broken: Test program did not exit cleanly");
  EXPECT_EQ(listing_reason(signalled(9), ""), "broken: Test program received signal");
  EXPECT_EQ(listing_reason(timed_out(), ""), "broken: Test case list timed out");
  EXPECT_EQ(listing_reason(exited(0), kHeader), "broken: No test cases");
  EXPECT_EQ(listing_reason(exited(0), std::string(kHeader) + "ident: a\n", "oops"),
            "broken: Test case list wrote to stderr");
  EXPECT_EQ(listing_reason(exited(0), std::string(kHeader) + "ident: a\nfoo: b\n"),
            "broken: Unknown test case metadata property 'foo'");
  // What Kyua says of each.
  const std::pair<const char*, const char*> bad[] = {
      {"ident: a\ndescr: b\ndescr: c\n", "Duplicate value for property descr"},
      {"ident: a\nident: b\n", "Unknown test case metadata property 'ident'"},
      {"descr: b\n", "Invalid test case definition; must be preceeded by the identifier"},
      {"ident: \n", "Invalid test case definition; must be preceeded by the identifier"},
      {"ident: a\n\n\n", "Invalid property line; expecting line of the form 'name: value'"},
      {"ident: a\n\n\nident: b\n",
       "Invalid property line; expecting line of the form 'name: value'"},
      {"ident: a\ndescr:\n", "Invalid property line; expecting line of the form 'name: value'"},
      {"ident: a\n: b\n", "Unknown test case metadata property ''"},
      {"ident: a", "No test cases"}};
  for (const auto& [text, reason] : bad) {
    EXPECT_EQ(listing_reason(exited(0), std::string(kHeader) + text),
              "broken: " + std::string(reason))
        << text;
  }
  EXPECT_EQ(
      listing_reason(exited(0), "Content-Type: application/X-atf-tp; version=\"1\"\nident: a\n"),
      "broken: Invalid header for test case list; expecting a blank line, got 'ident: a'");
}

TEST(Atf, demands_the_exit_status_that_goes_with_the_result) {
  EXPECT_EQ(judged("atf", exited(0), "", "passed\n"), "passed");
  EXPECT_EQ(judged("atf", exited(1), "", "failed: Doomed: reason\n"), "failed: Doomed: reason");
  EXPECT_EQ(judged("atf", exited(0), "", "skipped: no\n"), "skipped: no");
  EXPECT_EQ(judged("atf", signalled(11), "", "broken: b\n"), "broken: b");
  EXPECT_EQ(judged("atf", exited(0), "", "expected_failure: f\n"), "expected_failure: f");
  EXPECT_EQ(judged("atf", exited(1), "", "passed\n"),
            "broken: Passed test case should have reported success but exited with code 1");
  EXPECT_EQ(judged("atf", exited(0), "", "failed: x\n"),
            "broken: Failed test case should have reported failure but exited with code 0");
  EXPECT_EQ(judged("atf", Ended{.signal = 11, .has_core = true}, "", "passed\n"),
            "broken: Passed test case should have reported success but received signal 11 (core "
            "dumped)");
}

TEST(Atf, knows_the_deaths_that_were_expected) {
  EXPECT_EQ(judged("atf", exited(7), "", "expected_exit(7): e\n"), "expected_failure: e");
  EXPECT_EQ(judged("atf", exited(8), "", "expected_exit: e\n"), "expected_failure: e");
  EXPECT_EQ(judged("atf", exited(8), "", "expected_exit(7): e\n"),
            "failed: Test case expected to exit with code 7 but got code 8");
  EXPECT_EQ(judged("atf", signalled(9), "", "expected_exit(7): e\n"),
            "broken: Expected clean exit but received signal 9");
  EXPECT_EQ(judged("atf", signalled(1), "", "expected_signal(1): s\n"), "expected_failure: s");
  EXPECT_EQ(judged("atf", signalled(2), "", "expected_signal(1): s\n"),
            "failed: Test case expected to receive signal 1 but got 2");
  EXPECT_EQ(judged("atf", exited(0), "", "expected_signal: s\n"),
            "broken: Expected signal but exited with code 0");
  EXPECT_EQ(judged("atf", signalled(4), "", "expected_death: d\n"), "expected_failure: d");
  EXPECT_EQ(judged("atf", timed_out(), "", "expected_timeout: t\n"), "expected_failure: t");
  EXPECT_EQ(judged("atf", exited(0), "", "expected_timeout: t\n"),
            "broken: Expected timeout but exited with code 0");
  EXPECT_EQ(judged("atf", timed_out(), "", "passed\n"), "broken: Test case body timed out");
}

TEST(Atf, calls_a_missing_or_malformed_result_a_premature_exit) {
  EXPECT_EQ(judged("atf", exited(5)),
            "broken: Error: Premature exit. Test case exited with code 5");
  EXPECT_EQ(judged("atf", signalled(9), "", ""),
            "broken: Error: Empty test result or no new line. Test case received signal 9");
  for (const char* bad :
       {"passed", "passed: why\n", "passed \n", "failed\n", "failed: \n", "nonsense\n",
        "passed\npassed\n", "expected_exit\n", "expected_signal(9)\n", "expected_exit(: x\n",
        "expected_exit(x): y\n", "expected_exit(4294967296): x\n", "failed(3): x\n"}) {
    EXPECT_FALSE(parse_atf_result(bad)) << bad;
  }
  // As atf_expect_exit and atf_expect_signal write it when they are given no reason.
  EXPECT_EQ(judged("atf", signalled(9), "", "expected_signal(9): \n"), "expected_failure");
}

TEST(Atf, glues_options_as_kyua_does) {
  const Command run = AtfProtocol().run_command(kProgram, "a", {{"v1", "hello"}}, "/tmp/result");
  EXPECT_EQ(run.arguments,
            (std::vector<std::string>{"/suite/sub/prog", "-vv1=hello", "-r/tmp/result", "a"}));
  EXPECT_EQ(run.environment.at("__RUNNING_INSIDE_ATF_RUN"), "internal-yes-value");
  EXPECT_EQ(AtfProtocol().cleanup_command(kProgram, "a", {}, "/r")->arguments.back(), "a:cleanup");
}

TEST(Googletest, lists_suites_and_parameters) {
  const auto cases = parse_googletest_list(
      "Running main() from gtest_main.cc\nFoo.\n  a\n  b\nTyped/0.  # TypeParam = int\n  c\n"
      "P/Q.\n  d/0  # GetParam() = 3\n");
  ASSERT_TRUE(cases);
  std::vector<std::string> names;
  for (const auto& c : *cases) names.push_back(c.name);
  EXPECT_EQ(names, (std::vector<std::string>{"Foo.a", "Foo.b", "Typed/0.c", "P/Q.d/0"}));
}

TEST(Googletest, reads_the_marks_around_a_test) {
  EXPECT_EQ(judged("googletest", exited(0), "[ RUN      ] Foo.a\n[       OK ] Foo.a (0 ms)\n"),
            "passed");
  EXPECT_EQ(
      judged("googletest", exited(1),
             "[ RUN      ] Foo.a\nfoo.cc:3: Failure\nExpected: 1\n[  FAILED  ] Foo.a (0 ms)\n"),
      "failed: foo.cc:3: Failure; Expected: 1");
  EXPECT_EQ(judged("googletest", exited(0),
                   "[ RUN      ] Foo.a\nx.cc:9: Skipped\nno root\n[  SKIPPED ] Foo.a (0 ms)\n"),
            "skipped: x.cc:9: Skipped; no root");
  EXPECT_EQ(judged("googletest", signalled(6), "[ RUN      ] Foo.a\n"),
            "broken: Error: Premature exit. Test case received signal 6");
  EXPECT_EQ(judged("googletest", exited(3), "[ RUN      ] Foo.a\n[       OK ] Foo.a (0 ms)\n"),
            "broken: Passed test case should have reported success but exited with code 3");
}

TEST(Googletest, tells_its_marks_from_what_the_test_prints) {
  EXPECT_EQ(
      judged("googletest", exited(0),
             "[ RUN      ] Foo.a\n[1700000000] started\nno line end[       OK ] Foo.a (0 ms)\n"),
      "passed");
  EXPECT_EQ(
      judged("googletest", exited(1),
             "[ RUN      ] P/Foo.a/0\n[       OK ] P/Foo.a/01 (0 ms)\nno line end[  FAILED  ] "
             "P/Foo.a/0, where GetParam() = 1 (0 ms)\n"),
      "failed: [       OK ] P/Foo.a/01 (0 ms); no line end");
}

TEST(Ctest, takes_ctests_word_and_not_the_tests) {
  const auto ran = [](const char* verdict, const char* output) {
    return fmt::format("Test project /x\n    Start 7: a\n1/1 Test #7: a ....{} 0.01 sec\n{}\n",
                       verdict, output);
  };
  EXPECT_EQ(judged("ctest", exited(0), ran("   Passed ", "")), "passed");
  for (const char* output :
       {"***Skipped", "***Timeout", "No tests were found!!!", "1/1 Test x***Not Run"}) {
    EXPECT_EQ(judged("ctest", exited(8), ran("***Failed", output)), "failed: The test failed");
  }
  EXPECT_EQ(judged("ctest", exited(0), ran("***Skipped", "")), "skipped: Skipped by ctest");
  EXPECT_EQ(judged("ctest", exited(0), ran("***Not Run (Disabled)", "No tests were found!!!")),
            "skipped: Skipped by ctest");
  EXPECT_EQ(judged("ctest", exited(8), ran("***Timeout", "")), "broken: Test case timed out");
  EXPECT_EQ(judged("ctest", exited(8), ran("Subprocess killed***Exception:", "")),
            "broken: The test crashed");
  EXPECT_EQ(
      judged("ctest", exited(8),
             "1/2 Test  #3: setup ..***Skipped 0.0 sec\n2/2 Test #4: a ...***Failed 0.0 sec\n"),
      "failed: The test failed");
  EXPECT_EQ(judged("ctest", exited(0), "Test project /x\nNo tests were found!!!\n1/1"),
            "broken: ctest does not know the test any more");
}

TEST(Ctest, lists_tests_with_the_properties_that_matter) {
  const auto cases = parse_ctest_list(
      R"({"kind":"ctestInfo","tests":[{"name":"a.b","command":["x"],"properties":[
          {"name":"TIMEOUT","value":10.0},{"name":"RUN_SERIAL","value":true}]},{"name":"c"}]})");
  ASSERT_TRUE(cases) << cases.error().text;
  EXPECT_EQ((*cases)[0].metadata.timeout(), 15s);
  EXPECT_TRUE((*cases)[0].metadata.flag("is_exclusive"));
  for (const char* odd :
       {"5", "{}", "[5]", "[{\"name\":5,\"value\":1}]", "[{\"name\":\"TIMEOUT\"}]"}) {
    EXPECT_TRUE(
        parse_ctest_list(fmt::format("{{\"tests\":[{{\"name\":\"a\",\"properties\":{}}}]}}", odd)))
        << odd;
  }
  EXPECT_FALSE(parse_ctest_list("not json"));
  EXPECT_FALSE(parse_ctest_list("{}"));
  EXPECT_EQ(CtestProtocol().run_command(kProgram, "a.b+", {}, "").arguments.back(), "^a\\.b\\+$");
}

}  // namespace
}  // namespace wh::kyua
