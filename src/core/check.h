// Assertions for what must never be, on in every build.
//
// A CHECK that fails is a bug in this program, never bad input: it prints what was claimed, the
// values and the place, and aborts. What can fail at run time returns Result<T> (core/result.h)
// instead.
#pragma once

#include <fmt/format.h>

#include <string>

namespace wh {
inline namespace core {

// Cold, so that what leads to them lies apart from the code that they stand in.
[[gnu::cold, noreturn]] void check_failed(const char* file, int line, const char* claim);
[[gnu::cold, noreturn]] void check_failed(const char* file, int line, const char* claim,
                                          const std::string& values);

template <class A, class B>
[[noreturn, gnu::cold, gnu::noinline]] void check_op_failed(const char* file, int line,
                                                            const char* claim, const A& a,
                                                            const B& b) {
  if constexpr (fmt::is_formattable<A>::value && fmt::is_formattable<B>::value) {
    check_failed(file, line, claim, fmt::format("{} vs {}", a, b));
  } else {
    check_failed(file, line, claim);
  }
}

}  // namespace core
}  // namespace wh

#define CHECK(claim) \
  (__builtin_expect(!(claim), 0) ? ::wh::check_failed(__FILE__, __LINE__, #claim) : (void)0)
#define WH_CHECK_OP(op, a, b)                                                               \
  do {                                                                                      \
    const auto& wh_check_a = (a);                                                           \
    const auto& wh_check_b = (b);                                                           \
    if (__builtin_expect(!(wh_check_a op wh_check_b), 0))                                   \
      ::wh::check_op_failed(__FILE__, __LINE__, #a " " #op " " #b, wh_check_a, wh_check_b); \
  } while (false)
#define CHECK_EQ(a, b) WH_CHECK_OP(==, a, b)
#define CHECK_LT(a, b) WH_CHECK_OP(<, a, b)
#define CHECK_LE(a, b) WH_CHECK_OP(<=, a, b)
#define CHECK_GT(a, b) WH_CHECK_OP(>, a, b)
#define CHECK_GE(a, b) WH_CHECK_OP(>=, a, b)
#define UNREACHABLE() ::wh::check_failed(__FILE__, __LINE__, "unreachable")
