// What happens in a run as JSON, one object a line, at once: for CI systems and scripts.
//
//   {"event":"started","id":"net:ping"}
//   {"event":"finished","id":"net:ping","result":"failed","reason":"...","seconds":0.071,...}
#pragma once

#include <string>

#include "host/fd.h"
#include "kyua/engine.h"

namespace wh::kyua {

class EventStream {
 public:
  // To a file, "-" for standard output, "" for nowhere. Errors: it cannot be made.
  static Result<EventStream> open(const std::string& path);
  void started(const std::string& id);
  void finished(const std::string& id, const Finished& finished);

 private:
  void write(const std::string& line);
  host::Fd file_;
  int fd_ = -1;
};

}  // namespace wh::kyua
