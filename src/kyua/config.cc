#include "kyua/config.h"

#include <pwd.h>
#include <sys/utsname.h>

#include <algorithm>
#include <cmath>
#include <set>

#include "host/system.h"
#include "kyua/lua_state.h"
#include "kyua/text.h"

namespace wh::kyua {
namespace {

constexpr std::string_view kSuites = "test_suites.";
const std::set<std::string_view> kTexts = {"architecture", "execenvs", "platform",
                                           "unprivileged_user"};

// By name or, failing that, by number.
std::optional<User> find_user(const std::string& text) {
  const passwd* entry = ::getpwnam(text.c_str());
  if (const auto uid = parse_int(text); entry == nullptr && uid) {
    entry = ::getpwuid(static_cast<uid_t>(*uid));
  }
  if (entry == nullptr) return std::nullopt;
  return User{entry->pw_name, entry->pw_uid, entry->pw_gid};
}

// A variable's value as a text; nothing for what is none. A whole number is one however it is
// written.
std::optional<std::string> value_of(lua_State* s, int index) {
  if (lua_isboolean(s, index)) return lua_toboolean(s, index) ? "true" : "false";
  int is_whole = 0;
  const lua_Integer number = lua_tointegerx(s, index, &is_whole);
  if (lua_type(s, index) == LUA_TNUMBER && is_whole != 0) return fmt::format("{}", number);
  return lua_text(s, index);
}

// Sets every variable of the table on the top of the stack, below `prefix`.
Result<void> take_table(lua_State* s, const std::string& prefix, Config& config, int depth) {
  lua_pushnil(s);
  while (lua_next(s, -2) != 0) {
    const auto key = lua_text(s, -2);
    if (!key) return fail("A variable below '{}' has no name", prefix);
    const std::string name = prefix + *key;
    const bool is_ours = depth > 0 || (*key != "_G" && !lua_isfunction(s, -1));
    if (is_ours && key->starts_with('_')) return fail("Invalid variable name '{}'", name);
    if (lua_istable(s, -1)) {
      if (is_ours && depth < 8) TRY(take_table(s, name + ".", config, depth + 1));
    } else if (is_ours) {
      TRY(config.set(name, value_of(s, -1).value_or("")));
    }
    lua_pop(s, 1);
  }
  return {};
}

Result<int> check_syntax(lua_State* s, bool& has_syntax) {
  if (has_syntax) return fail("syntax() can only be called once");
  const bool is_old = lua_gettop(s) > 1;
  if (is_old && lua_text(s, 1) != "config") return fail("Unsupported file format");
  const int at = is_old ? 2 : 1;
  const lua_Integer version = lua_isinteger(s, at) ? lua_tointeger(s, at) : 0;
  if (version != (is_old ? 1 : 2)) return fail("Unsupported config version {}", version);
  has_syntax = true;
  return 0;
}

// An assignment in the script, to a name that was free: refused there and then, for the error to
// name the line. The stack holds the table, whose metatable says where it is, the key, the value.
Result<int> check_assignment(lua_State* s) {
  lua_getmetatable(s, 1);
  lua_getfield(s, -1, "path");
  const std::string prefix = lua_text(s, -1).value_or("");
  lua_pop(s, 2);
  const std::string name = prefix + lua_text(s, 2).value_or("");
  if (lua_isnil(s, 3)) return fail("Invalid value for property '{}': Not a string", name);
  const bool is_number = name == "parallelism";
  if (lua_istable(s, 3) && (is_number || kTexts.contains(name))) {
    return fail("Invalid value for property '{}': Not {}", name,
                is_number ? "an integer" : "a string");
  }
  if (const auto value = value_of(s, 3)) {
    Config scratch;
    TRY(scratch.set(name, *value));
  }
  lua_rawset(s, 1);
  return 0;
}

// The value that a variable has before the script gives it one; nil when it has none.
Result<int> push_default(lua_State* s) {
  const std::string name = lua_text(s, 1).value_or("");
  const Config config = default_config();
  const auto all = config.flattened();
  const auto at = all.find(name);
  if (at == all.end()) {
    lua_pushnil(s);
  } else if (name == "parallelism") {
    lua_pushinteger(s, config.parallelism);
  } else {
    lua_pushlstring(s, at->second.data(), at->second.size());
  }
  return 1;
}

Result<Config> try_load(const std::string& path) {
  const auto text = host::read_file(path);
  if (!text) return fail("File '{}' not found", path);
  LuaState lua(LuaState::Libraries::None);
  bool has_syntax = false;
  lua.bind("syntax", [&](lua_State* s) { return check_syntax(s, has_syntax); });
  // Reading a name that is not set yields its default or a table, so that test_suites.A.b = 1 needs
  // no ceremony.
  constexpr const char* kAutoTables = R"(
    local setmetatable, rawset, assign, default = setmetatable_, rawset_, assign_, default_
    local function auto(t, path)
      local function grow(t, k)
        local v = default(path .. k)
        if v then return v end
        v = auto({}, path .. k .. '.')
        rawset(t, k, v)
        return v
      end
      return setmetatable(t, {__index = grow, __newindex = assign, path = path})
    end
    auto(globals_, ''))";
  lua.bind("assign_", check_assignment);
  lua.bind("default_", [](lua_State* s) { return push_default(s); });
  lua.bind("setmetatable_", [](lua_State* s) -> Result<int> {
    lua_setmetatable(s, 1);
    return 1;
  });
  lua.bind("rawset_", [](lua_State* s) -> Result<int> {
    lua_rawset(s, 1);
    return 0;
  });
  lua_pushglobaltable(lua.raw());
  lua_setglobal(lua.raw(), "globals_");
  MUST(lua.run(kAutoTables, "prelude"));  // Our own text.
  lua_pushglobaltable(lua.raw());
  for (const char* name : {"globals_", "setmetatable_", "rawset_", "assign_", "default_"}) {
    lua_pushstring(lua.raw(), name);
    lua_pushnil(lua.raw());
    lua_rawset(lua.raw(), -3);
  }
  lua_pop(lua.raw(), 1);
  auto done = lua.run(*text, path);
  if (!done) return fail("Failed to load Lua file '{}': {}", path, done.error().text);
  if (!has_syntax) return fail("No syntax defined (no call to syntax() found)");
  Config config = default_config();
  lua_pushglobaltable(lua.raw());
  TRY(take_table(lua.raw(), "", config, 0));
  return config;
}

}  // namespace

