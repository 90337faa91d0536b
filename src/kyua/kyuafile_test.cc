#include "kyua/kyuafile.h"

#include <gtest/gtest.h>

#include <filesystem>

#include "host/system.h"
#include "kyua/config.h"

namespace wh::kyua {
namespace {

namespace fs = std::filesystem;

// A folder with Kyuafiles and empty programs.
class KyuafileTest : public testing::Test {
 protected:
  void SetUp() override {
    std::string name = testing::TempDir() + "kyuafile." + std::string(6, 'X');
    ASSERT_NE(::mkdtemp(name.data()), nullptr);
    root_ = name;
    for (const char* folder : {"sub", "sub/deep"}) fs::create_directory(root_ + "/" + folder);
    for (const char* file : {"a", "b", "sub/c", "sub/deep/d"}) write(file, "");
  }
  void TearDown() override { fs::remove_all(root_); }

  void write(const std::string& path, std::string_view text) {
    ASSERT_TRUE(host::write_file(root_ + "/" + path, text));
  }
  Result<Suite> load(std::string_view text) {
    write("Kyuafile", text);
    return load_kyuafile({.path = "Kyuafile", .cwd = root_});
  }
  // The error without what it always begins with.
  std::string error(std::string_view text) {
    const auto suite = load(text);
    if (suite) return "";
    const std::string prefix = "Load of 'Kyuafile' failed: Failed to load Lua file 'Kyuafile': ";
    const std::string& whole = suite.error().text;
    return whole.starts_with(prefix) ? whole.substr(prefix.size()) : whole;
  }

