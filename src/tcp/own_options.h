// The options of one connection that stand for a tunable of its stack (tcp/socket_option.h): most
// connections have none, and a place that asks for one says what the stack has.
#pragma once

#include <map>
#include <memory>

#include "core/units.h"

namespace wh::tcp {

class OwnOptions {
 public:
  void set(int option, int64_t value) {
    if (values_ == nullptr) values_ = std::make_unique<std::map<int, int64_t>>();
    (*values_)[option] = value;
  }
  int64_t get_or(int option, int64_t usual) const {
    if (values_ == nullptr) return usual;
    const auto at = values_->find(option);
    return at == values_->end() ? usual : at->second;
  }
  // Of an option that counts in `unit`.
  Duration time_or(int option, Duration unit, Duration usual) const {
    const int64_t own = get_or(option, -1);
    return own < 0 ? usual : own * unit;
  }

 private:
  std::unique_ptr<std::map<int, int64_t>> values_;  // Null: none.
};

}  // namespace wh::tcp
