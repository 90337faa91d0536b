#include <gtest/gtest.h>
#include <sys/wait.h>
#include <unistd.h>

#include <csignal>
#include <filesystem>

#include "host/system.h"
#include "kyua/report/report.h"
#include "kyua/store/layout.h"
#include "kyua/store/reader.h"
#include "kyua/store/writer.h"

namespace wh::kyua {
namespace {

namespace fs = std::filesystem;

class StoreTest : public testing::Test {
 protected:
  void SetUp() override {
    std::string name = testing::TempDir() + "store." + std::string(6, 'X');
    ASSERT_NE(::mkdtemp(name.data()), nullptr);
    folder_ = name;
    file_ = folder_ + "/r.db";
    program_ = {"atf", "/suite", "sub/prog", "demo", {}};
  }
  void TearDown() override { fs::remove_all(folder_); }

  Result<void> add(ResultsWriter& writer, const std::string& name, TestResult result,
                   std::string_view out = "", std::string_view err = "") {
    return writer.add(
        program_, name, {},
        {std::move(result), {1'000'000}, {1'500'000}, {1ms, 2ms, 3_MiB}, out, err, 2});
  }

  std::string folder_, file_;
  TestProgram program_;
};

TEST_F(StoreTest, reads_back_what_was_written) {
  ASSERT_TRUE(program_.metadata.set("timeout", "5"));
  {
    auto writer = ResultsWriter::create(file_, {"/cwd", {{"HOME", "/h"}}});
    ASSERT_TRUE(writer) << writer.error().text;
    const std::string binary("a\0b", 3);
    ASSERT_TRUE(add(*writer, "b", {Verdict::Failed, "why"}, binary, "err"));
    ASSERT_TRUE(add(*writer, "a", {Verdict::Passed}));
    ASSERT_TRUE(writer->finish("finished"));
  }
  EXPECT_FALSE(fs::exists(file_ + "-wal"));
  auto reader = ResultsReader::open(file_);
  ASSERT_TRUE(reader) << reader.error().text;
  EXPECT_EQ(reader->context()->cwd, "/cwd");
  EXPECT_EQ(reader->state(), "finished");
  std::vector<ReadCase> cases;
  ASSERT_TRUE(reader->each_case([&](const ReadCase& c) -> Result<void> {
    cases.push_back(c);
    return {};
  }));
  ASSERT_EQ(cases.size(), 2u);
  EXPECT_EQ(cases[0].name, "a");
  EXPECT_EQ(cases[1].result, (TestResult{Verdict::Failed, "why"}));
  EXPECT_EQ(cases[1].metadata.timeout(), 5s);
  EXPECT_EQ(cases[1].duration(), 500ms);
  EXPECT_EQ(cases[1].usage.peak_memory, 3_MiB);
  EXPECT_EQ(cases[1].attempts, 2);
  EXPECT_EQ(*reader->output(cases[1]), std::string("a\0b", 3));
  EXPECT_EQ(*reader->errors(cases[0]), "");
}

TEST_F(StoreTest, keeps_every_added_case_when_its_process_is_killed) {
  const pid_t pid = ::fork();
  ASSERT_GE(pid, 0);
  if (pid == 0) {
    auto writer = ResultsWriter::create(file_, {"/cwd", {}});
    for (int i = 0; i < 20; ++i) {
      (void)add(*writer, fmt::format("case{:02}", i), {Verdict::Passed});
    }
    ::raise(SIGKILL);
  }
  int status = 0;
  ASSERT_EQ(::waitpid(pid, &status, 0), pid);
  ASSERT_TRUE(WIFSIGNALED(status));
  auto reader = ResultsReader::open(file_);
  ASSERT_TRUE(reader) << reader.error().text;
  int count = 0;
  ASSERT_TRUE(reader->each_case([&](const ReadCase&) -> Result<void> {
    ++count;
    return {};
  }));
  EXPECT_EQ(count, 20);
  EXPECT_EQ(reader->state(), "running");
}

TEST_F(StoreTest, refuses_schemas_that_it_does_not_know) {
  const auto refused = [this](int version) {
    fs::remove(file_);
    Database db = *Database::open(file_, Database::Mode::Create);
    EXPECT_TRUE(db.execute(schema_v3()));
    EXPECT_TRUE(db.execute(fmt::format("UPDATE metadata SET schema_version = {}", version)));
    return ResultsReader::open(file_).error().text;
  };
  EXPECT_EQ(refused(1),
            "The database has schema version 1, which is too old; please use db-migrate "
            "to upgrade it");
  EXPECT_NE(refused(4).find("newer than this program's version 3"), std::string::npos);
  ASSERT_TRUE(host::write_file(file_, std::string(5000, 'x')));
  EXPECT_NE(ResultsReader::open(file_).error().text.find("not a database"), std::string::npos);
}

TEST_F(StoreTest, two_writers_never_share_a_file) {
  auto first = ResultsWriter::create(file_, {"/", {}});
  ASSERT_TRUE(first);
  EXPECT_FALSE(ResultsWriter::create(file_, {"/", {}}));
  ASSERT_TRUE(add(*first, "a", {Verdict::Passed}));
  EXPECT_TRUE(first->finish("finished"));
}

TEST_F(StoreTest, a_full_disk_is_an_error_and_loses_nothing_finished) {
  auto writer = ResultsWriter::create(file_, {"/", {}});
  ASSERT_TRUE(writer);
  ASSERT_TRUE(add(*writer, "kept", {Verdict::Passed}));
  // A file size limit fails writes as a full disk does.
  const pid_t pid = ::fork();
  if (pid == 0) {
    std::signal(SIGXFSZ, SIG_IGN);
    Database db = *Database::open(file_, Database::Mode::ReadWrite);
    (void)db.execute("PRAGMA max_page_count = 1; CREATE TABLE filler (x)");
    const auto filled = db.execute("INSERT INTO filler VALUES (zeroblob(100000000))");
    ::_exit(filled ? 1 : 0);
  }
  int status = 0;
  ASSERT_EQ(::waitpid(pid, &status, 0), pid);
  EXPECT_EQ(WEXITSTATUS(status), 0);
  EXPECT_TRUE(add(*writer, "after", {Verdict::Passed}));
  ASSERT_TRUE(writer->finish("finished"));
  auto reader = ResultsReader::open(file_);
  int count = 0;
  ASSERT_TRUE(reader->each_case([&](const ReadCase&) -> Result<void> {
    ++count;
    return {};
  }));
  EXPECT_EQ(count, 2);
}

TEST_F(StoreTest, names_files_by_suite_and_time_and_finds_them_again) {
  const Layout layout{folder_ + "/store", "/usr/tests"};
  const WallTime t{1763767155000001};
  const auto made = new_results_file(layout, "NEW", "/usr/tests", t);
  ASSERT_TRUE(made) << made.error().text;
  EXPECT_EQ(made->id, "usr_tests.20251121-231915-000001");
  ASSERT_TRUE(host::write_file(made->path, "x"));
  // The same microsecond again: another name.
  const auto second = new_results_file(layout, "NEW", "/usr/tests", t);
  EXPECT_EQ(second->id, "usr_tests.20251121-231915-000002");
  ASSERT_TRUE(host::write_file(second->path, "x"));
  // A suite whose name begins alike is another.
  ASSERT_TRUE(
      host::write_file(layout.store + "/results.usr_tests.sys.20991121-231915-000001.db", "x"));
  EXPECT_EQ(*find_results_file(layout, "LATEST"), second->path);
  EXPECT_EQ(*find_results_file(layout, made->id), made->path);
  EXPECT_EQ(*find_results_file(layout, "usr_tests"), second->path);
  EXPECT_EQ(*find_results_file(layout, "/usr/tests"), second->path);
  EXPECT_EQ(*find_results_file(layout, made->path), made->path);
  EXPECT_EQ(find_results_file({layout.store, "/x"}, "LATEST").error().text,
            "No previous results file found for test suite x");
  EXPECT_NE(new_results_file(layout, made->path, "/x", t).error().text.find("not empty"),
            std::string::npos);
}

TEST_F(StoreTest, reports_in_kyuas_form) {
  auto writer = ResultsWriter::create(file_, {"/cwd", {{"A", "1\n2"}}});
  ASSERT_TRUE(add(*writer, "a", {Verdict::Passed}));
  ASSERT_TRUE(add(*writer, "s", {Verdict::Skipped, "Not today"}));
  ASSERT_TRUE(add(*writer, "f", {Verdict::Failed, "Doomed: reason"}, "out", "err\n"));
  ASSERT_TRUE(writer->finish("finished"));
  auto reader = ResultsReader::open(file_);
  Filters all;
  const auto shown = parse_results_filter("skipped,xfail,broken,failed");
  EXPECT_EQ(*text_report(*reader, all, {"PATH", *shown, false}),
            "===> Skipped tests\nsub/prog:s  ->  skipped: Not today  [0.500s]\n"
            "===> Failed tests\nsub/prog:f  ->  failed: Doomed: reason  [0.500s]\n"
            "===> Summary\nResults read from PATH\n"
            "Test cases: 3 total, 1 skipped, 0 expected failures, 0 broken, 1 failed\n"
            "Total time: 1.500s\n");
  const std::string verbose = *text_report(*reader, all, {"PATH", *shown, true});
  EXPECT_NE(verbose.find("    A=1\n        2\n"), std::string::npos);
  EXPECT_NE(verbose.find("\nStandard output:\nout\n\nStandard error:\nerr\n"), std::string::npos);
  EXPECT_FALSE(parse_results_filter("skipped,nope"));
}

TEST(Markup, is_well_formed_whatever_the_bytes) {
  EXPECT_EQ(escape_markup("<a&\"b\">"), "&lt;a&amp;&quot;b&quot;&gt;");
  EXPECT_EQ(escape_markup(std::string("\0\x1b[m\n", 5)), "&amp;#0;&amp;#27;[m\n");
  EXPECT_EQ(escape_markup("\xc3\xa9"), "\xc3\xa9");
  // A lone continuation byte, an overlong form, a surrogate, U+FFFF, a cut sequence.
  for (const char* bad : {"\x80", "\xc0\xaf", "\xed\xa0\x80", "\xef\xbf\xbf", "\xe2\x82"}) {
    EXPECT_TRUE(escape_markup(bad).starts_with("\xef\xbf\xbd")) << bad;
  }
}

}  // namespace
}  // namespace wh::kyua
