// The stage a transcript plays on: one TCP of ours in virtual time, and a peer that is the script.
//
// Exact: a segment must leave at its line's time, or within kSlack after it, which is two slots of
// the wheel that timers are rounded up to; and none may leave that no line expects. What fails is
// told with the conversation so far.
#pragma once

#include <deque>

#include "script.h"
#include "tcp/test_world.h"

namespace wh::transcript {

constexpr Duration kSlack = 20us;

class Stage {
 public:
  explicit Stage(const Script& script);
  ~Stage();

  // Errors: the line that did not come true, and why.
  Result<void> play();
  // What happened, a line each.
  const std::vector<std::string>& conversation() const { return conversation_; }

 private:
  struct Sent {
    Instant when;
    SegmentLine segment;
  };
  Result<void> play(const Line& line);
  Result<void> expect(const SegmentLine& wanted, Instant at);
  Result<void> compare(const SegmentLine& wanted, const SegmentLine& sent) const;
  void note_sent(Instant when, const net::Packet& packet, const net::TcpView& tcp);
  void inject(const SegmentLine& segment);
  Result<void> inject(const Icmp& icmp);
  void run_to(Instant t);
  void say(Instant when, std::string_view mark, const SegmentLine& segment);

  Result<void> act(const std::vector<std::string>& w);
  Result<void> act_on_connection(const std::vector<std::string>& w);
  Result<void> set(const std::vector<std::string>& w);
  Result<void> check(const std::vector<std::string>& w);
  Result<std::string> value_of(const std::string& name);
  tcp::Endpoint us() const;
  tcp::Endpoint peer() const;

  const Script& script_;
  VirtualLoop loop_;
  net::PacketPool pool_;
  tcp::TestWire wire_;
  tcp::TestHost host_;
  tcp::Listener* listener_ = nullptr;
  tcp::Connection* connection_ = nullptr;
  std::deque<Sent> sent_;
  std::vector<std::string> conversation_;
  Instant line_time_{};
  uint32_t iss_ = 0, last_value_ = 0;
  bool knows_iss_ = false;
  uint64_t written_ = 0;
  char letter_ = 'a';  // What the peer's next segment with data is filled with.
};

}  // namespace wh::transcript
