// Frames of tunnels as Linux hands them over, with work left inside: what is made of them is read
// back layer by layer.
#include "host/tunnel.h"

#include <gtest/gtest.h>

#include <vector>

#include "core/random.h"
#include "host/device_interface.h"
#include "net/wire/ethernet.h"
#include "net/wire/ip4.h"
#include "net/wire/ip6.h"

namespace wh::host {
namespace {

using net::load16;
using net::load32;
using net::store16;

constexpr uint8_t kTcp = 6, kUdp = 17, kGre = 47;
constexpr uint16_t kId = 65534;  // Of IPv4: it comes round.

// A frame, built from its payload outwards.
class Built {
 public:
  explicit Built(uint32_t payload) : payload_(payload) {
    for (uint32_t i = 0; i < payload; ++i) bytes.push_back(static_cast<uint8_t>(i * 7 + i / 256));
  }
  struct Layer {
    uint32_t ip_left, above_left;  // Bytes from there to the end of the whole.
    uint8_t protocol;
  };

  Built& tcp(uint8_t flags) {
    uint8_t* at = prepend(32);
    net::store32(at + 4, 0xfffffe00);  // It comes round too.
    at[12] = 0x80;
    at[13] = flags;
    at[20] = at[21] = 1, at[22] = 8, at[23] = 10;
    protocol_ = kTcp, headers_ = 32;
    above_left_ = transport_left_ = size();
    return *this;
  }
  Built& udp(bool has_checksum) {
    uint8_t* at = prepend(8);
    store16(at, 4789);
    store16(at + 2, 4789);
    store16(at + 4, static_cast<uint16_t>(size()));
    protocol_ = kUdp;
    above_left_ = size();
    if (transport_left_ == 0) transport_left_ = size(), headers_ = 8;
    store16(at + 6, has_checksum ? 1 : 0);  // Some value: the pseudo-header's sum comes later.
    return *this;
  }
  Built& gre(uint16_t flags, uint16_t type) {
    const auto words =
        static_cast<uint32_t>(1 + (flags >> 15) + (flags >> 13 & 1) + (flags >> 12 & 1));
    uint8_t* at = prepend(4 * words);
    store16(at, flags);
    store16(at + 2, type);
    protocol_ = kGre;
    above_left_ = size();
    return *this;
  }
  Built& vxlan() {
    uint8_t* at = prepend(8);
    at[0] = 8, at[6] = 7;
    return *this;
  }
  Built& geneve(uint32_t options) {
    uint8_t* at = prepend(8 + options);
    at[0] = static_cast<uint8_t>(options / 4);
    store16(at + 2, 0x6558);
    return *this;
  }
  Built& ip(net::Family family) {
    const uint32_t above = size();
    if (family == net::Family::V4) {
      net::Ip4Header ip{.source = {0x0a000001}, .destination = {0x0a000002}};
      ip.protocol = protocol_;
      ip.id = kId;
      ip.total_length = static_cast<uint16_t>(20 + above);
      ip.emit({prepend(20), 20});
    } else {
      net::Ip6Header ip;
      ip.source.bytes[0] = ip.destination.bytes[0] = 0xfd;
      ip.next_header = protocol_;
      ip.payload_length = static_cast<uint16_t>(above);
      ip.emit({prepend(40), 40});
    }
    is_inner_v6_ = layers.empty() ? family == net::Family::V6 : is_inner_v6_;
    layers.push_back({size(), above, protocol_});
    // The pseudo-header's sum, as the kernel leaves it in what is open.
    uint8_t* at = bytes.data() + size() - above;
    const auto sum = net::pseudo_header_at(bytes.data(), protocol_, above).folded();
    if (protocol_ == kTcp) store16(at + 16, sum);
    if (protocol_ == kUdp && load16(at + 6) != 0) store16(at + 6, sum);
    protocol_ = family == net::Family::V4 ? 4 : 41;
    type_ = family == net::Family::V4 ? net::EtherType::Ip4 : net::EtherType::Ip6;
    return *this;
  }
  Built& ethernet(uint8_t tags = 0) {
    net::EthernetHeader ethernet;
    ethernet.type = type_;
    ethernet.tag_count = tags;
    ethernet.emit({prepend(ethernet.size()), ethernet.size()});
    return *this;
  }