std::map<std::string, std::string> Config::variables_of(const std::string& suite) const {
  const auto at = suites.find(suite);
  std::map<std::string, std::string> variables;
  if (at != suites.end()) variables = at->second;
  if (unprivileged_user) {
    variables["unprivileged-user"] = unprivileged_user->name;
    variables["unprivileged_user"] = unprivileged_user->name;
  }
  return variables;
}

std::map<std::string, std::string> Config::flattened() const {
  std::map<std::string, std::string> all = {{"architecture", architecture},
                                            {"execenvs", join(execenvs, " ")},
                                            {"parallelism", fmt::format("{}", parallelism)},
                                            {"platform", platform}};
  if (unprivileged_user) all["unprivileged_user"] = unprivileged_user->name;
  for (const auto& [suite, variables] : suites) {
    for (const auto& [name, value] : variables) {
      all[fmt::format("{}{}.{}", kSuites, suite, name)] = value;
    }
  }
  return all;
}

Result<void> Config::set(std::string_view name, std::string_view value) {
  if (name == "architecture") {
    architecture = value;
  } else if (name == "platform") {
    platform = value;
  } else if (name == "execenvs") {
    std::set<std::string> sorted;
    for (std::string& word : split_words(value)) sorted.insert(std::move(word));
    execenvs.assign(sorted.begin(), sorted.end());
  } else if (name == "parallelism") {
    const auto number = parse_int(value);
    if (!number) return fail("Invalid value for property 'parallelism': Not an integer");
    if (*number < 1) {
      return fail("Invalid value for property 'parallelism': Must be a positive integer");
    }
    parallelism = *number;
  } else if (name == "unprivileged_user") {
    unprivileged_user = find_user(std::string(value));
    if (!unprivileged_user) return fail("Cannot find user with name '{}'", value);
  } else if (name == kSuites.substr(0, kSuites.size() - 1)) {
    return fail("Invalid value for property 'test_suites': Type mismatch");
  } else if (name.starts_with(kSuites)) {
    const std::string_view rest = name.substr(kSuites.size());
    const size_t dot = rest.find('.');
    if (dot == 0 || dot == rest.npos || dot + 1 == rest.size()) {
      return fail("Invalid variable name '{}': expected test_suites.SUITE.NAME", name);
    }
    suites[std::string(rest.substr(0, dot))][std::string(rest.substr(dot + 1))] = value;
  }
  return {};
}

Config default_config() {
  utsname machine{};
  // Fails only for a bad pointer.
  ::uname(&machine);
  Config config;
  config.architecture = config.platform = machine.machine;
  return config;
}

Result<Config> load_config(const std::string& path) {
  auto config = try_load(path);
  if (!config) return fail("Load of '{}' failed: {}", path, config.error().text);
  return config;
}

}  // namespace wh::kyua
