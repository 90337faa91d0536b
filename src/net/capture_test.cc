#include "net/capture.h"

#include <gtest/gtest.h>
#include <sys/resource.h>
#include <unistd.h>

#include <csignal>
#include <filesystem>
#include <fstream>

#include "net/checksum.h"
#include "net/ip_service.h"
#include "net/wire/ethernet.h"
#include "net/wire/ip4.h"
#include "net/wire/udp.h"

namespace wh::net {
namespace {

class CaptureTest : public ::testing::Test {
 protected:
  void SetUp() override {
    directory_ =
        std::filesystem::path(::testing::TempDir()) / fmt::format("capture_test.{}", ::getpid());
    std::filesystem::create_directories(directory_);
  }
  void TearDown() override { std::filesystem::remove_all(directory_); }
  std::string path(std::string_view name) const { return directory_ / name; }
  static std::string contents(const std::string& path) {
    std::ifstream in(path, std::ios::binary);
    return {std::istreambuf_iterator<char>(in), {}};
  }

  // A UDP datagram on Ethernet whose payload is in a slice and whose checksum is Needed.
  PacketPtr datagram(uint32_t payload) {
    PacketPtr p = pool_.allocate();
    EthernetHeader{MacAddress::local(2), MacAddress::local(1), EtherType::Ip4, 0, {}}.emit(
        {p->append(14), 14});
    Ip4Header ip;
    ip.source = Ip4::of(10, 0, 0, 1);
    ip.destination = Ip4::of(10, 0, 0, 2);
    ip.protocol = kProtocolUdp;
    ip.total_length = static_cast<uint16_t>(28 + payload);
    ip.emit({p->append(20), 20});
    const auto sum = pseudo_header(ip.source, ip.destination, kProtocolUdp, 8 + payload);
    UdpHeader{1000, 2000, static_cast<uint16_t>(8 + payload), sum.folded()}.emit({p->append(8), 8});
    const std::vector<uint8_t> bytes(payload, 0x77);
    p->append(Slice{ChunkRef::copy_of(bytes), 0, payload});
    p->checksum = Checksum::Needed;
    return p;
  }

