// The congestion controls that every stack has, by the names that `cc` and TCP_CONGESTION take.
#pragma once

#include <array>
#include <string_view>

namespace wh::tcp {

constexpr std::array<std::string_view, 4> kBuiltinCongestion = {"newreno", "cubic", "vegas", "bbr"};
// Those that DGP can go over: their window alone says what losses allow.
constexpr std::array<std::string_view, 2> kLossBasedCongestion = {"newreno", "cubic"};

}  // namespace wh::tcp
