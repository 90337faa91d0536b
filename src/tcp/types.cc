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

}  // namespace wh::tcp
