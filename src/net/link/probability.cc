#include "net/link/probability.h"

namespace wh::net {
namespace {

constexpr uint32_t kPerPercent = Probability::kOne / 100;

tl::unexpected<Error> refused(std::string_view text) {
  return fail("'{}' is not a percentage; accepted: 0% to 100%, such as 1% or 0.05%", text);
}

}  // namespace

Result<Probability> parse_probability(std::string_view text) {
  if (text.size() < 2 || text.back() != '%') return refused(text);
  uint64_t ppb = 0;
  uint64_t step = 0;  // What a digit behind the point is worth; 0 before the point.
  bool digit_seen = false;
  for (const char c : text.substr(0, text.size() - 1)) {
    if (c == '.' && digit_seen && step == 0) {
      step = kPerPercent;
      digit_seen = false;
      continue;
    }
    if (c < '0' || c > '9') return refused(text);
    const auto digit = static_cast<uint64_t>(c - '0');
    digit_seen = true;
    if (step == 0) {
      ppb = ppb * 10 + digit * kPerPercent;
    } else {
      step /= 10;
      if (step == 0 && digit != 0) {
        return fail("'{}' has more than seven decimals; the finest chance is 0.0000001%", text);
      }
      if (step == 0) step = 1;
      ppb += digit * step;
    }
    if (ppb > Probability::kOne) return fail("'{}' is above 100%; accepted: 0% to 100%", text);
  }
  if (!digit_seen) return refused(text);
  return Probability::parts_per_billion(static_cast<uint32_t>(ppb));
}

std::string to_string(Probability p) {
  std::string text = std::to_string(p.ppb() / kPerPercent);
  uint32_t fraction = p.ppb() % kPerPercent;
  if (fraction != 0) text += '.';
  for (uint32_t step = kPerPercent / 10; fraction != 0; step /= 10) {
    text += static_cast<char>('0' + fraction / step);
    fraction %= step;
  }
  return text + '%';
}

}  // namespace wh::net
