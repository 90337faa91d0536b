// The Linux kernel's TCP as the other end of a connection: a child in a namespace with plain
// sockets.
//
//   auto peer = TRY(KernelPeer::start(space, {.role = PeerRole::Listen, .port = 5001}));
//   TRY(peer->watch(loop, [&](Result<PeerReport> report) { ... }));
//
// It listens for one connection or makes one, sends so many bytes of a pattern that can be checked
// (core/stream_pattern.h), checks what it receives against another, and ends when both directions
// have. A pure sink closes when the other side has. Its report is one line of JSON over a pipe,
// which becomes a PeerReport; an error it met becomes the Error. stop() makes it report at once. To
// start a process takes milliseconds: one that `waits` is there, and connects when go() tells it.
#pragma once

#include <functional>
#include <memory>
#include <optional>
#include <string>

#include "core/units.h"
#include "host/child.h"
#include "host/netns.h"
#include "net/address.h"

namespace wh::host {

enum class PeerRole : uint8_t { Listen, Connect };

struct PeerConfig {
  PeerRole role = PeerRole::Listen;
  // Listen: which of its own addresses; all, of both versions, when empty. Connect: whose, not
  // empty.
  std::optional<net::IpAddress> address = std::nullopt;
  uint16_t port = 5001;
  Bytes send{0};            // Then it closes its direction.
  Duration send_for = 0ns;  // Not 0: closes its direction after this long, too.
  Duration warmup = 0ns;    // What it sends so long after it connected is not reported.
  bool waits = false;       // Connect: not before go().
  uint64_t seed = 1;   // Of the stream that the connecting side sends; the other's is one more.
  bool verify = true;  // Off: what comes is counted and dropped in the kernel, which costs less.
  // Left to the kernel's defaults where empty or infinite.
  std::string congestion = "";
  Rate pace = Rate::infinite();  // SO_MAX_PACING_RATE, payload and headers.
};

struct PeerReport {
  Bytes sent{0};  // Without those of the warm-up; so are the retransmitted ones.
  Bytes received{0};
  std::optional<uint64_t> first_wrong_byte;  // Of what was received; nothing when all is as sent.
  Duration elapsed{};                        // From connected to the end.
  Duration cpu{};                            // Of the child, user and system.
  // From TCP_INFO at the end.
  std::string congestion;
  Duration rtt{};
  uint32_t cwnd_segments = 0, mss = 0;
  Bytes retransmitted{0};
  std::string json;  // The line as it came, with more of TCP_INFO.

  bool is_intact() const { return !first_wrong_byte; }
};

class KernelPeer {
 public:
  // A listener is listening when this returns. Errors: an address that is not there, a port in use,
  // a congestion control that the kernel does not have.
  static Result<std::unique_ptr<KernelPeer>> start(const Netns& space, PeerConfig config);
  ~KernelPeer();

  // Calls the action once, when it has reported or failed.
  Result<void> watch(RealLoop& loop, std::function<void(Result<PeerReport>)> action);
  // Blocks until it has reported. REQUIRES: not watched.
  Result<PeerReport> wait();
  void go();  // REQUIRES: it waits. Whether it could, its report tells.
  // It reports what it has by then. Not by a signal: one that came too early or too late would
  // end it without a report.
  void stop() { word_.close(); }
  Child& child() { return child_; }
  int reports() const { return reports_.raw(); }  // Readable once it reports or ends.

 private:
  KernelPeer(Child child, Fd reports, Fd word)
      : child_(std::move(child)), reports_(std::move(reports)), word_(std::move(word)) {}
  Result<PeerReport> finish(const std::string& line);

  Child child_;
  Fd reports_;
  Fd word_;  // A byte through it is the child's word to go, its closing that to stop.
  std::string line_;
  std::unique_ptr<FdWatch> watch_;
};

}  // namespace wh::host
