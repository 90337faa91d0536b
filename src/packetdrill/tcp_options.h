// The socket options of a TCP socket: one row a name, by Linux's numbers, which packetdrill's Linux
// build uses, and by FreeBSD's where they name something else.
#pragma once

#include "packetdrill/tcp_socket.h"

namespace wh::packetdrill {

class TcpOptions {
 public:
  explicit TcpOptions(TcpSocket& socket) : socket_(socket) {}
  // Bytes written, or an errno: ENOPROTOOPT for a name that is not known, EINVAL for a length that
  // is too short or a value out of range, EBUSY for a chosen pace beside a fixed one.
  Outcome get(int level, int name, std::span<uint8_t> value);
  Outcome set(int level, int name, std::span<const uint8_t> value);

 private:
  Outcome get_socket(int name, std::span<uint8_t> value);
  Outcome get_pace(std::span<uint8_t> value);
  Outcome get_tcp(int name, std::span<uint8_t> value);
  Outcome get_ip(int level, int name, std::span<uint8_t> value);
  Outcome set_socket(int name, std::span<const uint8_t> value);
  Outcome set_tcp(int name, std::span<const uint8_t> value);
  Outcome set_keepalive(int name, int value);
  Outcome set_ip(int level, int name, int value);
  Outcome set_buffer(bool is_send, int bytes);
  Outcome set_stack(std::span<const uint8_t> value);
  Outcome set_pacing(int name, std::span<const uint8_t> value);
  Outcome get_pacing(int name, std::span<uint8_t> value);
  Outcome set_pace(std::span<const uint8_t> value);
  Outcome set_congestion(std::span<const uint8_t> name);

  TcpSocket& socket_;
};

}  // namespace wh::packetdrill