  std::string root_;
};

TEST_F(KyuafileTest, takes_programs_in_the_order_of_the_calls_includes_in_place) {
  write("sub/Kyuafile",
        "syntax(2)\ntest_suite('inner')\ninclude('deep/Kyuafile')\n"
        "tap_test_program{name='c'}\n");
  write("sub/deep/Kyuafile", "syntax(2)\nplain_test_program{name='d', test_suite='own'}\n");
  const auto suite = load(
      "syntax(2)\ntest_suite('outer')\natf_test_program{name='a', timeout=5.9, "
      "is_exclusive=true}\ninclude('sub/Kyuafile')\nplain_test_program{name='b'}");
  ASSERT_TRUE(suite) << suite.error().text;
  std::string seen;
  for (const TestProgram& p : suite->programs) {
    seen += fmt::format("{} {} {};", p.interface, p.relative_path, p.suite);
  }
  EXPECT_EQ(seen, "atf a outer;plain sub/deep/d own;tap sub/c inner;plain b outer;");
  EXPECT_EQ(suite->programs[0].metadata.get("timeout"), "5");
  EXPECT_EQ(suite->programs[0].absolute_path(), root_ + "/a");
}

TEST_F(KyuafileTest, offers_helpers_relative_to_the_file) {
  const auto suite = load(
      "syntax(2) test_suite('s')\n"
      "for name in fs.files('.') do if name == 'a' or name == 'b' then "
      "plain_test_program{name=name} end end\n"
      "assert(fs.exists('sub/c') and not fs.exists('nope'))\n"
      "assert(fs.basename('/x/y') == 'y' and fs.dirname('/x/y') == '/x')\n"
      "assert(fs.join('x', 'y') == 'x/y' and fs.is_absolute('/x'))\n"
      "assert(current_kyuafile() == '" +
      root_ +
      "/Kyuafile')\n"
      "logging.info('hello')\n");
  ASSERT_TRUE(suite) << suite.error().text;
  EXPECT_EQ(suite->programs.size(), 2u);
}

TEST_F(KyuafileTest, reads_version_1_too) {
  EXPECT_EQ(error("syntax('kyuafile', 1)\ntest_suite('s')\nplain_test_program{name='a'}"), "");
  EXPECT_EQ(error("syntax('config', 1)"),
            "Kyuafile:1: First argument to syntax must be 'kyuafile' for version 1 files");
}

TEST_F(KyuafileTest, takes_numbers_for_texts_and_texts_for_numbers_as_lua_does) {
  write("3", "");
  EXPECT_EQ(error("syntax('2')\ntest_suite('s')\nplain_test_program{name=3}"), "");
  EXPECT_EQ(error("syntax('two')"), "Kyuafile:1: Argument to syntax must be a number");
}

// As the lua program reads a file.
TEST_F(KyuafileTest, skips_a_byte_order_mark_and_a_first_line_for_the_shell) {
  const std::string rest = "syntax(2)\ntest_suite('s')\nplain_test_program{name='a'}\n";
  EXPECT_EQ(error("#!/usr/bin/kyua\n" + rest), "");
  EXPECT_EQ(error("\xef\xbb\xbf" + rest), "");
  EXPECT_EQ(error("\xef\xbb\xbf#\n" + rest), "");
  EXPECT_EQ(error("# one\nsyntax(3)"), "Kyuafile:2: Unsupported file version 3");
  EXPECT_EQ(error("#"), "Load of 'Kyuafile' failed: syntax() never called");
  EXPECT_NE(error("syntax(2)\n#\n").find("Kyuafile:2: unexpected symbol"), std::string::npos);
}

TEST_F(KyuafileTest, refuses_in_kyuas_words) {
  EXPECT_EQ(error("syntax(3)"), "Kyuafile:1: Unsupported file version 3");
  EXPECT_EQ(error("syntax(2)\nsyntax(2)"), "Kyuafile:2: Can only call syntax() once");
  EXPECT_EQ(error(""), "Load of 'Kyuafile' failed: syntax() never called");
  EXPECT_EQ(error("syntax(2)\nplain_test_program{name='a'}"),
            "Kyuafile:2: No test suite defined in the Kyuafile and no override provided in the "
            "test_program definition");
  const std::string s = "syntax(2) test_suite('s')\n";
  EXPECT_EQ(error(s + "test_suite('t')"), "Kyuafile:2: Can only call test_suite() once");
  EXPECT_EQ(error(s + "plain_test_program{name='zz'}"),
            "Kyuafile:2: Non-existent test program 'zz'");
  EXPECT_EQ(error(s + "plain_test_program{name='/bin/ls'}"),
            "Kyuafile:2: Got unexpected absolute path for test program '/bin/ls'");
  EXPECT_EQ(error(s + "plain_test_program{name='sub/c'}"),
            "Kyuafile:2: Test program 'sub/c' cannot contain path components");
  EXPECT_EQ(error(s + "plain_test_program{name='a', foo=1}"),
            "Kyuafile:2: Unknown metadata property foo");
  EXPECT_EQ(error(s + "plain_test_program('a')"),
            "Kyuafile:2: plain_test_program expects a table of properties as its single argument");
  EXPECT_EQ(error(s + "plain_test_program{name=''}"),
            "Kyuafile:2: Invalid path '': Cannot be empty");
  EXPECT_EQ(error(s + "plain_test_program{}"),
            "Kyuafile:2: Test program name not defined or not a string");
  EXPECT_EQ(error(s + "plain_test_program{name='a', timeout={}}"),
            "Kyuafile:2: Metadata property 'timeout' in test program 'a' cannot be converted to a "
            "string");
}

TEST_F(KyuafileTest, names_the_place_of_a_bad_include) {
  const std::string s = "syntax(2) test_suite('s')\n";
  EXPECT_EQ(error(s + "include('nope/Kyuafile')"),
            "Kyuafile:2: Load of 'nope/Kyuafile' failed: File 'nope/Kyuafile' not found");
  EXPECT_EQ(error(s + "include('../x/Kyuafile')"),
            "Kyuafile:2: Include of '../x/Kyuafile' leaves the test suite in '" + root_ + "'");
  write("sub/Kyuafile", "syntax(2)\ninclude('../Kyuafile')");
  EXPECT_NE(error(s + "include('sub/Kyuafile')").find("includes itself"), std::string::npos);
}

TEST_F(KyuafileTest, stops_a_script_that_loops_or_hoards) {
  EXPECT_NE(error("while true do end").find("did not end within"), std::string::npos);
  EXPECT_NE(error("while true do pcall(function() while true do end end) end").find("did not end"),
            std::string::npos);
  EXPECT_NE(error("local function f() return f() + 1 end f()").find("stack overflow"),
            std::string::npos);
  EXPECT_NE(error("local t = {} while true do t[#t + 1] = string.rep('x', 1e6) .. #t end")
                .find("not enough memory"),
            std::string::npos);
  EXPECT_EQ(error("error({})"), "The script threw something not a text");
}

TEST_F(KyuafileTest, loads_a_configuration) {
  write("k.conf",
        "syntax(2)\nparallelism = 4\nunprivileged_user = 'nobody'\n"
        "test_suites.FreeBSD.allow = 'yes'\ntest_suites.other['a-b'] = 5\nunknown = 1\n");
  const auto config = load_config(root_ + "/k.conf");
  ASSERT_TRUE(config) << config.error().text;
  const auto all = config->flattened();
  EXPECT_EQ(all.at("parallelism"), "4");
  EXPECT_EQ(all.at("test_suites.FreeBSD.allow"), "yes");
  EXPECT_EQ(all.at("test_suites.other.a-b"), "5");
  EXPECT_FALSE(all.contains("unknown"));
  EXPECT_EQ(config->variables_of("FreeBSD").at("unprivileged-user"), "nobody");
}

TEST_F(KyuafileTest, gives_a_configuration_what_is_set_before_it) {
  write("k.conf",
        "syntax(2)\ntest_suites.S.jobs = parallelism * 2.0\ntest_suites.S.arch = architecture .. "
        "'!'\n"
        "parallelism = 3\ntest_suites.S.then_ = parallelism\ntest_suites.S.half = 0.5\n");
  const auto config = load_config(root_ + "/k.conf");
  ASSERT_TRUE(config) << config.error().text;
  const auto all = config->variables_of("S");
  EXPECT_EQ(all.at("jobs"), "2");
  EXPECT_EQ(all.at("arch"), default_config().architecture + "!");
  EXPECT_EQ(all.at("then_"), "3");
  EXPECT_EQ(all.at("half"), "0.5");
}

TEST_F(KyuafileTest, refuses_a_bad_configuration) {
  const auto refused = [this](std::string_view text) {
    write("k.conf", text);
    const auto config = load_config(root_ + "/k.conf");
    return config ? std::string() : config.error().text.substr(root_.size() + 26);
  };
  EXPECT_EQ(refused("x = 1"), "No syntax defined (no call to syntax() found)");
  const auto at_line = [&](int line, std::string_view why) {
    const std::string path = root_ + "/k.conf";
    return fmt::format("Failed to load Lua file '{}': {}:{}: {}", path, path, line, why);
  };
  EXPECT_EQ(refused("syntax(2) parallelism = 'many'"),
            at_line(1, "Invalid value for property 'parallelism': Not an integer"));
  EXPECT_EQ(refused("syntax(2)\nparallelism = 0"),
            at_line(2, "Invalid value for property 'parallelism': Must be a positive integer"));
  EXPECT_EQ(refused("syntax(2)\nplatform = 'x'\nunprivileged_user = 'zzz'"),
            at_line(3, "Cannot find user with name 'zzz'"));
  EXPECT_EQ(refused("syntax(2)\nparallelism = {}"),
            at_line(2, "Invalid value for property 'parallelism': Not an integer"));
  EXPECT_EQ(refused("syntax(2)\nplatform = {}"),
            at_line(2, "Invalid value for property 'platform': Not a string"));
  EXPECT_EQ(refused("syntax(2)\nparallelism = true"),
            at_line(2, "Invalid value for property 'parallelism': Not an integer"));
  EXPECT_EQ(refused("syntax(2) test_suites = 'x'"),
            at_line(1, "Invalid value for property 'test_suites': Type mismatch"));
  EXPECT_EQ(refused("syntax(2) platform = nil"),
            at_line(1, "Invalid value for property 'platform': Not a string"));
  // A name that has a value already is looked at when the script has ended.
  EXPECT_EQ(refused("syntax(2) parallelism = 2 parallelism = 0"),
            "Invalid value for property 'parallelism': Must be a positive integer");
  EXPECT_NE(refused("syntax(3)").find("Unsupported config version 3"), std::string::npos);
  EXPECT_NE(refused("syntax(2)\nprint('x')").find("a table value"), std::string::npos);
}

}  // namespace
}  // namespace wh::kyua
