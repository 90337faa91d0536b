#include "kyua/lua_state.h"

#include <algorithm>
#include <cstdlib>

namespace wh::kyua {
namespace {

void stop_script(lua_State* state, lua_Debug*) {
  // A script that catches this in a pcall() gets no further than the next instruction outside.
  lua_sethook(state, stop_script, LUA_MASKCOUNT, 1);
  luaL_error(state, "The script did not end within %d Lua instructions",
             LuaState::kInstructionLimit);
}

}  // namespace

// As lua_Alloc has it: what `new_size` 0 frees, a null `block` makes.
void* LuaState::allocate(void* used, void* block, size_t old_size, size_t new_size) {
  auto& total = *static_cast<size_t*>(used);
  if (block == nullptr) old_size = 0;  // Then it tells the kind of object.
  if (new_size == 0) {
    std::free(block);
    total -= old_size;
    return nullptr;
  }
  if (new_size > old_size && total + (new_size - old_size) > kMemoryLimit) return nullptr;
  void* made = std::realloc(block, new_size);
  if (made != nullptr) total += new_size - old_size;
  return made;
}

LuaState::LuaState(Libraries libraries) : state_(lua_newstate(&allocate, used_.get())) {
  CHECK(state_ != nullptr);
  if (libraries == Libraries::None) return;
  for (const luaL_Reg& library :
       {luaL_Reg{LUA_GNAME, luaopen_base}, luaL_Reg{LUA_STRLIBNAME, luaopen_string},
        luaL_Reg{LUA_TABLIBNAME, luaopen_table}}) {
    luaL_requiref(raw(), library.name, library.func, 1);
    lua_pop(raw(), 1);
  }
}

int LuaState::call(lua_State* state) {
  bool failed = false;
  int pushed = 0;
  {
    const auto* function = static_cast<const Function*>(lua_touserdata(state, lua_upvalueindex(1)));
    const Result<int> result = (*function)(state);
    failed = !result;
    if (result) {
      pushed = *result;
    } else {
      luaL_where(state, 1);
      lua_pushlstring(state, result.error().text.data(), result.error().text.size());
      lua_concat(state, 2);
    }
  }
  return failed ? lua_error(state) : pushed;
}

void LuaState::bind(std::string_view name, Function function) {
  functions_.push_back(std::make_unique<Function>(std::move(function)));
  const size_t dot = name.find('.');
  if (dot == name.npos) {
    lua_pushlightuserdata(raw(), functions_.back().get());
    lua_pushcclosure(raw(), &LuaState::call, 1);
    lua_setglobal(raw(), std::string(name).c_str());
    return;
  }
  const std::string table(name.substr(0, dot)), field(name.substr(dot + 1));
  if (lua_getglobal(raw(), table.c_str()) != LUA_TTABLE) {
    lua_pop(raw(), 1);
    lua_newtable(raw());
    lua_pushvalue(raw(), -1);
    lua_setglobal(raw(), table.c_str());
  }
  lua_pushlightuserdata(raw(), functions_.back().get());
  lua_pushcclosure(raw(), &LuaState::call, 1);
  lua_setfield(raw(), -2, field.c_str());
  lua_pop(raw(), 1);
}

Result<void> LuaState::run(const std::string& text, const std::string& chunk_name) {
  lua_sethook(raw(), stop_script, LUA_MASKCOUNT, kInstructionLimit);
  const std::string chunk = "@" + chunk_name;
  // As the lua program does with a file: a byte order mark, and a first line for the shell, are not
  // the script's. The line's end stays, for the numbers of the others.
  std::string_view script = text;
  if (script.starts_with("\xef\xbb\xbf")) script.remove_prefix(3);
  if (script.starts_with('#')) script.remove_prefix(std::min(script.find('\n'), script.size()));
  // "t": text only; precompiled chunks can crash the interpreter.
  int status = luaL_loadbufferx(raw(), script.data(), script.size(), chunk.c_str(), "t");
  if (status == LUA_OK) status = lua_pcall(raw(), 0, 0, 0);
  if (status == LUA_OK) return {};
  const char* message = lua_tostring(raw(), -1);
  const std::string copy = message != nullptr ? message : "The script threw something not a text";
  lua_pop(raw(), 1);
  return fail("{}", copy);
}

std::optional<std::string> lua_text(lua_State* state, int index) {
  if (!lua_isstring(state, index)) return std::nullopt;
  // A copy, because lua_tolstring changes a number in place, which confuses lua_next.
  lua_pushvalue(state, index);
  size_t size = 0;
  const char* text = lua_tolstring(state, -1, &size);
  std::string copy(text, size);
  lua_pop(state, 1);
  return copy;
}

}  // namespace wh::kyua
