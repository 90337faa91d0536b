// What a proxy carried: a line for each connection that has ended, written at once, fields between
// tabs, and at its own end one (`open`) for each that has not. The first line names them:
//
//   began_s lasted_s side port remote to_network to_program retransmitted goodput_bps pace_bps
//   rtt_min_ms rtt_ms timeouts end
//
// `goodput_bps` is what was acknowledged over the time in which there was something to deliver;
// what is not known (no pace, no round trip) is `-`.
#pragma once

#include <memory>
#include <string>

#include "host/output_file.h"
#include "lab/relay.h"

namespace wh::lab {

class ConnectionLog {
 public:
  struct Entry {
    Duration began{}, lasted{};  // `began` since the proxy's start.
    std::string_view side;       // "serve", "reach".
    uint16_t port = 0;
    Relay::Outcome outcome;
  };
  // "-" is standard output (LineFile). Errors: a file that cannot be written.
  static Result<std::unique_ptr<ConnectionLog>> create(const std::string& path);
  void write(const Entry& entry);
  // Errors: the first that a line met.
  Result<void> close() { return file_->close(); }

 private:
  explicit ConnectionLog(std::unique_ptr<host::LineFile> file) : file_(std::move(file)) {}
  std::unique_ptr<host::LineFile> file_;
};

// Without the newline.
std::string line_of(const ConnectionLog::Entry& entry);

}  // namespace wh::lab
