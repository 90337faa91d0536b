// A Lua 5.4 state for configuration scripts: few libraries, a bound on work, errors as Results.
//
// A script is somebody else's program: it may loop, recurse, hoard or throw. run() stops it after
// kInstructionLimit instructions or with kMemoryLimit in use, and answers with Lua's own message
// ("Kyuafile:3: ..."). C functions offered to scripts are written as lambdas that return
// Result<int> (how many values they pushed); bind() turns an error into a Lua error only after
// every C++ object of the lambda is gone, because Lua leaves a frame by longjmp.
#pragma once

#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include <lua.hpp>

#include "core/result.h"

namespace wh::kyua {

class LuaState {
 public:
  // About a second of looping; a large suite's Kyuafile takes thousandths of that.
  static constexpr int kInstructionLimit = 100'000'000;
  static constexpr size_t kMemoryLimit = 256 << 20;
  using Function = std::function<Result<int>(lua_State*)>;

  enum class Libraries : uint8_t { None, BaseStringTable };
  explicit LuaState(Libraries libraries);

  // Sets a global (or with a dot, "fs.join", a field of a global table) to a function.
  void bind(std::string_view name, Function function);
  // Errors: a file that cannot be read; a script that is not Lua, fails, or works too long.
  Result<void> run(const std::string& text, const std::string& chunk_name);

  lua_State* raw() { return state_.get(); }

 private:
  struct Close {
    void operator()(lua_State* s) const { lua_close(s); }
  };
  static int call(lua_State* state);
  static void* allocate(void* used, void* block, size_t old_size, size_t new_size);

  std::unique_ptr<size_t> used_ = std::make_unique<size_t>(0);  // Bytes.
  std::vector<std::unique_ptr<Function>> functions_;  // Outlive the state that points to them.
  std::unique_ptr<lua_State, Close> state_;
};

// The text of a string or number argument; nothing for any other type.
std::optional<std::string> lua_text(lua_State* state, int index);

}  // namespace wh::kyua
