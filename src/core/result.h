// Result<T>: a value, or an Error that says what was attempted and why it could not be.
//
// Use it for everything that can fail at run time (a system call, a file, a word a user typed). An
// Error carries a std::errc, which callers may act on, and a sentence for a person: what was wrong,
// where, and what would be accepted. TRY(expr) yields the value or returns the error to the caller.
#pragma once

#include <string>
#include <system_error>
#include <tl/expected.hpp>
#include <utility>

#include "core/check.h"

namespace wh {
inline namespace core {

struct Error {
  std::errc code = std::errc::invalid_argument;
  std::string text;

  // The same error with `where` before its text: "lab.toml:3: rate: ...".
  Error within(std::string_view where) && {
    text.insert(0, ": ").insert(0, where);
    return std::move(*this);
  }
};

template <class T>
using Result = tl::expected<T, Error>;

// An error of a user's making: bad word, bad value. Code is invalid_argument.
template <class... Args>
tl::unexpected<Error> fail(fmt::format_string<Args...> format, Args&&... args) {
  return tl::unexpected(
      Error{std::errc::invalid_argument, fmt::format(format, std::forward<Args>(args)...)});
}

// An error with a code of its own; the text of the code is appended to the attempt:
// "open /dev/net/tun: No such file or directory".
inline tl::unexpected<Error> fail_with(std::errc code, std::string_view attempt) {
  return tl::unexpected(
      Error{code, fmt::format("{}: {}", attempt, std::make_error_code(code).message())});
}

// The value of a result that has one; for Result<void>, nothing.
template <class T>
T take_value(Result<T>&& result) {
  if constexpr (!std::is_void_v<T>) return *std::move(result);
}

}  // namespace core
}  // namespace wh

#define WH_CONCAT_(a, b) a##b
#define WH_CONCAT(a, b) WH_CONCAT_(a, b)
#define WH_TRY_(name, ...)                                                   \
  __extension__({                                                            \
    auto name = (__VA_ARGS__);                                               \
    if (!name.has_value()) return ::tl::unexpected(std::move(name).error()); \
    ::wh::take_value(std::move(name));                                       \
  })
#define TRY(...) WH_TRY_(WH_CONCAT(wh_try_, __COUNTER__), __VA_ARGS__)

// The value of a Result that cannot fail here; the caller says why in a comment.
#define WH_MUST_(name, ...)                                                                \
  __extension__({                                                                          \
    auto name = (__VA_ARGS__);                                                             \
    if (!name.has_value())                                                                 \
      ::wh::check_failed(__FILE__, __LINE__, "MUST(" #__VA_ARGS__ ")", name.error().text); \
    ::wh::take_value(std::move(name));                                                     \
  })
#define MUST(...) WH_MUST_(WH_CONCAT(wh_must_, __COUNTER__), __VA_ARGS__)