  // As for a segment, or for a frame whose inner checksum is open.
  VirtioHeader header(uint16_t gso_size) const {
    VirtioHeader header;
    header.flags = VirtioHeader::kNeedsChecksum;
    header.checksum_start = static_cast<uint16_t>(size() - transport_left_);
    const uint8_t protocol = layers.front().protocol;
    header.checksum_offset = static_cast<uint16_t>(net::checksum_offset(protocol));
    header.gso_size = gso_size;
    if (gso_size != 0) header.gso_type = segment_kind(protocol, is_inner_v6_);
    return header;
  }
  // As a device reads it.
  net::PacketPtr packet(net::PacketPool& pool, uint32_t in_head = kHeadRead) const {
    net::PacketPtr packet = pool.allocate();
    in_head = std::min(in_head, size());
    std::memcpy(packet->append(in_head), bytes.data(), in_head);
    const std::span rest = std::span(bytes).subspan(in_head);
    const size_t first = rest.size() / 3;  // Two slices, and a piece that lies in both.
    if (first != 0) {
      packet->append({net::ChunkRef::copy_of(rest.first(first)), 0, static_cast<uint32_t>(first)});
    }
    const auto left = static_cast<uint32_t>(rest.size() - first);
    packet->append({net::ChunkRef::copy_of(rest.subspan(first)), 0, left});
    return packet;
  }
  uint32_t size() const { return static_cast<uint32_t>(bytes.size()); }
  uint32_t payload() const { return payload_; }
  uint32_t headers_end() const { return size() - payload_; }

  std::vector<uint8_t> bytes;
  std::vector<Layer> layers;  // Innermost first.

 private:
  uint8_t* prepend(uint32_t n) {
    bytes.insert(bytes.begin(), n, 0);
    return bytes.data();
  }
  uint32_t payload_, headers_ = 0, above_left_ = 0, transport_left_ = 0;
  uint8_t protocol_ = 0;
  bool is_inner_v6_ = false;
  net::EtherType type_{};
};

std::vector<uint8_t> whole_of(const net::Packet& packet) {
  std::vector<uint8_t> bytes(packet.size());
  packet.copy_out(0, bytes);
  return bytes;
}

// Whether every length and every checksum in the frame is right.
void expect_right(const Built& whole, std::span<const uint8_t> frame, uint16_t index) {
  for (const Built::Layer& layer : whole.layers) {
    const auto ip = frame.subspan(whole.size() - layer.ip_left);
    const auto above = frame.subspan(whole.size() - layer.above_left);
    if (ip[0] >> 4 == 4) {
      EXPECT_EQ(load16(&ip[2]), ip.size());
      EXPECT_EQ(load16(&ip[4]), static_cast<uint16_t>(kId + index));
      EXPECT_EQ(net::checksum_of(ip.first(20)), 0);
    } else {
      EXPECT_EQ(load16(&ip[4]), ip.size() - 40);
    }
    if (layer.protocol == kGre) {
      EXPECT_EQ((above[0] & 0x80) != 0 ? net::checksum_of(above) : 0, 0) << "GRE";
      continue;
    }
    if (layer.protocol != kTcp && layer.protocol != kUdp) continue;
    if (layer.protocol == kUdp) {
      EXPECT_EQ(load16(&above[4]), above.size());
      if (load16(&above[6]) == 0) {
        EXPECT_NE(layer.above_left, whole.layers.front().above_left);
        continue;
      }
    }
    net::InternetSum sum =
        net::pseudo_header_at(ip.data(), layer.protocol, static_cast<uint32_t>(above.size()));
    sum.add(above);
    EXPECT_EQ(sum.checksum(), 0) << "protocol " << int{layer.protocol};
  }
}

class TunnelTest : public testing::Test {
 protected:
  static constexpr uint16_t kPart = 1000;
  static constexpr uint8_t kFlags = 0x80 | 0x10 | 0x08 | 0x01;  // CWR, ACK, PSH, FIN.

