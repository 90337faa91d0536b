#include "lab/path_facts.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <deque>
#include <map>
#include <nlohmann/json.hpp>
#include <optional>
#include <vector>

#include "core/histogram.h"
#include "lab/spec.h"
#include "net/capture.h"
#include "net/seq.h"
#include "net/wire/ip4.h"
#include "net/wire/ip6.h"
#include "net/wire/tcp.h"

namespace wh::lab {
namespace {

using Document = nlohmann::json;

// Documents may have any number; what no path has is for the caller to refuse.
Duration of_ms(double ms) {
  return Duration(static_cast<int64_t>(std::llround(std::clamp(ms, 0.0, 1e12) * 1e6)));
}
Rate of_bps(double bps) {
  return Rate::bits_per_second(static_cast<uint64_t>(std::clamp(bps, 1.0, 1.8e19)));
}

std::optional<double> number(const Document& json, const char* path) {
  const Document::json_pointer at(path);
  if (!json.is_object() || !json.contains(at) || !json.at(at).is_number()) return std::nullopt;
  return json.at(at).get<double>();
}

// Who put a packet onto the link it was captured on: the source of its frame, whether it was the
// machine itself in a cooked capture, and where no header says so the packet's own source.
struct Side {
  std::array<uint8_t, 6> link{};
  net::IpAddress address;
  auto operator<=>(const Side&) const = default;
};

// One side of a connection in a capture.
struct Way {
  struct Sent {
    net::SeqNum end;
    Instant when;
  };
  net::SeqNum una, max;
  net::SeqNum clean;  // What ends behind it was sent once.
  bool has_begun = false;
  uint64_t acked = 0;
  std::deque<Sent> outstanding;
  std::vector<std::pair<Instant, uint32_t>> acks;  // When, and how much was newly acknowledged.
  Histogram rtt;
  Instant first{}, last{};
  uint64_t emptied = 0;  // Acknowledgments that left nothing outstanding.
  Side side;             // Where its data came from.
  uint32_t full = 1448;  // Payload in a frame of 1514 bytes.
};

struct Key {
  net::IpAddress source, destination;
  uint16_t source_port, destination_port;
  auto operator<=>(const Key&) const = default;
};
struct Segment {
  Key key;
  net::SeqNum seq, ack;
  uint32_t length;
  bool has_ack;
};

Side side_of(const net::CapturedPacket& packet, const Key& key) {
  Side side;
  switch (packet.link) {
    case net::CaptureLink::Ethernet: std::copy_n(&packet.bytes[6], 6, side.link.begin()); break;
    case net::CaptureLink::Cooked: side.link[0] = packet.bytes[1]; break;
    case net::CaptureLink::Cooked2: side.link[0] = packet.bytes[10]; break;
    case net::CaptureLink::Ip: side.address = key.source; break;
  }
  return side;
}

std::optional<Segment> segment_in(const net::CapturedPacket& packet) {
  const auto network = net::network_part(packet);
  if (!network) return std::nullopt;
  std::span<const uint8_t> bytes = network->bytes;
  size_t size = network->size;
  Segment s{};
  if (network->type == net::EtherType::Ip4) {
    const auto ip = net::Ip4View::parse(bytes, size);
    if (!ip || ip->protocol() != 6 || ip->is_fragment()) return std::nullopt;
    s.key.source = ip->source();
    s.key.destination = ip->destination();
    size = ip->payload_size();
    bytes = bytes.subspan(ip->header_size());
  } else if (network->type == net::EtherType::Ip6) {
    const auto ip = net::Ip6View::parse(bytes, size);
    net::Ip6Extensions extensions;
    if (!ip || ip->extensions(extensions) || extensions.protocol != 6) return std::nullopt;
    if (extensions.has_fragment()) return std::nullopt;
    s.key.source = ip->source();
    s.key.destination = ip->destination();
    size = ip->total_length() - extensions.offset;
    bytes = bytes.subspan(extensions.offset);
  } else {
    return std::nullopt;
  }
  const auto tcp = net::TcpView::parse(bytes, size);
  if (!tcp) return std::nullopt;
  s.key.source_port = tcp->source_port();
  s.key.destination_port = tcp->destination_port();
  s.seq = tcp->seq();
  s.ack = tcp->ack();
  s.length = tcp->payload_size();
  s.has_ack = tcp->flags().has(net::kTcpAck);
  return s;
}

void note_data(Way& way, const Segment& s, Instant when) {
  const net::SeqNum end = s.seq + net::SeqLen(s.length);
  if (!way.has_begun) {
    way.una = way.max = way.clean = s.seq;
    way.has_begun = true;
    way.first = when;
  }
  way.last = std::max(way.last, when);
  if (s.seq < way.max) {  // Sent again: none of what is out tells a round trip (Karn).
    way.clean = way.max;
    return;
  }
  way.max = end;
  constexpr size_t kMostOutstanding = 100'000;
  if (way.outstanding.size() < kMostOutstanding) way.outstanding.push_back({end, when});
}

void note_ack(Way& way, net::SeqNum ack, Instant when) {
  if (!way.has_begun || ack <= way.una || ack > way.max) return;
  const uint32_t fresh = (ack - way.una).count();
  way.una = ack;
  way.acked += fresh;
  way.acks.emplace_back(when, fresh);
  std::optional<Way::Sent> newest;
  while (!way.outstanding.empty() && way.outstanding.front().end <= ack) {
    newest = way.outstanding.front();
    way.outstanding.pop_front();
  }
  if (ack == way.max) ++way.emptied;
  if (newest && newest->end > way.clean && when >= newest->when) {
    way.rtt.record(static_cast<uint64_t>((when - newest->when).count()));
  }
}

// A receiver acknowledges what it has as soon as it has it; at the sender more has left by then.
bool is_of_receiver(const std::vector<const Way*>& ways) {
  size_t acks = 0, emptied = 0;
  for (const Way* way : ways) {
    acks += way->acks.size();
    emptied += way->emptied;
  }
  return 2 * emptied > acks;
}

// What all of them together had acknowledged in three quarters of the half seconds, or less, in
// frames of 1514 bytes. Not the most: after a repair the acknowledgment jumps over what had arrived
// long before.
Rate usual_rate(const std::vector<const Way*>& ways) {
  Instant first = kNever, last{};
  for (const Way* way : ways) {
    first = std::min(first, way->first);
    last = std::max(last, way->last);
  }
  const Duration window = std::clamp<Duration>((last - first) / 4, 1ms, 500ms);
  const int64_t windows = std::max<int64_t>(1, (last - first) / window);  // The last is cut short.
  std::map<int64_t, uint64_t> sums;  // Of the windows that have any: a clock may jump by decades.
  for (const Way* way : ways) {
    for (const auto& [when, bytes] : way->acks) {
      const int64_t at = (when - first) / window;
      if (when >= first && at < windows) sums[at] += bytes * 1514 / way->full;
    }
  }
  std::vector<uint64_t> sorted;
  for (const auto& [at, sum] : sums) sorted.push_back(sum);
  std::sort(sorted.begin(), sorted.end());
  const int64_t empty = windows - std::ssize(sorted), wanted = (windows - 1) * 3 / 4;
  const uint64_t bytes = wanted < empty ? 0 : sorted[static_cast<size_t>(wanted - empty)];
  return Rate::of(Bytes(static_cast<int64_t>(bytes)), window);
}

// How long a full queue of that makes packets wait, where the link has `rate`.
Duration wait_in(const net::BufferSize& buffer, Rate rate) {
  if (const auto* time = std::get_if<Duration>(&buffer)) return *time;
  if (const auto* size = std::get_if<Bytes>(&buffer)) return rate.transfer_time(*size);
  return rate.transfer_time(net::kFullFrame * static_cast<int64_t>(std::get<uint64_t>(buffer)));
}

// The lab's direction of a link that a report calls `name`: "bottleneck.rev (cubic)".
const net::DirectionConfig* direction_in(const LabSpec& lab, std::string_view name) {
  for (const LinkSpec& link : lab.links) {
    if (!name.starts_with(link.name)) continue;
    std::string_view rest = name.substr(link.name.size());
    const bool is_reverse = rest.starts_with(".rev");
    if (is_reverse) rest.remove_prefix(4);
    if (rest.empty() || rest.starts_with(" (")) {
      return is_reverse ? &link.config.reverse : &link.config.forward;
    }
  }
  return nullptr;
}

// The most connections at a time, of runs in which each flow had the path for itself.
uint32_t most_alone(const LabSpec& lab) {
  uint32_t background = 0, most = 0;
  for (const FlowSpec& flow : lab.flows) {
    if (flow.background) {
      background += flow.count;
    } else {
      most = std::max(most, flow.count);
    }
  }
  return background + most;
}

}  // namespace

Result<PathFacts> facts_of_run(std::string_view text, std::string_view name) {
  const Document json = Document::parse(text, nullptr, false);
  if (json.is_discarded() || !json.is_object() || !json.contains("flows") ||
      !json.contains("links") || !json["flows"].is_array() || !json["links"].is_array()) {
    return fail("{}: not a report of wh pace; accepted: what `wh pace --json` wrote", name);
  }
  PathFacts facts;
  std::optional<LabSpec> lab;
  if (json.contains("lab") && json["lab"].is_string()) {
    if (auto parsed = parse_lab(json["lab"].get<std::string>(), name)) lab = std::move(*parsed);
  }
  double used = -1;
  for (const Document& link : json["links"]) {
    const auto rate = number(link, "/rate_bps"), utilization = number(link, "/utilization");
    if (!rate || !utilization || *rate < 1 || *utilization <= used) continue;
    used = *utilization;
    facts.up = of_bps(*rate);
    facts.buffer = of_ms(number(link, "/queue_ms/max").value_or(0));
    const auto called = link.find("name");
    const bool is_called = called != link.end() && called->is_string();
    const auto* direction =
        lab && is_called ? direction_in(*lab, called->get<std::string>()) : nullptr;
    if (direction != nullptr) facts.buffer = wait_in(direction->buffer, facts.up);
  }
  if (used < 0) return fail("{}: none of its links has a rate", name);
  double rtt = -1;
  uint32_t flows = 0;
  for (const Document& flow : json["flows"]) {
    ++flows;
    const auto least = number(flow, "/rtt_ms/min");
    if (least && (rtt < 0 || *least < rtt)) rtt = *least;
  }
  if (rtt <= 0) return fail("{}: none of its flows measured a round trip", name);
  facts.rtt = of_ms(rtt);
  const auto alone = json.find("alone");
  const bool is_alone = alone != json.end() && alone->is_boolean() && alone->get<bool>();
  facts.connections = is_alone ? (lab ? most_alone(*lab) : 1) : flows;
  return facts;
}

Result<PathFacts> facts_of_capture(const std::string& path, bool is_rtt_known) {
  PathFacts facts;
  std::map<Key, Way> ways;
  for (const net::CapturedPacket& packet : TRY(net::read_capture(path, &facts.remark))) {
    const auto s = segment_in(packet);
    if (!s) continue;
    if (s->length > 0) {
      Way& way = ways[s->key];
      if (!way.has_begun) way.side = side_of(packet, s->key);
      if (!s->key.source.is_v4()) way.full = 1428;
      note_data(way, *s, packet.when);
    }
    const Key back{s->key.destination, s->key.source, s->key.destination_port, s->key.source_port};
    if (const auto way = ways.find(back); s->has_ack && way != ways.end()) {
      note_ack(way->second, s->ack, packet.when);
    }
  }
  // Whoever sent most says which direction the question is about.
  std::map<Side, uint64_t> sent;
  for (const auto& [key, way] : ways) sent[way.side] += way.acked;
  const auto most = std::max_element(
      sent.begin(), sent.end(), [](const auto& a, const auto& b) { return a.second < b.second; });
  std::vector<const Way*> same;
  Histogram rtt;
  for (const auto& [key, way] : ways) {
    if (way.side != most->first || way.acked < 100'000) continue;
    same.push_back(&way);
    rtt.merge(way.rtt);
  }
  if (rtt.count() == 0) {
    return fail("{}: it holds no TCP transfer of at least 100 kB with its acknowledgments", path);
  }
  facts.up = usual_rate(same);
  facts.connections = static_cast<uint32_t>(same.size());
  if (is_rtt_known) return facts;
  if (is_of_receiver(same)) {
    return fail(
        "{}: it was taken at the receiver, where acknowledgments leave as soon as data comes: it "
        "shows no round trip and no buffer; accepted: --rtt and --buffer beside it, or a capture "
        "taken at the sender",
        path);
  }
  facts.rtt = Duration(static_cast<int64_t>(rtt.min()));
  facts.buffer = Duration(static_cast<int64_t>(rtt.quantile(0.99) - rtt.min()));
  return facts;
}

}  // namespace wh::lab