  std::filesystem::path directory_;
  PacketPool pool_;
  const Instant when_ = Instant(1000s + 123456789ns);
};

TEST_F(CaptureTest, writes_what_the_reader_reads_to_the_nanosecond) {
  const auto file = path("a.pcap");
  auto capture = Capture::open(file);
  ASSERT_TRUE(capture) << capture.error().text;
  const PacketPtr p = datagram(100);
  (*capture)->see(*p, Direction::Out, when_);
  (*capture)->see(*p, Direction::In, when_ + 1ns);
  ASSERT_TRUE((*capture)->close());
  EXPECT_EQ((*capture)->packets(), 2u);

  const auto read = read_capture(file);
  ASSERT_TRUE(read) << read.error().text;
  ASSERT_EQ(read->size(), 2u);
  EXPECT_EQ((*read)[0].when, when_);
  EXPECT_EQ((*read)[1].when, when_ + 1ns);
  EXPECT_EQ((*read)[0].size, 142u);
  EXPECT_EQ((*read)[0].bytes.size(), 142u);
}

// A device may say so of anything.
TEST_F(CaptureTest, keeps_what_has_no_place_for_a_checksum_that_is_needed) {
  const auto file = path("a.pcap");
  auto capture = MUST(Capture::open(file));
  const auto see = [&](const std::function<void(uint8_t*)>& spoil) {
    const PacketPtr p = datagram(33);
    spoil(p->data());
    capture->see(*p, Direction::In, when_);
  };
  see([](uint8_t* frame) { frame[12] = 0; });     // No IP,
  see([](uint8_t* frame) { frame[14] = 0x41; });  // nor a header of it,
  see([](uint8_t* frame) { frame[14] = 0x60; });  // of either family;
  see([](uint8_t* frame) { frame[20] = 0x20; });  // a fragment;
  see([](uint8_t* frame) { frame[23] = 99; });    // a protocol that is not known;
  see([](uint8_t* frame) { frame[16] = 0xff; });  // longer than there is.
  PacketPtr bare = pool_.allocate();
  bare->append(4);
  bare->checksum = Checksum::Needed;
  capture->see(*bare, Direction::In, when_);
  ASSERT_TRUE(capture->close());
  EXPECT_EQ(capture->packets(), 7u);
}

TEST_F(CaptureTest, completes_checksum_in_the_copy_and_not_in_the_packet) {
  const auto file = path("a.pcap");
  auto capture = MUST(Capture::open(file));
  const PacketPtr p = datagram(33);
  const std::vector<uint8_t> before(p->head().begin(), p->head().end());
  capture->see(*p, Direction::Out, when_);
  ASSERT_TRUE(capture->close());
  EXPECT_EQ(p->checksum, Checksum::Needed);
  EXPECT_TRUE(std::equal(before.begin(), before.end(), p->head().begin()));

  const auto read = MUST(read_capture(file));
  PacketPtr copy = pool_.allocate();
  copy->assign(read.at(0).bytes);
  copy->pull(14);
  copy->l4_offset = 20;
  EXPECT_TRUE(verify_transport(*copy, kProtocolUdp));
}

TEST_F(CaptureTest, keeps_snaplen_bytes_and_the_real_size) {
  for (const uint32_t snaplen : {1u, 41u, 42u, 60u, 141u, 142u, 143u}) {
    const auto file = path("a.pcap");
    auto capture = MUST(Capture::open(file, {.snaplen = snaplen}));
    capture->see(*datagram(100), Direction::Out, when_);
    ASSERT_TRUE(capture->close());
    const auto read = MUST(read_capture(file));
    ASSERT_EQ(read.size(), 1u);
    EXPECT_EQ(read[0].size, 142u);
    EXPECT_EQ(read[0].bytes.size(), std::min(snaplen, 142u));
  }
}

TEST_F(CaptureTest, writes_same_bytes_for_same_packets) {
  for (const char* name : {"a.pcap", "b.pcap"}) {
    auto capture = MUST(Capture::open(path(name)));
    for (uint32_t i = 0; i < 20; ++i) {
      capture->see(*datagram(i * 70), Direction::Out, when_ + Duration(i));
    }
  }  // The destructor closes.
  const std::string a = contents(path("a.pcap"));
  EXPECT_GT(a.size(), 20u * 42);
  EXPECT_EQ(a, contents(path("b.pcap")));
}

TEST_F(CaptureTest, leaves_the_programs_own_standard_output_open) {
  const int before = ::dup(STDOUT_FILENO);
  std::fflush(stdout);
  ASSERT_NE(std::freopen(path("out").c_str(), "w", stdout), nullptr);
  {
    auto capture = MUST(Capture::open("-"));
    capture->see(*datagram(100), Direction::Out, when_);
    EXPECT_TRUE(capture->close());
  }
  const int printed = std::printf("more"), flushed = std::fflush(stdout);
  ::dup2(before, STDOUT_FILENO);
  ::close(before);
  EXPECT_EQ(printed, 4);
  EXPECT_EQ(flushed, 0);
  const std::string out = contents(path("out"));
  EXPECT_EQ(out.size(), 24u + 16 + 142 + 4);
  EXPECT_TRUE(out.ends_with("more"));
  EXPECT_FALSE(std::filesystem::exists("-"));
}

TEST_F(CaptureTest, says_which_file_it_cannot_open) {
  const auto capture = Capture::open(path("missing/a.pcap"));
  ASSERT_FALSE(capture);
  EXPECT_EQ(capture.error().code, std::errc::no_such_file_or_directory);
  EXPECT_NE(capture.error().text.find("missing/a.pcap"), std::string::npos);
}

TEST_F(CaptureTest, stops_at_a_full_disk_and_says_so_once) {
  if (!std::filesystem::exists("/dev/full")) GTEST_SKIP() << "no /dev/full";
  auto capture = MUST(Capture::open("/dev/full"));
  const PacketPtr p = datagram(1400);
  for (int i = 0; i < 100; ++i) capture->see(*p, Direction::Out, when_);
  ASSERT_TRUE(capture->error().has_value());
  EXPECT_EQ(capture->error()->code, std::errc::no_space_on_device);
  EXPECT_GT(capture->lost(), 0u);
  EXPECT_EQ(capture->packets() + capture->lost(), 100u);
  const auto closed = capture->close();
  ASSERT_FALSE(closed);
  EXPECT_EQ(closed.error().text, capture->error()->text);
}

TEST_F(CaptureTest, finds_a_full_disk_at_close_when_all_was_buffered) {
  if (!std::filesystem::exists("/dev/full")) GTEST_SKIP() << "no /dev/full";
  auto capture = MUST(Capture::open("/dev/full"));
  capture->see(*datagram(10), Direction::Out, when_);
  EXPECT_FALSE(capture->error().has_value());
  EXPECT_FALSE(capture->close());
  EXPECT_FALSE(capture->close());
}

// Files end after so many bytes while it lives, as on a disk that is full then.
class SmallDisk {
 public:
  explicit SmallDisk(uint64_t bytes) {
    ::getrlimit(RLIMIT_FSIZE, &before_);
    const rlimit limit{bytes, before_.rlim_max};
    ::setrlimit(RLIMIT_FSIZE, &limit);
    handler_ = std::signal(SIGXFSZ, SIG_IGN);
  }
  ~SmallDisk() {
    ::setrlimit(RLIMIT_FSIZE, &before_);
    std::signal(SIGXFSZ, handler_);
  }

