#include "net/capture.h"

#include <pcap/pcap.h>

#include <algorithm>
#include <cerrno>
#include <cstdio>
#include <filesystem>
#include <utility>

#include "net/checksum.h"

namespace wh::net {
namespace {

// Of the file, and of each record.
constexpr uint64_t kFileHeader = 24, kRecordHeader = 16;
constexpr uint64_t kGathered = 64 << 10;

// The code of the call that just failed; some leave none.
std::errc last_error() {
  return errno == 0 ? std::errc::io_error : static_cast<std::errc>(errno);
}

std::optional<CaptureLink> link_of(int datalink) {
  switch (datalink) {
    case DLT_EN10MB: return CaptureLink::Ethernet;
    case DLT_RAW:
    case DLT_IPV4:
    case DLT_IPV6: return CaptureLink::Ip;
    case DLT_LINUX_SLL: return CaptureLink::Cooked;
    case DLT_LINUX_SLL2: return CaptureLink::Cooked2;
    default: return std::nullopt;
  }
}

}  // namespace

Result<std::unique_ptr<Capture>> Capture::open(const std::string& path, CaptureOptions options) {
  CHECK(options.snaplen > 0 && options.snaplen <= 0x7fffffff);
  pcap* format = pcap_open_dead_with_tstamp_precision(DLT_EN10MB, static_cast<int>(options.snaplen),
                                                      PCAP_TSTAMP_PRECISION_NANO);
  CHECK(format != nullptr);
  errno = 0;
  pcap_dumper* file =
      path == "-" ? pcap_dump_fopen(format, stdout) : pcap_dump_open(format, path.c_str());
  // Not the name of a file: one that is called so is not to be cut after a failure.
  const std::string name = path == "-" ? "on standard output" : path;
  if (file == nullptr) {
    const std::errc code = last_error();
    pcap_close(format);
    return fail_with(code, fmt::format("open capture file {} for writing", name));
  }
  return std::unique_ptr<Capture>(new Capture(name, options, format, file));
}

Capture::Capture(std::string path, CaptureOptions options, pcap* format, pcap_dumper* file)
    : path_(std::move(path)),
      options_(options),
      format_(format),
      file_(file),
      flushed_(kFileHeader) {}

Capture::~Capture() {
  (void)close();
  pcap_close(format_);
}

void Capture::see(const Packet& packet, Direction, Instant when) {
  if (file_ == nullptr) {
    ++lost_;
    return;
  }
  copy_.resize(std::min(packet.size(), options_.snaplen));
  packet.copy_out(0, copy_);
  if (packet.checksum == Checksum::Needed) {
    // A stranger's headers are kept as they are where they have no place for it.
    const auto ethernet = EthernetView::parse(packet.head());
    const auto field = ethernet ? finished_checksum(packet, ethernet->header_size()) : std::nullopt;
    if (field && field->offset + 2 <= copy_.size()) store16(&copy_[field->offset], field->value);
  }
  record(when, packet.size(), copy_);
}

void Capture::record(Instant when, uint32_t size, std::span<const uint8_t> bytes) {
  if (file_ == nullptr) {
    ++lost_;
    return;
  }
  const int64_t ns = when.time_since_epoch().count();
  pcap_pkthdr header{};
  header.ts.tv_sec = ns / 1'000'000'000;
  header.ts.tv_usec = ns % 1'000'000'000;  // Nanoseconds, as the file was opened.
  header.caplen = static_cast<bpf_u_int32>(bytes.size());
  header.len = size;
  errno = 0;
  // Sound: pcap_dump's callback shape passes the dumper as a pointer to bytes.
  pcap_dump(reinterpret_cast<u_char*>(file_), &header, bytes.data());
  if (std::ferror(pcap_dump_file(file_)) != 0) {
    fail_now();
    ++lost_;
    return;
  }
  ++packets_;
  ends_.push_back((ends_.empty() ? flushed_ : ends_.back()) + kRecordHeader + bytes.size());
  if (ends_.back() - flushed_ >= kGathered) flush();
}

Result<void> Capture::close() {
  if (file_ != nullptr) flush();
  if (file_ != nullptr) close_file();
  if (error_) return tl::unexpected(*error_);
  return {};
}

// Standard output is the program's.
void Capture::close_file() {
  pcap_dumper* file = std::exchange(file_, nullptr);
  if (pcap_dump_file(file) != stdout) pcap_dump_close(file);
}

void Capture::flush() {
  errno = 0;
  if (pcap_dump_flush(file_) != 0) {
    fail_now();
    return;
  }
  if (!ends_.empty()) flushed_ = ends_.back();
  ends_.clear();
}

// A write failed. The part of a packet that is in the file goes, so that readers find its end.
void Capture::fail_now() {
  const std::errc code = last_error();
  close_file();
  std::error_code ignored;  // A file that cannot be looked at stays as it is.
  const bool is_file = std::filesystem::is_regular_file(path_, ignored);
  const uint64_t size = is_file ? std::filesystem::file_size(path_, ignored) : flushed_;
  const auto cut = std::upper_bound(ends_.begin(), ends_.end(), size);
  const auto lost = static_cast<uint64_t>(ends_.end() - cut);
  const uint64_t whole = cut == ends_.begin() ? flushed_ : *(cut - 1);
  if (is_file) std::filesystem::resize_file(path_, size < whole ? 0 : whole, ignored);
  ends_.clear();
  packets_ -= lost;
  lost_ += lost;
  error_ = fail_with(code, fmt::format("write capture file {}", path_)).value();
  error_->text += fmt::format("; what it has is whole: {} packets", packets_);
}

std::optional<NetworkPart> network_part(const CapturedPacket& packet) {
  const std::span<const uint8_t> bytes = packet.bytes;
  const auto behind = [&](size_t header, EtherType type) -> std::optional<NetworkPart> {
    if (bytes.size() < header || packet.size < header) return std::nullopt;
    return NetworkPart{type, bytes.subspan(header), packet.size - header};
  };
  constexpr size_t kCooked = 16, kCooked2 = 20, kType = 14;  // The type is the last, or the first.
  switch (packet.link) {
    case CaptureLink::Ethernet: {
      const auto ethernet = EthernetView::parse(bytes);
      return ethernet ? behind(ethernet->header_size(), ethernet->type()) : std::nullopt;
    }
    case CaptureLink::Ip:
      if (bytes.empty()) return std::nullopt;
      return behind(0, bytes[0] >> 4 == 6 ? EtherType::Ip6 : EtherType::Ip4);
    case CaptureLink::Cooked:
      if (bytes.size() < kCooked) return std::nullopt;
      return behind(kCooked, static_cast<EtherType>(load16(&bytes[kType])));
    case CaptureLink::Cooked2:
      if (bytes.size() < kCooked2) return std::nullopt;
      return behind(kCooked2, static_cast<EtherType>(load16(bytes.data())));
  }
  return std::nullopt;
}

namespace {

class CaptureReader {
 public:
  static Result<CaptureReader> open(const std::string& path) {
    char why[PCAP_ERRBUF_SIZE] = "";
    File file(
        pcap_open_offline_with_tstamp_precision(path.c_str(), PCAP_TSTAMP_PRECISION_NANO, why),
        pcap_close);
    if (file == nullptr) {
      const bool names_it = std::string_view(why).starts_with(path);
      return fail("read capture {}", names_it ? why : fmt::format("{}: {}", path, why));
    }
    const auto link = link_of(pcap_datalink(file.get()));
    if (!link) {
      const char* name = pcap_datalink_val_to_name(pcap_datalink(file.get()));
      return fail("read capture {}: link type {}; accepted: Ethernet, raw IP, Linux cooked", path,
                  name != nullptr ? name : std::to_string(pcap_datalink(file.get())));
    }
    return CaptureReader(path, std::move(file), *link);
  }
  // False at the end; with an error when the file is wrong there, or ends within a packet.
  Result<bool> next() {
    const u_char* bytes = nullptr;
    const int got = pcap_next_ex(file_.get(), &header_, &bytes);
    if (got == PCAP_ERROR_BREAK) return false;
    if (got != 1) return fail("read capture {}: {}", path_, pcap_geterr(file_.get()));
    constexpr int64_t kLatest = Instant::max().time_since_epoch() / 1s - 5;  // And nanoseconds.
    if (header_->ts.tv_sec < 0 || header_->ts.tv_sec > kLatest) {
      return fail("read capture {}: a packet {} s after 1970; accepted: times up to the year 2262",
                  path_, header_->ts.tv_sec);
    }
    bytes_ = {bytes, bytes + header_->caplen};
    return true;
  }
  // After an error of next()'s.
  bool is_cut_short() const {
    return std::string_view(pcap_geterr(file_.get())).starts_with("truncated");
  }
  // Of the packet that next() found, until the next one.
  Instant when() const {
    return Instant(std::chrono::seconds(header_->ts.tv_sec) +
                   std::chrono::nanoseconds(header_->ts.tv_usec));
  }
  uint32_t size() const { return header_->len; }
  std::span<const uint8_t> bytes() const { return bytes_; }
  CaptureLink link() const { return link_; }

