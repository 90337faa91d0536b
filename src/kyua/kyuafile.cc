#include "kyua/kyuafile.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <filesystem>

#include "host/system.h"
#include "kyua/lua_state.h"

namespace wh::kyua {
namespace {

namespace fs = std::filesystem;

constexpr std::array kInterfaces = {"atf", "plain", "tap", "googletest", "ctest"};

bool exists(const std::string& path) {
  std::error_code ignored;
  return fs::exists(path, ignored);
}

// One script being run, and through include() those below it.
class Script {
 public:
  Script(const KyuafileOptions& options, const Script* includer, std::string relative, Suite& suite)
      : options_(options),
        includer_(includer),
        relative_(std::move(relative)),
        suite_(suite),
        lua_(LuaState::Libraries::BaseStringTable) {
    shown_ = join_path(branch_path(options.path), relative_);
  }

  Result<void> run() {
    auto done = try_run();
    if (!done) return fail("Load of '{}' failed: {}", shown_, done.error().text);
    return {};
  }

 private:
  std::string absolute() const { return join_path(suite_.root, relative_); }
  std::string folder() const { return branch_path(absolute()); }

  Result<void> try_run() {
    const std::string path = absolute();
    if (!exists(path)) return fail("File '{}' not found", shown_);
    const std::string text = TRY(host::read_file(path));
    bind_suite();
    bind_helpers();
    auto done = lua_.run(text, shown_);
    if (!done) return fail("Failed to load Lua file '{}': {}", shown_, done.error().text);
    if (!has_syntax_) return fail("syntax() never called");
    return {};
  }

  void bind_suite() {
    lua_.bind("syntax", [this](lua_State* s) { return syntax(s); });
    lua_.bind("test_suite", [this](lua_State* s) { return test_suite(s); });
    lua_.bind("include", [this](lua_State* s) { return include(s); });
    lua_.bind("current_kyuafile", [this](lua_State* s) -> Result<int> {
      lua_pushstring(s, absolute().c_str());
      return 1;
    });
    for (const std::string interface : kInterfaces) {
      lua_.bind(interface + "_test_program",
                [this, interface](lua_State* s) { return program(s, interface); });
    }
    for (const std::string level : {"debug", "info", "warning", "error"}) {
      lua_.bind("logging." + level, [this, level](lua_State* s) -> Result<int> {
        const auto text = lua_text(s, 1);
        if (!text) return fail("logging.{} expects a text", level);
        if (options_.log) options_.log(static_cast<char>(std::toupper(level[0])), *text);
        return 0;
      });
    }
  }

  void bind_path(std::string_view name, std::function<void(lua_State*, const std::string&)> push) {
    lua_.bind(name, [name, push = std::move(push)](lua_State* s) -> Result<int> {
      const auto path = lua_text(s, 1);
      if (!path) return fail("{} expects a path", name);
      push(s, *path);
      return 1;
    });
  }

  void bind_helpers() {
    bind_path("fs.basename", [](lua_State* s, const std::string& path) {
      lua_pushstring(s, leaf_name(path).c_str());
    });
    bind_path("fs.dirname", [](lua_State* s, const std::string& path) {
      lua_pushstring(s, branch_path(path).c_str());
    });
    bind_path("fs.exists", [this](lua_State* s, const std::string& path) {
      lua_pushboolean(s, exists(join_path(folder(), path)));
    });
    bind_path("fs.is_absolute", [](lua_State* s, const std::string& path) {
      lua_pushboolean(s, path.starts_with('/'));
    });
    lua_.bind("fs.join", [](lua_State* s) -> Result<int> {
      const auto left = lua_text(s, 1), right = lua_text(s, 2);
      if (!left || !right) return fail("fs.join expects two paths");
      if (right->starts_with('/')) {
        return fail(
            "Cannot join paths '{}' and '{}': Cannot concatenate a path to an absolute path", *left,
            *right);
      }
      lua_pushstring(s, join_path(*left, *right).c_str());
      return 1;
    });
    lua_.bind("fs.files", [this](lua_State* s) { return files(s); });
  }

  // An iterator over the names in a folder, "." and ".." included.
  Result<int> files(lua_State* s) {
    const auto path = lua_text(s, 1);
    if (!path) return fail("fs.files expects a path");
    std::vector<std::string> names = {".", ".."};
    std::error_code error;
    for (fs::directory_iterator it(join_path(folder(), *path), error), end; !error && it != end;
         it.increment(error)) {
      names.push_back(it->path().filename().string());
    }
    if (error) return fail("Failed to open directory '{}': {}", *path, error.message());
    std::sort(names.begin(), names.end());
    lua_newtable(s);
    for (size_t i = 0; i < names.size(); ++i) {
      lua_pushstring(s, names[i].c_str());
      lua_rawseti(s, -2, static_cast<lua_Integer>(i + 1));
    }
    lua_pushinteger(s, 0);
    lua_pushcclosure(
        s,
        [](lua_State* state) {
          const lua_Integer next = lua_tointeger(state, lua_upvalueindex(2)) + 1;
          lua_pushinteger(state, next);
          lua_replace(state, lua_upvalueindex(2));
          lua_rawgeti(state, lua_upvalueindex(1), next);
          return 1;
        },
        2);
    return 1;
  }