 private:
  rlimit before_{};
  void (*handler_)(int) = nullptr;
};

TEST_F(CaptureTest, ends_with_a_whole_packet_wherever_the_disk_is_full) {
  const PacketPtr p = datagram(1400);  // Records of 16 + 1442 bytes.
  for (const uint64_t room : {0u, 23u, 24u, 1481u, 1482u, 1483u, 4096u, 65559u, 65560u, 200'000u}) {
    auto capture = MUST(Capture::open(path("a.pcap")));
    {
      const SmallDisk disk(room);
      for (int i = 0; i < 200; ++i) capture->see(*p, Direction::Out, when_);
      const auto closed = capture->close();
      ASSERT_FALSE(closed) << room;
      EXPECT_NE(closed.error().text.find("a.pcap: "), std::string::npos) << closed.error().text;
    }
    EXPECT_EQ(capture->packets() + capture->lost(), 200u) << room;
    if (room < 24) {
      EXPECT_EQ(std::filesystem::file_size(path("a.pcap")), 0u) << room;
      continue;
    }
    const auto read = read_capture(path("a.pcap"));
    ASSERT_TRUE(read) << room << ": " << read.error().text;
    EXPECT_EQ(read->size(), (room - 24) / 1458) << room;
    EXPECT_EQ(capture->packets(), read->size()) << room;
  }
}

TEST_F(CaptureTest, counts_what_it_sees_after_close_as_lost) {
  auto capture = MUST(Capture::open(path("a.pcap")));
  ASSERT_TRUE(capture->close());
  capture->see(*datagram(10), Direction::Out, when_);
  EXPECT_EQ(capture->lost(), 1u);
  EXPECT_TRUE(capture->close());
}

TEST_F(CaptureTest, several_become_one_by_time) {
  for (const auto& [name, times] : {std::pair("a.pcap", std::vector<int>{1, 4, 4, 9}),
                                    {"b.pcap", {2, 3, 10}},
                                    {"c.pcap", {}}}) {
    auto capture = MUST(Capture::open(path(name)));
    for (const int s : times) {
      capture->see(*datagram(static_cast<uint32_t>(100 + s)), Direction::Out,
                   when_ + std::chrono::seconds(s));
    }
  }
  const std::vector<std::string> parts{path("a.pcap"), path("b.pcap"), path("c.pcap")};
  EXPECT_EQ(MUST(merge_captures(parts, path("all.pcap"), 100)), 7u);
  std::vector<int64_t> seconds;
  for (const CapturedPacket& p : MUST(read_capture(path("all.pcap")))) {
    seconds.push_back((p.when - when_) / std::chrono::seconds(1));
  }
  EXPECT_EQ(seconds, (std::vector<int64_t>{1, 2, 3, 4, 4, 9, 10}));
  EXPECT_EQ(MUST(merge_captures(parts, path("all.pcap"), 3)), 3u);
  EXPECT_EQ(MUST(read_capture(path("all.pcap"))).size(), 3u);
  EXPECT_FALSE(merge_captures({{path("none.pcap")}}, path("all.pcap"), 3));
}

TEST_F(CaptureTest, reader_refuses_what_is_no_capture_or_cut_short) {
  EXPECT_FALSE(read_capture(path("none.pcap")));
  std::ofstream(path("text.pcap")) << "this is no capture, whatever its name may say";
  EXPECT_FALSE(read_capture(path("text.pcap")));
  {
    auto capture = MUST(Capture::open(path("a.pcap")));
    capture->see(*datagram(100), Direction::Out, when_);
  }
  std::filesystem::resize_file(path("a.pcap"), std::filesystem::file_size(path("a.pcap")) - 1);
  EXPECT_FALSE(read_capture(path("a.pcap")));
}

// Of pcapng, which can say so: one packet in the year 5.8 x 10^10.
TEST_F(CaptureTest, reader_refuses_a_time_beyond_what_there_is) {
  const auto block = [](uint32_t type, std::vector<uint32_t> words) {
    const auto size = static_cast<uint32_t>(4 * (words.size() + 3));
    words.insert(words.begin(), {type, size});
    words.push_back(size);
    return words;
  };
  constexpr uint32_t kSection = 0x0a0d0d0a, kOrder = 0x1a2b3c4d, kInterface = 1, kPacket = 6;
  constexpr uint32_t kResolution = 9 | 1 << 16;  // if_tsresol, one byte: 10^-0 s.
  std::ofstream out(path("late.pcapng"), std::ios::binary);
  for (const auto& words :
       {block(kSection, {kOrder, 1, ~0u, ~0u}), block(kInterface, {1, 0, kResolution, 0, 0}),
        block(kPacket, {0, 1u << 28, 0, 4, 4, 0})}) {
    out.write(reinterpret_cast<const char*>(words.data()), static_cast<long>(4 * words.size()));
  }
  out.close();
  const auto packets = read_capture(path("late.pcapng"));
  ASSERT_FALSE(packets);
  EXPECT_NE(packets.error().text.find("2262"), std::string::npos) << packets.error().text;
}

TEST_F(CaptureTest, reader_gives_what_is_whole_of_one_that_is_cut_short) {
  {
    auto capture = MUST(Capture::open(path("a.pcap")));
    for (int i = 0; i < 3; ++i) capture->see(*datagram(100), Direction::Out, when_);
  }
  std::string cut_short;
  EXPECT_EQ(read_capture(path("a.pcap"), &cut_short).value().size(), 3u);
  EXPECT_EQ(cut_short, "");
  // In its last packet's bytes, and in the head of it.
  for (const int cut : {1, 130, 150}) {
    std::filesystem::resize_file(path("a.pcap"), 24 + 3 * (16 + 142) - static_cast<uint64_t>(cut));
    const auto packets = read_capture(path("a.pcap"), &cut_short);
    ASSERT_TRUE(packets) << cut << packets.error().text;
    EXPECT_EQ(packets->size(), 2u) << cut;
    EXPECT_NE(cut_short.find("what is whole is read: 2 packets"), std::string::npos) << cut_short;
  }
  std::filesystem::resize_file(path("a.pcap"), 20);
  EXPECT_FALSE(read_capture(path("a.pcap"), &cut_short));
}

TEST(CapturedPacket, has_its_network_part_behind_each_kind_of_link) {
  std::vector<uint8_t> ip4 = {0x45, 1, 2}, ip6 = {0x60, 1};
  const auto behind = [](std::vector<uint8_t> header, const std::vector<uint8_t>& rest) {
    header.insert(header.end(), rest.begin(), rest.end());
    return header;
  };
  std::vector<uint8_t> cooked(16), cooked2(20), ethernet(14);
  for (uint8_t* type : {&cooked[14], &cooked2[0], &ethernet[12]}) type[0] = 0x86, type[1] = 0xdd;
  const auto part = [](CaptureLink link, std::vector<uint8_t> bytes) {
    // A snapshot: 100 bytes more were on the wire.
    static std::vector<CapturedPacket> keep;
    keep.push_back({Instant(), static_cast<uint32_t>(bytes.size() + 100), std::move(bytes), link});
    return network_part(keep.back());
  };
  for (const auto& [link, header] : {std::pair(CaptureLink::Ethernet, ethernet),
                                     {CaptureLink::Cooked, cooked},
                                     {CaptureLink::Cooked2, cooked2},
                                     {CaptureLink::Ip, {}}}) {
    const auto found = part(link, behind(header, ip6));
    ASSERT_TRUE(found.has_value());
    EXPECT_EQ(found->type, EtherType::Ip6);
    EXPECT_EQ(found->bytes.size(), 2u);
    EXPECT_EQ(found->size, 102u);
    // Cut short in the link's header.
    if (!header.empty()) {
      EXPECT_FALSE(part(link, {header.begin(), header.end() - 1}).has_value());
    }
  }
  EXPECT_EQ(part(CaptureLink::Ip, ip4)->type, EtherType::Ip4);
  EXPECT_FALSE(part(CaptureLink::Ip, {}).has_value());
}

}  // namespace
}  // namespace wh::net