 private:
  using File = std::unique_ptr<pcap, void (*)(pcap*)>;
  CaptureReader(std::string path, File file, CaptureLink link)
      : path_(std::move(path)), file_(std::move(file)), link_(link) {}
  std::string path_;
  File file_;
  CaptureLink link_;
  pcap_pkthdr* header_ = nullptr;
  std::span<const uint8_t> bytes_;
};

}  // namespace

Result<std::vector<CapturedPacket>> read_capture(const std::string& path, std::string* cut_short) {
  CaptureReader reader = TRY(CaptureReader::open(path));
  std::vector<CapturedPacket> packets;
  for (;;) {
    const auto more = reader.next();
    if (!more && cut_short != nullptr && reader.is_cut_short()) {
      *cut_short = fmt::format("it is cut short: {}; what is whole is read: {} packets",
                               more.error().text, packets.size());
      return packets;
    }
    if (!TRY(more)) return packets;
    const auto bytes = reader.bytes();
    packets.push_back({reader.when(), reader.size(), {bytes.begin(), bytes.end()}, reader.link()});
  }
}

Result<uint64_t> merge_captures(std::span<const std::string> paths, const std::string& into,
                                uint64_t most) {
  std::vector<CaptureReader> readers;  // Of those that have a packet to give.
  for (const std::string& path : paths) {
    readers.push_back(TRY(CaptureReader::open(path)));
    if (!TRY(readers.back().next())) readers.pop_back();
  }
  const std::unique_ptr<Capture> merged = TRY(Capture::open(into));
  for (uint64_t n = 0; n < most && !readers.empty(); ++n) {
    const auto first =
        std::min_element(readers.begin(), readers.end(),
                         [](const auto& a, const auto& b) { return a.when() < b.when(); });
    merged->record(first->when(), first->size(), first->bytes());
    if (!TRY(first->next())) readers.erase(first);
  }
  TRY(merged->close());
  return merged->packets();
}

}  // namespace wh::net
