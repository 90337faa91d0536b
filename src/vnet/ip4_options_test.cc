// Record route and timestamp, byte by byte.
#include "vnet/ip4_options.h"

#include <gtest/gtest.h>

#include "net/checksum.h"
#include "vnet/test_support.h"

namespace wh::vnet {
namespace {

using net::Ip4;
using net::Ip4Header;

constexpr Ip4 kSigner{0x0a020001};  // 10.2.0.1

Ip4Header header_of_options(const Octets& options) {
  Ip4Header h{.source = Ip4::of(10, 1, 0, 2),
              .destination = Ip4::of(10, 2, 0, 2),
              .protocol = 17,
              .total_length = 60,
              .options_size = static_cast<uint8_t>((options.size() + 3) / 4 * 4)};
  std::copy(options.begin(), options.end(), h.options.begin());
  return h;
}

// The options as a router leaves them, and what it says is in error.
std::pair<Octets, uint32_t> fill(const Octets& options) {
  const Ip4Header h = header_of_options(options);
  Octets bytes(h.size());
  h.emit(bytes);
  const uint32_t fault = fill_ip4_options(
      bytes,
      {kSigner, [](Ip4 a) { return a == kSigner || a == Ip4::of(10, 1, 0, 1); }, 0x01020304});
  const bool is_written = fault == 0;
  EXPECT_TRUE(!is_written || net::header_checksum(bytes) == 0);
  return {Octets(bytes.begin() + 20, bytes.begin() + 20 + static_cast<int>(options.size())), fault};
}
Octets as_filled(const Octets& options) {
  const auto [bytes, fault] = fill(options);
  EXPECT_EQ(fault, 0u);
  return bytes;
}
uint32_t fault_of(const Octets& options) {
  return fill(options).second;
}

TEST(Ip4Options, route_is_recorded_in_the_next_free_place) {
  EXPECT_EQ(as_filled({7, 11, 4, 0, 0, 0, 0, 0, 0, 0, 0}),
            (Octets{7, 11, 8, 10, 2, 0, 1, 0, 0, 0, 0}));
  EXPECT_EQ(as_filled({1, 7, 11, 8, 9, 9, 9, 9, 0, 0, 0, 0}),
            (Octets{1, 7, 11, 12, 9, 9, 9, 9, 10, 2, 0, 1}));
  EXPECT_EQ(as_filled({7, 7, 8, 9, 9, 9, 9}), (Octets{7, 7, 8, 9, 9, 9, 9})) << "full";
  EXPECT_EQ(as_filled({0, 7, 7, 4, 0, 0, 0, 0}), (Octets{0, 7, 7, 4, 0, 0, 0, 0}))
      << "behind the end";
}

TEST(Ip4Options, time_is_written_with_or_without_an_address) {
  EXPECT_EQ(as_filled({68, 12, 5, 0, 0, 0, 0, 0, 0, 0, 0, 0}),
            (Octets{68, 12, 9, 0, 0x81, 2, 3, 4, 0, 0, 0, 0}));
  EXPECT_EQ(as_filled({68, 12, 5, 1, 0, 0, 0, 0, 0, 0, 0, 0}),
            (Octets{68, 12, 13, 1, 10, 2, 0, 1, 0x81, 2, 3, 4}));
  // By whom the sender asked: any address of ours is meant.
  EXPECT_EQ(as_filled({68, 12, 5, 3, 10, 1, 0, 1, 0, 0, 0, 0}),
            (Octets{68, 12, 13, 3, 10, 1, 0, 1, 0x81, 2, 3, 4}));
  const Octets others = {68, 12, 5, 3, 10, 9, 0, 1, 0, 0, 0, 0};
  EXPECT_EQ(as_filled(others), others);
}

TEST(Ip4Options, full_timestamp_counts_who_found_no_place) {
  EXPECT_EQ(as_filled({68, 8, 9, 0x20, 0, 0, 0, 1}), (Octets{68, 8, 9, 0x30, 0, 0, 0, 1}));
  EXPECT_EQ(fault_of({68, 8, 9, 0xf0, 0, 0, 0, 1}), 23u) << "the count is full, too";
  const Octets answered = {68, 12, 13, 0xf3, 10, 1, 0, 1, 0, 0, 0, 1};
  EXPECT_EQ(as_filled(answered), answered);
}

TEST(Ip4Options, too_little_room_is_an_error_and_says_where) {
  EXPECT_EQ(fault_of({7, 9, 8, 0, 0, 0, 0, 0, 0}), 22u);
  EXPECT_EQ(fault_of({7, 7, 3, 0, 0, 0, 0}), 22u) << "before the first place";
  EXPECT_EQ(fault_of({1, 1, 68, 8, 5, 1, 0, 0, 0, 0}), 24u) << "an address and a time take eight";
  EXPECT_EQ(fault_of({68, 8, 4, 0, 0, 0, 0, 0}), 22u);
  EXPECT_EQ(fault_of({7, 2, 0, 0}), 21u);
  EXPECT_EQ(fault_of({68, 3, 5, 0}), 21u);
}

class OptionsOnTheWay : public RouterTest {
 protected:
  // An echo request of a's with options, to b; what b sees of it, or a of an error.
  std::vector<Octets> send(const Octets& options, const net::Cable& seen_at) {
    Recorder recorder;
    const_cast<net::Cable&>(seen_at).b().add_tap(&recorder);
    EXPECT_EQ(ping(a, "10.2.0.2", {.count = 1}).received, 1u);  // Neighbours are known.
    recorder.out.clear();
    recorder.in.clear();
    Ip4Header h = header_of_options(options);
    h.protocol = net::kProtocolIcmp;
    net::PacketPtr p = pool.allocate();
    const Octets echo = echo4(7, 1);
    h.total_length = static_cast<uint16_t>(h.size() + echo.size());
    h.emit({p->append(h.size()), h.size()});
    std::copy(echo.begin(), echo.end(), p->append(static_cast<uint32_t>(echo.size())));
    p->l4_offset = static_cast<uint16_t>(h.size());
    net::Frame frame;
    frame.push(std::move(p));
    a.output(std::move(frame));
    loop.run_for(100ms);
    const_cast<net::Cable&>(seen_at).b().remove_tap(&recorder);
    return &seen_at == &right ? recorder.in : recorder.out;
  }
};

TEST_F(OptionsOnTheWay, are_filled_in_by_who_forwards) {
  const auto frames = send({7, 7, 4, 0, 0, 0, 0, 0}, right);
  ASSERT_EQ(frames.size(), 1u);
  const Octets& frame = frames[0];
  EXPECT_EQ(Octets(frame.begin() + 34, frame.begin() + 42), (Octets{7, 7, 8, 10, 2, 0, 1, 0}));
  EXPECT_EQ(frame[22], 63) << "the TTL";
  EXPECT_EQ(net::header_checksum(std::span(frame).subspan(14, 28)), 0);
}

TEST_F(OptionsOnTheWay, that_make_no_sense_are_answered_with_the_place) {
  EXPECT_TRUE(send({7, 7, 3, 0, 0, 0, 0, 0}, right).empty());
  EXPECT_EQ(r.graph().error_count("ip4-rewrite", "bad_option"), 1u);
  const auto errors = send({7, 7, 3, 0, 0, 0, 0, 0}, left);
  ASSERT_EQ(errors.size(), 1u);
  EXPECT_EQ(errors[0][34], 12) << "parameter problem";
  EXPECT_EQ(errors[0][38], 22) << "its pointer";
}

}  // namespace
}  // namespace wh::vnet