  // Cuts it, and expects the pieces to be right in all and to hold the payload.
  void expect_cut(const Built& whole, uint32_t in_head = kHeadRead) {
    const VirtioHeader header = whole.header(kPart);
    const auto packet = whole.packet(pool_, in_head);
    ASSERT_EQ(note_offload(header, *packet), Noted::Tunnelled);
    EXPECT_EQ(packet->gso_size, 0);
    auto segment = TunnelledSegment::find(header, *packet);
    ASSERT_TRUE(segment);
    std::vector<uint8_t> payload;
    uint16_t index = 0;
    for (; !segment->is_done(); ++index) {
      SCOPED_TRACE(fmt::format("piece {}", index));
      const auto piece = pool_.allocate();
      segment->next(*piece);
      EXPECT_EQ(piece->checksum, net::Checksum::Unknown);
      EXPECT_EQ(piece->gso_size, 0);
      const auto bytes = whole_of(*piece);
      ASSERT_GT(bytes.size(), whole.headers_end());
      expect_right(whole, bytes, index);
      const bool is_last = bytes.size() - whole.headers_end() < kPart;
      EXPECT_EQ(segment->is_done(), is_last);
      const Built::Layer& inner = whole.layers.front();
      const uint8_t* transport = &bytes[whole.size() - inner.above_left];
      if (inner.protocol == kTcp) {
        EXPECT_EQ(load32(transport + 4), static_cast<uint32_t>(0xfffffe00 + payload.size()));
        EXPECT_EQ(transport[13], 0x10 | (index == 0 ? 0x80 : 0) | (is_last ? 0x09 : 0));
      }
      payload.insert(payload.end(), bytes.begin() + whole.headers_end(), bytes.end());
    }
    EXPECT_EQ(index, whole.payload() / kPart + 1);
    EXPECT_TRUE(std::equal(payload.begin(), payload.end(),
                           whole.bytes.begin() + whole.headers_end(), whole.bytes.end()));
  }
  net::PacketPool pool_;
};

constexpr net::Family kFamilies[] = {net::Family::V4, net::Family::V6};

TEST_F(TunnelTest, segment_in_vxlan_is_cut) {
  for (const auto outer : kFamilies) {
    for (const auto inner : kFamilies) {
      for (const bool has_checksum : {false, true}) {
        SCOPED_TRACE(
            fmt::format("{} in {}, UDP checksum {}", int(inner), int(outer), has_checksum));
        Built tcp(4500), datagrams(4500);
        tcp.tcp(kFlags).ip(inner).ethernet().vxlan().udp(has_checksum).ip(outer).ethernet();
        expect_cut(tcp);
        datagrams.udp(true).ip(inner).ethernet(1).vxlan().udp(has_checksum).ip(outer).ethernet(1);
        expect_cut(datagrams);
      }
    }
  }
}

TEST_F(TunnelTest, segment_in_gre_is_cut) {
  for (const auto outer : kFamilies) {
    for (const auto inner : kFamilies) {
      for (const auto flags : std::initializer_list<uint16_t>{0, 0x2000, 0x8000, 0xa000}) {
        SCOPED_TRACE(fmt::format("{} in {}, flags {:04x}", int(inner), int(outer), flags));
        Built routed(4500), bridged(4500);
        const uint16_t type = inner == net::Family::V4 ? 0x0800 : 0x86dd;
        expect_cut(routed.tcp(kFlags).ip(inner).gre(flags, type).ip(outer).ethernet());
        expect_cut(
            bridged.tcp(kFlags).ip(inner).ethernet().gre(flags, 0x6558).ip(outer).ethernet());
      }
    }
  }
}

TEST_F(TunnelTest, segment_in_geneve_udp_ip_and_several_of_them_is_cut) {
  for (const auto outer : kFamilies) {
    for (const auto inner : kFamilies) {
      for (const uint32_t options : {0u, 12u}) {
        Built geneve(4500);
        geneve.tcp(kFlags).ip(inner).ethernet().geneve(options).udp(true).ip(outer).ethernet();
        expect_cut(geneve);
      }
      expect_cut(Built(4500).tcp(kFlags).ip(inner).udp(true).ip(outer).ethernet());
      expect_cut(Built(4500).tcp(kFlags).ip(inner).ip(outer).ethernet());
      Built both(4500);
      both.tcp(kFlags).ip(inner).ethernet().vxlan().udp(true).ip(inner);
      both.gre(0x8000, inner == net::Family::V4 ? 0x0800 : 0x86dd).ip(outer).ethernet();
      expect_cut(both);
    }
  }
}

// Payload that a device left in the head is copied.
TEST_F(TunnelTest, segment_is_cut_wherever_its_bytes_lie) {
  Built whole(4500);
  whole.tcp(kFlags).ip(net::Family::V4).ethernet().vxlan().udp(false).ip(net::Family::V4);
  whole.ethernet();
  for (const uint32_t in_head : {14u, 66u, whole.headers_end(), 250u, kShortFrame}) {
    expect_cut(whole, in_head);
  }
}

TEST_F(TunnelTest, segment_that_is_not_understood_is_refused) {
  const auto is_refused = [&](const Built& whole, VirtioHeader header) {
    const auto packet = whole.packet(pool_);
    return note_offload(header, *packet) == Noted::Tunnelled &&
           !TunnelledSegment::find(header, *packet);
  };
  Built numbered(4500), good(4500);
  numbered.tcp(kFlags).ip(net::Family::V4).gre(0x1000, 0x0800).ip(net::Family::V4).ethernet();
  EXPECT_TRUE(is_refused(numbered, numbered.header(kPart)));
  good.tcp(kFlags).ip(net::Family::V4).gre(0, 0x0800).ip(net::Family::V4).ethernet();
  EXPECT_FALSE(is_refused(good, good.header(kPart)));
  VirtioHeader header = good.header(kPart);
  header.gso_type = VirtioHeader::kGsoTcp6;
  EXPECT_TRUE(is_refused(good, header));
  header = good.header(kPart);
  header.checksum_start += 4;
  EXPECT_TRUE(is_refused(good, header));
  Built deep(4500);
  deep.tcp(kFlags);
  for (int i = 0; i < 5; ++i) deep.ip(net::Family::V4);
  EXPECT_TRUE(is_refused(deep.ethernet(), deep.header(kPart)));
  // Each byte of what must be as the walk expects it.
  for (const uint32_t at : {12u, 14u, 16u, 20u, 23u, 34u, 36u, 38u, 40u, 47u}) {
    Built bad = good;
    bad.bytes[at] ^= 0x11;
    EXPECT_TRUE(is_refused(bad, good.header(kPart))) << "byte " << at;
  }
  good.bytes[70] = 0x40;  // TCP's header would be too short.
  EXPECT_TRUE(is_refused(good, good.header(kPart)));
}

TEST_F(TunnelTest, open_checksum_inside_a_tunnel_is_completed_and_the_outer_one_stays) {
  for (const auto outer : kFamilies) {
    for (const auto inner : kFamilies) {
      for (const bool is_tcp : {true, false}) {
        Built vxlan(1301), gre(101);
        (is_tcp ? vxlan.tcp(kFlags) : vxlan.udp(true)).ip(inner).ethernet().vxlan();
        vxlan.udp(false).ip(outer).ethernet();
        (is_tcp ? gre.tcp(kFlags) : gre.udp(true)).ip(inner);
        gre.gre(0, inner == net::Family::V4 ? 0x0800 : 0x86dd).ip(outer).ethernet();
        for (const Built* whole : {&vxlan, &gre}) {
          const auto packet = whole->packet(pool_);
          ASSERT_EQ(note_offload(whole->header(0), *packet), Noted::Done);
          EXPECT_EQ(packet->checksum, net::Checksum::Unknown);
          expect_right(*whole, whole_of(*packet), 0);
          // Nothing is left for the kernel to do.
          const auto described = describe_offload(*packet);
          ASSERT_TRUE(described);
          EXPECT_EQ(described->flags, 0);
        }
      }
    }
  }
}

// Any device, to which frames are given as if it had read them.
class Device final : public DeviceInterface, public net::FrameSink {
 public:
  explicit Device(RealLoop& loop) : DeviceInterface(Fd(), {.name = "device"}, 1, loop) {
    attach(this);
  }
  void read(net::PacketPtr packet, const VirtioHeader& header, net::PacketPool& pool) {
    net::Frame frame;
    admit(std::move(packet), header, pool, frame);
    if (!frame.empty()) deliver(std::move(frame));
  }
  void accept(net::Frame&& frame) override { sizes.push_back(frame.size()); }
  std::vector<uint32_t> sizes;

