#include "vnet/ip4_options.h"

#include "net/checksum.h"
#include "net/wire/ip4.h"

namespace wh::vnet {
namespace {

constexpr uint8_t kEnd = 0, kNop = 1, kRecordRoute = 7, kTimestamp = 68;
// Of an option: where its length and its pointer are, which counts from 1 at the option's type.
constexpr uint32_t kLength = 1, kPointer = 2;

// The offset in the option of what is in error; 0: nothing.
uint32_t record_route(std::span<uint8_t> option, const OptionFiller& filler) {
  constexpr uint8_t kFirst = 4;
  if (option.size() < 3) return kLength;
  const uint8_t pointer = option[kPointer];
  if (pointer > option.size()) return 0;  // Full.
  if (pointer < kFirst || pointer + 3u > option.size()) return kPointer;
  net::store32(&option[pointer - 1u], filler.own.value);
  option[kPointer] = static_cast<uint8_t>(pointer + 4);
  return 0;
}

uint32_t record_time(std::span<uint8_t> option, const OptionFiller& filler) {
  constexpr uint8_t kFirst = 5, kOverflow = 3, kTimesOnly = 0, kWithAddresses = 1, kAsked = 3;
  if (option.size() < 4) return kLength;
  const uint8_t pointer = option[kPointer], flag = option[kOverflow] & 0xf;
  if (flag != kTimesOnly && flag != kWithAddresses && flag != kAsked) return 0;
  if (pointer > option.size()) {
    if (flag == kAsked) return 0;  // All who were asked have answered.
    if (option[kOverflow] >> 4 == 0xf) return kOverflow;
    option[kOverflow] = static_cast<uint8_t>(option[kOverflow] + 0x10);
    return 0;
  }
  const uint32_t size = flag == kTimesOnly ? 4 : 8;
  if (pointer < kFirst || pointer + size - 1 > option.size()) return kPointer;
  uint8_t* at = &option[pointer - 1u];
  if (flag == kAsked && !filler.is_own(net::Ip4{net::load32(at)})) return 0;
  if (flag == kWithAddresses) net::store32(at, filler.own.value);
  net::store32(at + size - 4, filler.now_ms | 0x80000000u);
  option[kPointer] = static_cast<uint8_t>(pointer + size);
  return 0;
}

}  // namespace

uint32_t fill_ip4_options(std::span<uint8_t> header, const OptionFiller& filler) {
  for (uint32_t at = net::Ip4Header::kMinSize; at < header.size() && header[at] != kEnd;) {
    const uint32_t size = header[at] == kNop ? 1u : header[at + kLength];
    const auto option = header.subspan(at, size);
    uint32_t fault = 0;
    if (option[0] == kRecordRoute) fault = record_route(option, filler);
    if (option[0] == kTimestamp) fault = record_time(option, filler);
    if (fault != 0) return at + fault;
    at += size;
  }
  net::store16(&header[10], 0);
  net::InternetSum sum;
  sum.add(header);
  net::store16(&header[10], sum.checksum());
  return 0;
}

}  // namespace wh::vnet
