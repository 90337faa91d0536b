// The programs of a flow that do more than send all they can: they say how far each end of the
// connection may send, and when.
//
//            allow()                                allow()
//   Program ---------> sender's StreamEnd ========> receiver's StreamEnd <--------- Program
//      ^  on_request()    |                             |   on_received()              |
//      +------------------+                             +------------------------------+
//
// One object plays both programs: what each side knows, it knows from the bytes that reached it.
#pragma once

#include <memory>

#include "core/loop.h"
#include "lab/report.h"
#include "lab/stream.h"
#include "lab/workload.h"

namespace wh::lab {

class Program {
 public:
  // Where it runs. All of it must outlive it.
  struct Ends {
    Loop& loop;
    StreamEnd& sender;
    StreamEnd& receiver;
  };
  virtual ~Program() = default;
  // The connection was asked for.
  virtual void start() = 0;
  virtual void on_received() {}  // receiver.received() has moved.
  virtual void on_request() {}   // sender.received() has moved.
  virtual void report(FlowReport& /*to*/) const {}
  // Whether the receiver sends requests.
  virtual bool has_requests() const { return false; }
};

// Null for a bulk transfer and for web: neither needs one.
std::unique_ptr<Program> make_program(const Workload& workload, const Program::Ends& ends);

}  // namespace wh::lab