 private:
  Progress read_frames() override { return Progress::None; }
  size_t write_frames(std::span<net::Packet* const> packets) override { return packets.size(); }
};

TEST_F(TunnelTest, device_hands_on_the_pieces_and_counts_what_it_drops) {
  auto loop = MUST(RealLoop::make());  // Descriptors are left.
  Device device(*loop);
  Built good(4500), numbered(4500);
  good.tcp(kFlags).ip(net::Family::V4).gre(0, 0x0800).ip(net::Family::V4).ethernet();
  numbered.tcp(kFlags).ip(net::Family::V4).gre(0x1000, 0x0800).ip(net::Family::V4).ethernet();
  // As many as one frame takes, and then the rest.
  device.read(good.packet(pool_), good.header(10), pool_);
  EXPECT_EQ(device.sizes, (std::vector<uint32_t>{256, 450 - 256}));
  device.sizes.clear();
  device.read(numbered.packet(pool_), numbered.header(kPart), pool_);
  EXPECT_EQ(device.device_counters().rx_cannot, 1u);
  // Each piece is to fit the MTU: none of the first three does.
  device.read(good.packet(pool_), good.header(1480), pool_);
  EXPECT_EQ(device.device_counters().rx_too_long, 3u);
  EXPECT_EQ(device.sizes, std::vector<uint32_t>{1});
  net::PacketPool poor(3);
  device.read(good.packet(poor), good.header(kPart), poor);
  EXPECT_EQ(device.device_counters().rx_no_packet, 1u);
  EXPECT_EQ(device.sizes, (std::vector<uint32_t>{1, 2}));
  VirtioHeader beyond = good.header(0);
  beyond.checksum_start = 60000;
  device.read(good.packet(pool_), beyond, pool_);
  EXPECT_EQ(device.device_counters().rx_bad_header, 1u);
}

TEST_F(TunnelTest, any_bytes_are_survived) {
  const uint64_t seed = 7;
  SCOPED_TRACE("seed " + std::to_string(seed));
  Random random(seed);
  Built whole(600);
  whole.tcp(kFlags).ip(net::Family::V6).ethernet().vxlan().udp(true).ip(net::Family::V4);
  whole.gre(0x8000, 0x0800).ip(net::Family::V4).ethernet();
  int cut = 0;
  for (int i = 0; i < 20000; ++i) {
    Built bad = whole;
    VirtioHeader header = whole.header(static_cast<uint16_t>(1 + random.below(700)));
    for (uint64_t flips = random.below(3); flips > 0; --flips) {
      bad.bytes[random.below(whole.headers_end())] = static_cast<uint8_t>(random.next());
    }
    if (random.one_in(4)) header.checksum_start = static_cast<uint16_t>(random.below(300));
    const auto packet = bad.packet(pool_, static_cast<uint32_t>(14 + random.below(300)));
    packet->truncate(packet->size() -
                     static_cast<uint32_t>(random.one_in(4) ? random.below(500) : 0));
    if (note_offload(header, *packet) != Noted::Tunnelled) continue;
    auto segment = TunnelledSegment::find(header, *packet);
    for (; segment && !segment->is_done(); ++cut) segment->next(*pool_.allocate());
  }
  EXPECT_GT(cut, 1000);
}

}  // namespace
}  // namespace wh::host
