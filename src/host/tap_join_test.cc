// Offload::Join, over a socket in the device's place: whole frames behind a header that says
// nothing come in, and segments that leave together leave as one.
#include <gtest/gtest.h>
#include <sys/socket.h>

#include <cstring>
#include <numeric>

#include "host/system.h"
#include "host/tap.h"
#include "net/checksum.h"
#include "net/wire/ethernet.h"
#include "net/wire/ip4.h"

namespace wh::host {
namespace {

using Message = std::vector<uint8_t>;
constexpr size_t kHeader = sizeof(VirtioHeader);

Message counting(size_t size) {
  Message bytes(size);
  std::iota(bytes.begin(), bytes.end(), uint8_t{0});
  return bytes;
}

// With a virtio header that says nothing before it.
Message headed(const Message& frame) {
  Message message(kHeader);
  message.insert(message.end(), frame.begin(), frame.end());
  return message;
}

// A segment of TCP from 10.0.0.1 to 10.0.0.2, its checksum right.
Message tcp_frame(uint32_t sequence, uint16_t size) {
  Message bytes = counting(54u + size);
  net::EthernetHeader{.type = net::EtherType::Ip4}.emit(bytes);
  const auto source = net::Ip4::of(10, 0, 0, 1), destination = net::Ip4::of(10, 0, 0, 2);
  const auto tcp_size = static_cast<uint16_t>(20 + size);
  net::Ip4Header{.source = source,
                 .destination = destination,
                 .protocol = 6,
                 .total_length = static_cast<uint16_t>(20 + tcp_size),
                 .dont_fragment = true}
      .emit(std::span(bytes).subspan(14));
  uint8_t* tcp = &bytes[34];
  std::memset(tcp, 0, 20);
  net::store32(tcp + 4, sequence);
  tcp[12] = 0x50;
  tcp[13] = 0x10;
  net::InternetSum sum = net::pseudo_header(source, destination, 6, tcp_size);
  sum.add(std::span(bytes).subspan(34));
  net::store16(tcp + 16, sum.checksum());
  return bytes;
}

class TapJoinTest : public testing::Test, public net::FrameSink {
 protected:
  TapJoinTest() {
    loop_ = MUST(RealLoop::make());  // A test process has descriptors left.
    auto [near, far] = MUST(make_socket_pair(SOCK_SEQPACKET | SOCK_NONBLOCK));
    far_ = std::move(far);
    tap_ = MUST(TapInterface::adopt(std::move(near), {.device = "socket", .offload = Offload::Join},
                                    *loop_, pool_));
    tap_->attach(this);
  }
  void accept(net::Frame&& frame) override {
    for (const net::Packet* packet : frame.packets()) {
      received_.emplace_back(packet->size());
      packet->copy_out(0, received_.back());
    }
  }
  void send(std::initializer_list<Message> frames) {
    net::Frame frame;
    for (const Message& bytes : frames) {
      frame.push(pool_.allocate());
      frame[frame.size() - 1].assign(bytes);
    }
    tap_->transmit(std::move(frame));
  }
  // Empty: nothing is there.
  Message written() {
    Message bytes(70000);
    const ssize_t n = ::recv(far_.raw(), bytes.data(), bytes.size(), 0);
    bytes.resize(n < 0 ? 0 : static_cast<size_t>(n));
    return bytes;
  }

  std::unique_ptr<RealLoop> loop_;
  net::PacketPool pool_;
  Fd far_;
  std::unique_ptr<TapInterface> tap_;
  std::vector<Message> received_;
};

TEST_F(TapJoinTest, segments_that_leave_together_and_follow_each_other_leave_as_one) {
  send({tcp_frame(1000, 500), tcp_frame(1500, 500), tcp_frame(2000, 400), tcp_frame(9000, 500)});
  const Message joined = written();
  ASSERT_EQ(joined.size(), kHeader + 54 + 1400);
  VirtioHeader header;
  std::memcpy(&header, joined.data(), sizeof header);
  EXPECT_EQ(header.gso_type, VirtioHeader::kGsoTcp4);
  EXPECT_EQ(header.gso_size, 500);
  for (const auto& [at, one] : {std::pair(0, tcp_frame(1000, 500)),
                                {500, tcp_frame(1500, 500)},
                                {1000, tcp_frame(2000, 400)}}) {
    EXPECT_TRUE(std::equal(one.begin() + 54, one.end(), joined.begin() + kHeader + 54 + at)) << at;
  }
  EXPECT_EQ(written(), headed(tcp_frame(9000, 500)));
  EXPECT_TRUE(written().empty());
  EXPECT_EQ(tap_->counters().tx_packets, 4u);
}

TEST_F(TapJoinTest, segment_that_leaves_alone_is_written_alone_though_it_follows) {
  send({tcp_frame(1000, 500)});
  send({tcp_frame(1500, 500)});
  EXPECT_EQ(written(), headed(tcp_frame(1000, 500)));
  EXPECT_EQ(written(), headed(tcp_frame(1500, 500)));
}

TEST_F(TapJoinTest, frames_of_every_size_arrive_whole_and_none_that_is_too_long) {
  for (const size_t size : {14u, 60u, 66u, 67u, 1514u, 1518u}) {
    const Message message = headed(counting(size));
    ASSERT_EQ(::send(far_.raw(), message.data(), message.size(), 0), ssize_t(message.size()));
    loop_->run_for(0ms);
    ASSERT_EQ(received_.size(), 1u) << size;
    EXPECT_EQ(received_[0], counting(size));
    received_.clear();
  }
  for (const size_t size : {1519u, 9000u}) {
    const Message message = headed(counting(size));
    ASSERT_EQ(::send(far_.raw(), message.data(), message.size(), 0), ssize_t(message.size()));
    loop_->run_for(0ms);
  }
  EXPECT_TRUE(received_.empty());
  EXPECT_EQ(tap_->device_counters().rx_too_long, 2u);
}

}  // namespace
}  // namespace wh::host
