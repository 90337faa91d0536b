// What the program of a flow does with its connection, and the words for it.
//
//   (nothing)              bulk: sends as fast as it may, until the end or for `bytes`
//   onoff=2s:1s            sends for 2 s, is silent for 1 s, and again
//   onoff=500kB:1s         sends 500 kB, is silent for 1 s after they have arrived, and again
//   web=100ms:50kB         a short connection of its own every 100 ms on average (exponentially
//                          distributed), of 50 kB on average (log-normally: many small, few large)
//   video=8Mbps:4s:20s     a player that asks for a chunk of 4 s at 8 Mbps whenever its buffer of
//                          20 s has room for one
//
// Parts may be left out from the right: `web`, `video=8Mbps`.
#pragma once

#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include "core/result.h"
#include "core/units.h"

namespace wh::lab {

struct Bulk {
  bool operator==(const Bulk&) const = default;
};
struct OnOff {
  std::variant<Duration, Bytes> on = Duration(2s);
  Duration off = 1s;
  bool operator==(const OnOff&) const = default;
};
struct Web {
  Duration every = 100ms;  // Mean time between two connections.
  Bytes size{50'000};      // Mean payload of one.
  bool operator==(const Web&) const = default;
};
struct Video {
  Rate bitrate = Rate::bits_per_second(8'000'000);
  Duration chunk = 4s;    // Playing time of one chunk.
  Duration buffer = 20s;  // Playing time that the player keeps at most; at least one chunk.
  Bytes chunk_bytes() const { return bitrate.bytes_in(chunk); }
  bool operator==(const Video&) const = default;
};
using Workload = std::variant<Bulk, OnOff, Web, Video>;

// The words that name a workload: "onoff", "web", "video".
const std::vector<std::string>& workload_words();
// `word` is one of them; `value` what stands behind its `=`, "" for nothing. Errors name the value
// and what is accepted.
Result<Workload> parse_workload(std::string_view word, std::string_view value);
// "web=100ms:50kB"; "" for Bulk. parse_workload reads it back.
std::string print_workload(const Workload& workload);

}  // namespace wh::lab
