// What is known of a path: told by a person, or read from a run or a capture.
#pragma once

#include <string>
#include <string_view>

#include "core/result.h"
#include "core/units.h"

namespace wh::lab {

struct PathFacts {
  Rate up;                       // In the direction of the data: what the sender can send.
  Rate down = Rate::infinite();  // The other way; infinite: not known, and it does not matter.
  Duration rtt = 20ms;           // Round trip of the empty path.
  Duration buffer = 300ms;       // How long a full buffer makes packets wait.
  uint32_t connections = 7;      // Expected at a time.
  std::string remark = {};       // What whoever asks should know of the source; "" for nothing.
};

// From a document of `wh pace --json`: the most used of its links, the shortest round trip, the
// buffer that its lab gives that link (without a lab that has it, the longest queue), the number of
// flows at a time: those that had the path for themselves (`--alone`) are not added up. The numbers
// are as the document has them, however odd. Errors: `name` is no such document.
Result<PathFacts> facts_of_run(std::string_view json, std::string_view name);

// From a capture taken at the sender or near it. Of the host that sent most: the rate is what was
// acknowledged in a good half second (three of four are no better); the round trip from a segment,
// sent once, to what acknowledges it; the buffer is what the longest of them (99 % are shorter)
// exceed the shortest by. One taken at the receiver shows a rate, and no round trip: the caller who
// knows that and the buffer passes `is_rtt_known`, and what is returned has neither. Of one that is
// cut short it reads what is whole, and remarks on it. Errors: not a capture; it holds no TCP
// transfer of at least 100 kB; it was taken at the receiver.
Result<PathFacts> facts_of_capture(const std::string& path, bool is_rtt_known = false);

}  // namespace wh::lab
