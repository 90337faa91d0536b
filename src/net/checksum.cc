#include "net/checksum.h"

#include "net/ip_service.h"
#include "net/wire/ethernet.h"
#include "net/wire/ip4.h"
#include "net/wire/ip6.h"

namespace wh::net {
namespace {

uint64_t load64(const uint8_t* at) {
  uint64_t v;
  std::memcpy(&v, at, sizeof v);
  return v;
}

uint64_t halves(uint64_t v) {
  return (v & 0xffffffff) + (v >> 32);
}

// The last one to seven bytes, as words in memory order.
inline uint64_t sum_rest(const uint8_t* at, size_t size) {
  uint64_t sum = 0;
  if ((size & 4) != 0) {
    uint32_t words;
    std::memcpy(&words, at, 4);
    sum += words;
    at += 4;
  }
  if ((size & 2) != 0) {
    uint16_t word;
    std::memcpy(&word, at, 2);
    sum += word;
    at += 2;
  }
  if ((size & 1) != 0) sum += swap16(static_cast<uint16_t>(*at << 8));
  return sum;
}

// A sum with the carry that adding `more` to it gives put back at its other end.
inline uint64_t add_around(uint64_t sum, uint64_t more) {
  sum += more;
  return sum + (sum < more ? 1 : 0);
}

// Adds four words. One chain of additions with carry is what a compiler does not find by itself.
inline uint64_t add_four(uint64_t sum, const uint8_t* at) {
#if defined(__x86_64__)
  asm("addq   (%1), %0\n\t"
      "adcq  8(%1), %0\n\t"
      "adcq 16(%1), %0\n\t"
      "adcq 24(%1), %0\n\t"
      "adcq     $0, %0"
      : "+r"(sum)
      : "r"(at), "m"(*reinterpret_cast<const uint8_t(*)[32]>(at))
      : "cc");
  return sum;
#else
  Uint128 wide = sum;
  for (size_t i = 0; i < 32; i += 8) wide += load64(at + i);
  return add_around(static_cast<uint64_t>(wide), static_cast<uint64_t>(wide >> 64));
#endif
}

// By 64-bit words: short runs, and what vectors leave. Two sums, for a processor that adds to both
// at once.
inline uint64_t sum_words(const uint8_t* at, size_t size) {
  uint64_t sum = 0, other = 0;
  for (; size >= 64; at += 64, size -= 64) {
    sum = add_four(sum, at);
    other = add_four(other, at + 32);
  }
  if (size >= 32) {
    sum = add_four(sum, at);
    at += 32;
    size -= 32;
  }
  for (; size >= 8; at += 8, size -= 8) sum = add_around(sum, load64(at));
  if (size != 0) sum = add_around(sum, sum_rest(at, size));
  return add_around(sum, other);
}

typedef uint64_t Vector16 __attribute__((vector_size(16)));
typedef uint64_t Vector32 __attribute__((vector_size(32)));

// Sums 64-bit lanes. Each lane keeps the sum of its words modulo 2^64 and the sum of their upper
// halves; the sum of the lower halves is then the difference, so no carry is ever looked for. Exact
// for up to 2^32 vectors. Inlined into functions that differ in the instructions they may use.
template <class Vector>
__attribute__((always_inline)) inline uint64_t sum_vectors(const uint8_t* at, size_t size) {
  constexpr size_t kLanes = sizeof(Vector) / 8;
  Vector total0{}, total1{}, upper0{}, upper1{};
  while (size >= 2 * sizeof(Vector)) {
    Vector a, b;
    std::memcpy(&a, at, sizeof a);
    std::memcpy(&b, at + sizeof a, sizeof b);
    total0 += a;
    upper0 += a >> 32;
    total1 += b;
    upper1 += b >> 32;
    at += 2 * sizeof(Vector);
    size -= 2 * sizeof(Vector);
  }
  const Vector upper = upper0 + upper1, lower = total0 + total1 - (upper << 32);
  uint64_t sum = 0;
  for (size_t i = 0; i < kLanes; ++i) sum += halves(lower[i]) + halves(upper[i]);
  return add_around(sum, sum_words(at, size));
}

// Not inlined, so that short runs do not pay for its registers.
__attribute__((noinline)) uint64_t sum_baseline(const uint8_t* at, size_t size) {
  return sum_vectors<Vector16>(at, size);
}

#if defined(__x86_64__)
__attribute__((target("avx2"))) uint64_t sum_avx2(const uint8_t* at, size_t size) {
  return sum_vectors<Vector32>(at, size);
}
#endif

struct Transport {
  uint8_t protocol = 0;
  uint32_t offset = 0;  // From data().
  uint32_t length = 0;
};

// The transport header behind the IP header at `ip_offset`. Nothing where there is none.
std::optional<Transport> find_transport(const Packet& packet, uint32_t ip_offset) {
  if (ip_offset >= packet.head_size()) return std::nullopt;
  const auto head = packet.head().subspan(ip_offset);
  if (head[0] >> 4 == 4) {
    const auto ip = Ip4View::parse_quoted(head);
    if (!ip || ip->is_fragment()) return std::nullopt;
    return Transport{ip->protocol(), ip_offset + ip->header_size(), ip->payload_size()};
  }
  const auto ip = Ip6View::parse_quoted(head);
  Ip6Extensions chain;
  if (!ip || ip->extensions(chain)) return std::nullopt;
  if (chain.has_fragment() && !chain.fragment.is_atomic()) return std::nullopt;
  return Transport{chain.protocol, ip_offset + chain.offset, ip->total_length() - chain.offset};
}

// Adds `length` bytes of the packet from `offset`.
void add_range(InternetSum& sum, const Packet& packet, uint32_t offset, uint32_t length) {
  packet.for_each_run(offset, [&](std::span<const uint8_t> run) {
    const size_t n = std::min<size_t>(run.size(), length);
    if (n != 0) sum.add(run.first(n));
    length -= static_cast<uint32_t>(n);
  });
}

// False, and nothing done: there is no place for it.
bool complete(Packet& packet, uint32_t ip_offset) {
  const auto field = finished_checksum(packet, ip_offset);
  if (!field) return false;
  store16(packet.data() + field->offset, field->value);
  packet.checksum = Checksum::Verified;
  return true;
}

}  // namespace

uint64_t sum_bytes(std::span<const uint8_t> bytes) {
  constexpr size_t kShort = 128;  // Up to here vectors only cost their set-up.
  if (bytes.size() <= kShort) return sum_words(bytes.data(), bytes.size());
#if defined(__x86_64__)
  if (__builtin_cpu_supports("avx2")) return sum_avx2(bytes.data(), bytes.size());
#endif
  return sum_baseline(bytes.data(), bytes.size());
}

uint64_t sum_bytes_plainly(std::span<const uint8_t> bytes) {
  uint64_t sum = 0;
  for (size_t i = 0; i < bytes.size(); i += 2) {
    const uint8_t word[2] = {bytes[i], i + 1 < bytes.size() ? bytes[i + 1] : uint8_t{0}};
    sum += swap16(load16(word));
  }
  return sum;
}

bool try_complete_checksum(Packet& packet) {
  if (packet.checksum != Checksum::Needed) return true;
  const auto ethernet = EthernetView::parse(packet.head());
  return ethernet && complete(packet, ethernet->header_size());
}

void complete_checksum(Packet& packet, uint32_t ip_offset) {
  if (packet.checksum != Checksum::Needed) return;
  const bool has_place = complete(packet, ip_offset);
  CHECK(has_place);
}

std::optional<ChecksumField> finished_checksum(const Packet& packet, uint32_t ip_offset) {
  const auto transport = find_transport(packet, ip_offset);
  if (!transport || transport->offset + transport->length > packet.size()) return std::nullopt;
  const uint32_t field = checksum_offset(transport->protocol), offset = transport->offset + field;
  if (field == 0 || field + 2 > transport->length || offset + 2 > packet.head_size()) {
    return std::nullopt;
  }
  InternetSum sum;
  add_range(sum, packet, transport->offset, transport->length);
  uint16_t value = sum.checksum();
  // RFC 768: a computed zero is sent as all ones, for zero means that there is none.
  if (value == 0 && transport->protocol == kProtocolUdp) value = 0xffff;
  return ChecksumField{offset, value};
}

bool verify_transport(Packet& packet, uint8_t protocol) {
  if (packet.checksum != Checksum::Unknown) return true;
  const uint32_t at = packet.l4_offset;
  CHECK(at > 0 && at <= packet.head_size());
  const auto head = packet.head();
  const bool is_v4 = head[0] >> 4 == 4;
  uint32_t length = packet.size() - at;
  if (protocol == kProtocolUdp) {
    if (head.size() < at + 8) return false;
    if (load16(&head[at + 6]) == 0) return is_v4;  // RFC 8200 section 8.1: IPv6 demands one.
    length = std::min<uint32_t>(length, load16(&head[at + 4]));
  }
  InternetSum sum;
  if (is_v4 && protocol != kProtocolIcmp) {
    sum = pseudo_header(Ip4{load32(&head[12])}, Ip4{load32(&head[16])}, protocol, length);
  } else if (!is_v4) {
    Ip6 source, destination;
    std::memcpy(source.bytes.data(), &head[8], 16);
    std::memcpy(destination.bytes.data(), &head[24], 16);
    sum = pseudo_header(source, destination, protocol, length);
  }
  add_range(sum, packet, at, length);
  if (sum.checksum() != 0) return false;
  packet.checksum = Checksum::Verified;
  return true;
}

}  // namespace wh::net
