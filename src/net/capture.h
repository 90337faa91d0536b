// Captures: what passes an interface, written to a file that tcpdump and Wireshark read.
//
// A Capture is a PacketTap. It writes pcap with nanosecond timestamps, link type Ethernet, through
// libpcap. A packet's time is the loop's: in virtual time the same run writes the same bytes. A
// transport checksum that is still Needed is completed in the copy that is written, so captures
// show what a wire would.
//
//   auto capture = TRY(Capture::open("run.pcap"));
//   interface.add_tap(capture.get());
//   ... run ...
//   TRY(capture->close());
//
// A write that fails (a full disk) ends the capture and leaves the run alone: the file is cut
// behind the last packet that is whole in it, error() says what happened and close() returns it;
// packets that are not in it are counted as lost. Ownership: the interface refers to the capture;
// remove the tap before the capture goes.
#pragma once

#include <memory>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "core/result.h"
#include "net/interface.h"
#include "net/wire/ethernet.h"

struct pcap;
struct pcap_dumper;

namespace wh::net {

struct CaptureOptions {
  // Bytes kept of each packet; the record says how long it was. REQUIRES: > 0.
  uint32_t snaplen = 262'144;
};

class Capture final : public PacketTap {
 public:
  // Creates or empties the file; "-" is standard output. Errors: it cannot be opened for writing.
  static Result<std::unique_ptr<Capture>> open(const std::string& path,
                                               CaptureOptions options = {});
  ~Capture() override;  // Closes; an error nobody asked for is forgotten.

  void see(const Packet& packet, Direction direction, Instant when) override;
  // Of a packet of `size` bytes, those that were kept elsewhere.
  void record(Instant when, uint32_t size, std::span<const uint8_t> bytes);
  // Writes out everything that is still buffered and closes the file. Errors: the first write that
  // failed. A second call answers the same and does nothing.
  Result<void> close();

  // The first write that failed; nothing while all is well.
  const std::optional<Error>& error() const { return error_; }
  uint64_t packets() const { return packets_; }  // Given to the file.
  uint64_t lost() const { return lost_; }        // Not in it: a write failed, or it was closed.

 private:
  Capture(std::string path, CaptureOptions options, pcap* format, pcap_dumper* file);
  void flush();
  void close_file();
  void fail_now();

  std::string path_;
  CaptureOptions options_;
  pcap* format_;
  pcap_dumper* file_;  // Null when closed.
  std::optional<Error> error_;
  std::vector<uint8_t> copy_;   // Of the packet being written.
  uint64_t flushed_;            // Where the last record ends that surely is in the file,
  std::vector<uint64_t> ends_;  // and each one after it.
  uint64_t packets_ = 0;
  uint64_t lost_ = 0;
};

// What a captured packet begins with: an Ethernet header; IP's own, as tunnels have it; or what
// Linux puts there when all interfaces are captured at once (LINKTYPE_LINUX_SLL, _SLL2).
enum class CaptureLink : uint8_t { Ethernet, Ip, Cooked, Cooked2 };

struct CapturedPacket {
  Instant when;
  uint32_t size = 0;  // On the wire; `bytes` may be fewer.
  std::vector<uint8_t> bytes;
  CaptureLink link = CaptureLink::Ethernet;
  bool operator==(const CapturedPacket&) const = default;
};

// The part of a captured packet behind the link's header: of its `size` bytes on the wire, `bytes`
// were kept. Nothing when the header is cut short, or says nothing of what follows.
struct NetworkPart {
  EtherType type;
  std::span<const uint8_t> bytes;
  size_t size;
};
std::optional<NetworkPart> network_part(const CapturedPacket& packet);

// All packets of a capture file. A file that ends inside a packet, because whoever wrote it was
// killed or its disk was full, is an error unless `cut_short` is there: that is told why, and what
// is whole comes. Errors: it cannot be read, is not a capture, is of another link, or has a time
// that no Instant has.
Result<std::vector<CapturedPacket>> read_capture(const std::string& path,
                                                 std::string* cut_short = nullptr);

// Makes one capture of several, each in order: the first `most` packets by time. Returns how many
// it has. Errors: as those of read_capture() and Capture.
Result<uint64_t> merge_captures(std::span<const std::string> paths, const std::string& into,
                                uint64_t most);

}  // namespace wh::net
