#include "tcp/types.h"

namespace wh::tcp {

std::string to_string(const Endpoint& e) {
  const std::string address = net::to_string(e.address);
  return e.address.is_v4() ? fmt::format("{}:{}", address, e.port)
                           : fmt::format("[{}]:{}", address, e.port);
}

std::string_view to_string(State state) {
  switch (state) {
    case State::Closed: return "CLOSED";
    case State::SynSent: return "SYN_SENT";
    case State::SynReceived: return "SYN_RECEIVED";
    case State::Established: return "ESTABLISHED";
    case State::CloseWait: return "CLOSE_WAIT";
    case State::FinWait1: return "FIN_WAIT_1";
    case State::Closing: return "CLOSING";
    case State::LastAck: return "LAST_ACK";
    case State::FinWait2: return "FIN_WAIT_2";
    case State::TimeWait: return "TIME_WAIT";
  }
  UNREACHABLE();
}

std::string_view to_string(End end) {
  switch (end) {
    case End::None: return "none";
    case End::Normal: return "normal";
    case End::Reset: return "reset by peer";
    case End::Refused: return "refused";
    case End::TimedOut: return "timed out";
    case End::Unreachable: return "unreachable";
    case End::Aborted: return "aborted";
  }
  UNREACHABLE();
}

std::string_view to_string(Recovery r) {
  switch (r) {
    case Recovery::Open: return "open";
    case Recovery::Recovery: return "recovery";
    case Recovery::Loss: return "loss";
  }
  UNREACHABLE();
}

std::string to_string(const Info& i) {
  const std::string ssthresh =
      i.ssthresh == Bytes::max() ? "-" : std::to_string(i.ssthresh.count());
  return fmt::format(
      "{} {} {} cwnd {} ssthresh {} pipe {} out {} sacked {} lost {} unsent {} snd_wnd {} rcv_wnd "
      "{} "
      "mss {} srtt {} rto {} pace {} sent {} rexmit {} acked {} received {} timeouts {} entries {}",
      to_string(i.state), to_string(i.recovery), i.congestion_control, i.cwnd.count(), ssthresh,
      i.pipe.count(), i.outstanding.count(), i.sacked.count(), i.lost.count(), i.unsent.count(),
      i.send_window.count(), i.receive_window.count(), i.mss.count(), wh::to_string(i.srtt),
      wh::to_string(i.rto), wh::to_string(i.pace), i.sent.count(), i.retransmitted.count(),
      i.acknowledged.count(), i.received.count(), i.timeouts, i.sendmap_entries);
}

}  // namespace wh::tcp
