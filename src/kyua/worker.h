// A slot's process: it does one case after the other, for as long as the runner has some.
//
// The runner forks one for each slot, not one for each case: a copy of the runner costs more than
// all else that is done for a small case. It goes on for the next case as good as new, because a
// case leaves nothing: no process, no folder, and what the test did to memory it did to its own.
// Should a worker die, the runner forks another.
//
//   runner --- order: which case ---> worker
//          <--- outcome -------------
//
// Both are texts in frames on one socket. A worker whose socket has closed ends.
#pragma once

#include <functional>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "kyua/case_process.h"

namespace wh::kyua {

struct Order {
  size_t program = 0;                 // Its place in the suite, which a worker knows from birth.
  std::optional<TestCase> test_case;  // Nothing: list the program's cases.
};
std::string encode(const Order& order);
// Errors: not such a text.
Result<Order> decode_order(std::string_view text);

// A text as it goes over the socket, and back: the first whole one is taken off what has come.
std::string to_frame(std::string_view text);
std::optional<std::string> take_frame(std::string& received);

// False: the other end has gone.
bool send_frame(int socket, std::string_view text);

// Does what the socket's other end orders, until it closes.
void serve(int socket, const std::function<CaseOutcome(const Order&)>& run);

}  // namespace wh::kyua
