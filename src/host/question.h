// Questions to another process of this machine: one connection, one question, one answer.
//
// An answerer listens at a name in Linux's abstract namespace, which leaves no file behind, and
// serves one question at a time on a thread of its own. The text of a question ends where the asker
// shuts its side; so does the answer's. Both are bounded, and an asker that is silent for two
// seconds is let go. While no descriptor is left, those who ask wait.
#pragma once

#include <atomic>
#include <functional>
#include <memory>
#include <mutex>
#include <string>
#include <thread>

#include "host/system.h"

namespace wh::host {

constexpr size_t kMostText = 4 << 20;  // Of a question or an answer; what is longer is cut.

class Answerer {
 public:
  using Answer = std::function<std::string(const std::string& question)>;

  // Called on the answerer's thread. Errors: the name is taken, no descriptor.
  static Result<std::unique_ptr<Answerer>> open(const std::string& name, Answer answer);
  ~Answerer();
  Answerer(const Answerer&) = delete;
  Answerer& operator=(const Answerer&) = delete;

 private:
  Answerer(Fd listener, Answer answer);
  void serve();
  void set_peer(Fd peer);

  Fd listener_;
  Answer answer_;
  std::atomic<bool> is_closing_{false};
  std::mutex peer_mutex_;  // Between the thread, which sets the peer, and the end.
  Fd peer_;                // Who is served.
  std::thread thread_;
};

// Errors: nobody listens at `name`; the connection broke.
Result<std::string> ask(const std::string& name, const std::string& question);

}  // namespace wh::host
