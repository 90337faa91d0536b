#include "tcp/segment.h"

#include <cstring>

#include "net/checksum.h"
#include "net/ip_service.h"
#include "net/wire/wire.h"

namespace wh::tcp {
namespace {

constexpr uint8_t kTtl = 64;

// One's complement sum of 16-bit words in host order.
constexpr uint16_t folded(uint64_t sum) {
  while (sum >> 16 != 0) sum = (sum & 0xffff) + (sum >> 16);
  return static_cast<uint16_t>(sum);
}

uint64_t sum_words(const uint8_t* at, size_t bytes) {
  uint64_t sum = 0;
  for (size_t i = 0; i < bytes; i += 2) sum += net::load16(at + i);
  return sum;
}

}  // namespace

HeaderTemplate::HeaderTemplate(const Endpoint& local, const Endpoint& remote) {
  CHECK(local.address.family == remote.address.family);
  uint8_t* ip = bytes_.data();
  if (local.address.is_v4()) {
    ip[0] = 0x45;
    net::store16(ip + 6, 0x4000);  // Do not fragment.
    ip[8] = kTtl;
    ip[9] = net::kProtocolTcp;
    net::store32(ip + 12, local.address.v4().value);
    net::store32(ip + 16, remote.address.v4().value);
    ip_size_ = 20;
    ip_sum_ = static_cast<uint32_t>(sum_words(ip, 20));
    pseudo_sum_ = sum_words(ip + 12, 8);
  } else {
    ip[0] = 0x60;
    ip[6] = net::kProtocolTcp;
    ip[7] = kTtl;
    std::memcpy(ip + 8, local.address.v6().bytes.data(), 16);
    std::memcpy(ip + 24, remote.address.v6().bytes.data(), 16);
    ip_size_ = 40;
    pseudo_sum_ = sum_words(ip + 8, 32);
  }
  pseudo_sum_ += net::kProtocolTcp;
  table_ = local.table;
  net::store16(ip + ip_size_, local.port);
  net::store16(ip + ip_size_ + 2, remote.port);
}

void HeaderTemplate::set_hop_limit(uint8_t hops) {
  const bool is_v4 = ip_size_ == 20;
  bytes_[is_v4 ? 8 : 7] = hops;
  if (is_v4) ip_sum_ = static_cast<uint32_t>(sum_words(bytes_.data(), 20));
}

uint8_t* HeaderTemplate::write(net::Packet& packet, const Fields& f) const {
  uint8_t* ip = packet.append(ip_size_ + 20 + f.options);
  packet.checksum = net::Checksum::Needed;
  packet.l3_offset = 0;
  packet.l4_offset = static_cast<uint16_t>(ip_size_);
  packet.table = table_;
  return emit(ip, f);
}

uint8_t* HeaderTemplate::emit(uint8_t* ip, const Fields& f) const {
  const uint32_t tcp_length = 20 + f.options + f.payload;
  if (ip_size_ == 20) {
    std::memcpy(ip, bytes_.data(), 40);  // Of a known size the copy needs no call.
    const auto total = static_cast<uint16_t>(ip_size_ + tcp_length);
    ip[1] = f.tos;
    net::store16(ip + 2, total);
    const uint16_t sum = folded(uint64_t{ip_sum_} + f.tos + total);
    net::store16(ip + 10, static_cast<uint16_t>(~sum));
  } else {
    std::memcpy(ip, bytes_.data(), 60);
    net::store16(ip, static_cast<uint16_t>(0x6000 | f.tos << 4));
    net::store16(ip + 4, static_cast<uint16_t>(tcp_length));
  }
  uint8_t* tcp = ip + ip_size_;
  net::store32(tcp + 4, f.seq.value());
  net::store32(tcp + 8, f.ack.value());
  net::store16(tcp + 12, static_cast<uint16_t>((5 + f.options / 4) << 12 | f.flags.bits));
  net::store16(tcp + 14, f.window);
  net::store16(tcp + 16, folded(pseudo_sum_ + tcp_length));
  net::store16(tcp + 18, 0);
  return tcp + 20;
}

HeaderStamp::HeaderStamp(const HeaderTemplate& headers, const HeaderTemplate::Fields& fields,
                         const net::TcpTimestamps& timestamps)
    : headers_(headers), fields_(fields), size_(headers.ip_size() + 20 + fields.options) {
  CHECK(fields.options == 0 || fields.options == kTimestampBytes);
  uint8_t* options = headers_.emit(bytes_.data(), fields_);
  if (fields.options != 0) write_timestamps(options, timestamps);
}

void HeaderStamp::set_payload(uint32_t payload) {
  if (payload == fields_.payload) return;
  fields_.payload = payload;
  headers_.emit(bytes_.data(), fields_);
}

void complete_tcp_checksum(net::Packet& segment) {
  constexpr uint32_t kField = net::checksum_offset(net::kProtocolTcp);
  if (segment.checksum != net::Checksum::Needed) return;
  CHECK(segment.l4_offset + kField + 2 <= segment.head_size());
  net::InternetSum sum;
  sum.add(segment.head().subspan(segment.l4_offset));
  for (const net::Slice& slice : segment.slices) {
    if (slice.size != 0) sum.add(slice.bytes());
  }
  net::store16(segment.data() + segment.l4_offset + kField, sum.checksum());
  segment.checksum = net::Checksum::Verified;
}

void write_timestamps(uint8_t* at, const net::TcpTimestamps& timestamps) {
  constexpr uint32_t kNopNopTimestamps = 0x0101080a;
  net::store32(at, kNopNopTimestamps);
  net::store32(at + 4, timestamps.value);
  net::store32(at + 8, timestamps.echo);
}

void write_sacks(uint8_t* at, std::span<const SeqRange> blocks) {
  if (blocks.empty()) return;
  constexpr uint32_t kNopNopSack = 0x01010500;
  net::store32(at, kNopNopSack | (sack_bytes(blocks.size()) - 2));
  for (const SeqRange& block : blocks) {
    net::store32(at += 4, block.begin.value());
    net::store32(at += 4, block.end.value());
  }
}

}  // namespace wh::tcp
