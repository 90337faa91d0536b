// An address and a port as the kernel's socket calls take them. For this room's own files.
#pragma once

#include <netinet/in.h>
#include <sys/socket.h>

#include <cstring>

#include "net/address.h"

namespace wh::host {

struct SocketAddress {
  SocketAddress(const net::IpAddress& address, uint16_t port) {
    if (address.is_v4()) {
      sockaddr_in in{};
      in.sin_family = AF_INET;
      in.sin_port = htons(port);
      in.sin_addr.s_addr = htonl(address.v4().value);
      std::memcpy(&storage, &in, sizeof in);
      size = sizeof in;
    } else {
      sockaddr_in6 in{};
      in.sin6_family = AF_INET6;
      in.sin6_port = htons(port);
      std::memcpy(&in.sin6_addr, address.v6().bytes.data(), 16);
      std::memcpy(&storage, &in, sizeof in);
      size = sizeof in;
    }
  }
  const sockaddr* get() const {
    // Sound: what sockaddr_storage is for.
    return reinterpret_cast<const sockaddr*>(&storage);
  }
  uint16_t port() const {  // Both families have it at the same place.
    sockaddr_in in;
    std::memcpy(&in, &storage, sizeof in);
    return ntohs(in.sin_port);
  }
  sockaddr_storage storage{};
  socklen_t size = 0;
};

}  // namespace wh::host
