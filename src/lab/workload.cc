#include "lab/workload.h"

#include "net/link/link_config.h"

namespace wh::lab {
namespace {

std::vector<std::string_view> parts_of(std::string_view text) {
  std::vector<std::string_view> parts;
  while (!text.empty()) {
    const size_t end = std::min(text.find(':'), text.size());
    parts.push_back(text.substr(0, end));
    if (end + 1 == text.size()) parts.emplace_back();  // A part that was left empty.
    text.remove_prefix(std::min(end + 1, text.size()));
  }
  return parts;
}

Result<Duration> positive_time(std::string_view text, Duration least) {
  const Duration d = TRY(parse_duration(text));
  if (d < least || d > std::chrono::hours(24)) {
    return fail("'{}' is out of range; accepted: {} to 24h", text, to_string(least));
  }
  return d;
}

Result<Bytes> positive_size(std::string_view text) {
  const Bytes size = TRY(parse_bytes(text));
  if (size < 1_B || size > Bytes(int64_t{1} << 40)) {
    return fail("'{}' is out of range; accepted: 1B to 1TiB", text);
  }
  return size;
}

Result<Workload> parse_onoff(const std::vector<std::string_view>& parts) {
  OnOff w;
  if (!parts.empty()) {
    if (parts[0].ends_with('B')) {
      w.on = TRY(positive_size(parts[0]));
    } else {
      w.on = TRY(positive_time(parts[0], 1ms));
    }
  }
  if (parts.size() > 1) w.off = TRY(positive_time(parts[1], 1ms));
  return w;
}

Result<Workload> parse_web(const std::vector<std::string_view>& parts) {
  Web w;
  if (!parts.empty()) w.every = TRY(positive_time(parts[0], 100us));
  if (parts.size() > 1) w.size = TRY(positive_size(parts[1]));
  return w;
}

Result<Workload> parse_video(const std::vector<std::string_view>& parts) {
  Video w;
  if (!parts.empty()) {
    w.bitrate = TRY(parse_rate(parts[0]));
    if (w.bitrate < 8_kbps || w.bitrate > net::kFastestLink) {
      return fail("'{}' is no video's rate; accepted: 8kbps to {}", parts[0], net::kFastestLink);
    }
  }
  if (parts.size() > 1) w.chunk = TRY(positive_time(parts[1], 10ms));
  w.buffer = std::max(w.buffer, w.chunk);
  if (parts.size() > 2) w.buffer = TRY(positive_time(parts[2], 10ms));
  if (w.buffer < w.chunk) {
    return fail("a buffer of {} has no room for a chunk of {}; accepted: at least that",
                to_string(w.buffer), to_string(w.chunk));
  }
  return w;
}

struct Word {
  std::string_view name, accepted;
  size_t parts;
  Result<Workload> (*parse)(const std::vector<std::string_view>& parts);
};
constexpr Word kWords[] = {
    {"onoff", "onoff=TIME|SIZE:TIME, such as onoff=2s:1s or onoff=500kB:1s", 2, parse_onoff},
    {"web", "web=TIME:SIZE, such as web=100ms:50kB", 2, parse_web},
    {"video", "video=RATE:TIME:TIME, such as video=8Mbps:4s:20s", 3, parse_video},
};

struct Printer {
  std::string operator()(const Bulk&) const { return ""; }
  std::string operator()(const OnOff& w) const {
    const auto text = [](const auto& on) { return to_string(on); };
    return fmt::format("onoff={}:{}", std::visit(text, w.on), to_string(w.off));
  }
  std::string operator()(const Web& w) const {
    return fmt::format("web={}:{}", to_string(w.every), to_string(w.size));
  }
  std::string operator()(const Video& w) const {
    return fmt::format("video={}:{}:{}", to_string(w.bitrate), to_string(w.chunk),
                       to_string(w.buffer));
  }
};

}  // namespace

const std::vector<std::string>& workload_words() {
  static const std::vector<std::string> words = {"onoff", "web", "video"};
  return words;
}

Result<Workload> parse_workload(std::string_view word, std::string_view value) {
  for (const Word& w : kWords) {
    if (w.name != word) continue;
    const auto parts = parts_of(value);
    if (parts.size() > w.parts)
      return fail("'{}' has too many parts; accepted: {}", value, w.accepted);
    auto parsed = w.parse(parts);
    if (!parsed) return fail("{} ({})", parsed.error().text, w.accepted);
    return parsed;
  }
  UNREACHABLE();
}

std::string print_workload(const Workload& workload) {
  return std::visit(Printer{}, workload);
}

}  // namespace wh::lab