  // syntax(2), and syntax("kyuafile", 1) of version 1.
  Result<int> syntax(lua_State* s) {
    if (has_syntax_) return fail("Can only call syntax() once");
    int version_at = 1;
    if (lua_gettop(s) > 1) {
      if (lua_text(s, 1) != "kyuafile") {
        return fail("First argument to syntax must be 'kyuafile' for version 1 files");
      }
      version_at = 2;
    }
    int is_number = 0;  // A text that is one, too: syntax("2").
    const lua_Integer version = lua_tointegerx(s, version_at, &is_number);
    if (is_number == 0) return fail("Argument to syntax must be a number");
    if (version != version_at % 2 + 1) return fail("Unsupported file version {}", version);
    has_syntax_ = true;
    return 0;
  }

  Result<int> test_suite(lua_State* s) {
    if (!test_suite_.empty()) return fail("Can only call test_suite() once");
    const auto name = lua_text(s, 1);
    if (!name || name->empty()) return fail("test_suite() expects a name");
    test_suite_ = *name;
    return 0;
  }

  Result<int> include(lua_State* s) {
    const auto path = lua_text(s, 1);
    if (!path) return fail("include() expects a path");
    const std::string from = branch_path(relative_);
    if (path->starts_with('/')) {
      return fail("Cannot join paths '{}' and '{}': Cannot concatenate a path to an absolute path",
                  from, *path);
    }
    const std::string target = absolute_path(join_path(from, *path), suite_.root);
    if (!target.starts_with(suite_.root == "/" ? "/" : suite_.root + "/")) {
      return fail("Include of '{}' leaves the test suite in '{}'", *path, suite_.root);
    }
    for (const Script* script = this; script != nullptr; script = script->includer_) {
      if (script->absolute() == target) return fail("Include of '{}' includes itself", *path);
    }
    const size_t root_length = suite_.root == "/" ? 1 : suite_.root.size() + 1;
    TRY(Script(options_, this, target.substr(root_length), suite_).run());
    return 0;
  }

  Result<int> program(lua_State* s, const std::string& interface) {
    if (lua_gettop(s) != 1 || !lua_istable(s, 1)) {
      return fail("{}_test_program expects a table of properties as its single argument",
                  interface);
    }
    lua_getfield(s, 1, "name");
    const auto given = lua_text(s, -1);  // A number, too: a program may be called 3.
    lua_pop(s, 1);
    if (!given) return fail("Test program name not defined or not a string");
    const std::string& name = *given;
    if (name.empty()) return fail("Invalid path '': Cannot be empty");
    if (name.starts_with('/')) {
      return fail("Got unexpected absolute path for test program '{}'", name);
    }
    if (name.find('/') != name.npos) {
      return fail("Test program '{}' cannot contain path components", name);
    }
    TestProgram made{
        interface, suite_root(), join_path(branch_path(relative_), name), test_suite_, {}};
    lua_pushnil(s);
    while (lua_next(s, 1) != 0) {
      TRY(property(s, made, name));
      lua_pop(s, 1);
    }
    if (made.suite.empty()) {
      return fail(
          "No test suite defined in the Kyuafile and no override provided in the "
          "test_program definition");
    }
    if (!exists(made.absolute_path())) return fail("Non-existent test program '{}'", name);
    suite_.programs.push_back(std::move(made));
    return 0;
  }

  // The key is at -2, the value at -1.
  Result<void> property(lua_State* s, TestProgram& made, const std::string& program_name) {
    if (lua_type(s, -2) != LUA_TSTRING) {
      return fail("Found non-string metadata property name in test program '{}'", program_name);
    }
    const std::string key = lua_tostring(s, -2);
    if (key == "name") return {};
    std::string value;
    if (lua_isboolean(s, -1)) {
      value = lua_toboolean(s, -1) ? "true" : "false";
    } else if (lua_type(s, -1) == LUA_TNUMBER) {
      value = lua_isinteger(s, -1) ? fmt::format("{}", lua_tointeger(s, -1))
                                   : fmt::format("{:.0f}", std::trunc(lua_tonumber(s, -1)));
    } else if (const auto text = lua_text(s, -1)) {
      value = *text;
    } else {
      return fail("Metadata property '{}' in test program '{}' cannot be converted to a string",
                  key, program_name);
    }
    if (key == "test_suite") {
      made.suite = value;
      return {};
    }
    return made.metadata.set(key, value);
  }

  std::string suite_root() const {
    if (options_.build_root.empty()) return suite_.root;
    return absolute_path(options_.build_root, options_.cwd);
  }

  const KyuafileOptions& options_;
  const Script* includer_;
  std::string relative_;  // Below the suite's root.
  std::string shown_;     // In messages: as the user would name it.
  Suite& suite_;
  LuaState lua_;
  bool has_syntax_ = false;
  std::string test_suite_;
};

}  // namespace

Result<Suite> load_kyuafile(const KyuafileOptions& options) {
  Suite suite;
  suite.root = absolute_path(branch_path(options.path), options.cwd);
  TRY(Script(options, nullptr, leaf_name(options.path), suite).run());
  return suite;
}

}  // namespace wh::kyua
