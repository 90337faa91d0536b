#include "kyua/event_stream.h"

#include <fcntl.h>
#include <unistd.h>

#include <nlohmann/json.hpp>

#include "core/json_text.h"
#include "host/system.h"

namespace wh::kyua {
namespace {

using Json = nlohmann::ordered_json;

// Tests print what they like; bytes that are no UTF-8 are replaced.
std::string to_line(const Json& json) {
  return json_text(json) + "\n";
}

}  // namespace

Result<EventStream> EventStream::open(const std::string& path) {
  EventStream stream;
  if (path == "-") {
    stream.fd_ = STDOUT_FILENO;
  } else if (!path.empty()) {
    stream.file_ = TRY(host::open_file(path, O_WRONLY | O_CREAT | O_TRUNC));
    stream.fd_ = stream.file_.raw();
  }
  return stream;
}

void EventStream::write(const std::string& line) {
  // Whoever reads it may have gone; the run goes on.
  if (fd_ >= 0) (void)host::write_all(fd_, line);
}

void EventStream::started(const std::string& id) {
  if (fd_ >= 0) write(to_line({{"event", "started"}, {"id", id}}));
}

void EventStream::finished(const std::string& id, const Finished& f) {
  if (fd_ < 0) return;
  const CaseOutcome& o = f.outcome;
  write(to_line({{"event", "finished"},
                 {"id", id},
                 {"suite", f.program.suite},
                 {"result", to_word(o.result.verdict)},
                 {"reason", o.result.reason},
                 {"good", o.result.is_good()},
                 {"start", to_iso8601(o.start)},
                 {"seconds", to_seconds(o.end - o.start)},
                 {"user_seconds", to_seconds(o.usage.user)},
                 {"system_seconds", to_seconds(o.usage.system)},
                 {"peak_memory_bytes", o.usage.peak_memory.count()},
                 {"attempt", f.attempt},
                 {"final", f.is_final},
                 {"flaky", f.is_flaky()}}));
}

}  // namespace wh::kyua
