#include "packetdrill/descriptor.h"

#include <netinet/in.h>

#include <algorithm>
#include <cstring>

namespace wh::packetdrill {

tl::expected<tcp::Endpoint, int> read_address(const sockaddr* address, socklen_t length) {
  if (address == nullptr || length < sizeof(sa_family_t)) return error(EINVAL);
  tcp::Endpoint e;
  if (address->sa_family == AF_INET) {
    if (length < sizeof(sockaddr_in)) return error(EINVAL);
    sockaddr_in in;
    std::memcpy(&in, address, sizeof in);
    e.address = net::Ip4{ntohl(in.sin_addr.s_addr)};
    e.port = ntohs(in.sin_port);
    return e;
  }
  if (address->sa_family != AF_INET6) return error(EAFNOSUPPORT);
  if (length < sizeof(sockaddr_in6)) return error(EINVAL);
  sockaddr_in6 in;
  std::memcpy(&in, address, sizeof in);
  const uint8_t* bytes = in.sin6_addr.s6_addr;
  if (IN6_IS_ADDR_V4MAPPED(&in.sin6_addr)) {
    e.address = net::Ip4::of(bytes[12], bytes[13], bytes[14], bytes[15]);
  } else {
    net::Ip6 v6;
    std::memcpy(v6.bytes.data(), bytes, 16);
    e.address = v6;
  }
  e.port = ntohs(in.sin6_port);
  return e;
}

void write_address(const tcp::Endpoint& from, int domain, sockaddr* address, socklen_t* length) {
  if (address == nullptr || length == nullptr) return;
  sockaddr_storage storage{};
  socklen_t size = 0;
  if (domain == AF_INET) {
    sockaddr_in in{};
    in.sin_family = AF_INET;
    in.sin_port = htons(from.port);
    if (from.address.is_v4()) in.sin_addr.s_addr = htonl(from.address.v4().value);
    size = sizeof in;
    std::memcpy(&storage, &in, size);
  } else {
    sockaddr_in6 in{};
    in.sin6_family = AF_INET6;
    in.sin6_port = htons(from.port);
    uint8_t* bytes = in.sin6_addr.s6_addr;
    if (from.address.is_v4()) {
      bytes[10] = bytes[11] = 0xff;
      std::memcpy(bytes + 12, from.address.bits.bytes.data(), 4);
    } else {
      std::memcpy(bytes, from.address.bits.bytes.data(), 16);
    }
    size = sizeof in;
    std::memcpy(&storage, &in, size);
  }
  std::memcpy(address, &storage, std::min(size, *length));
  *length = size;
}

size_t size_of(std::span<const iovec> parts) {
  size_t size = 0;
  for (const iovec& part : parts) size += part.iov_len;
  return size;
}

bool lead_nowhere(std::span<const iovec> parts) {
  return std::any_of(parts.begin(), parts.end(), [](const iovec& part) {
    return part.iov_base == nullptr && part.iov_len > 0;
  });
}

void scatter(std::span<const uint8_t> bytes, std::span<const iovec> parts) {
  for (const iovec& part : parts) {
    const size_t n = std::min(part.iov_len, bytes.size());
    if (n > 0 && part.iov_base != nullptr) std::memcpy(part.iov_base, bytes.data(), n);
    bytes = bytes.subspan(n);
  }
}

std::vector<uint8_t> gather(std::span<const iovec> parts) {
  std::vector<uint8_t> bytes;
  bytes.reserve(size_of(parts));
  for (const iovec& part : parts) {
    const auto* from = static_cast<const uint8_t*>(part.iov_base);
    if (part.iov_len > 0) bytes.insert(bytes.end(), from, from + part.iov_len);
  }
  return bytes;
}

}  // namespace wh::packetdrill
