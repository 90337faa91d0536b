#include "lab/synthetic.h"

#include <algorithm>
#include <charconv>
#include <cmath>
#include <functional>
#include <vector>

#include "core/random.h"
#include "host/system.h"
#include "net/link/trace.h"

namespace wh::lab {
namespace {

using Parts = std::vector<std::string_view>;

constexpr Rate kLowest = 100_kbps, kHighest = 10_Gbps;
constexpr Duration kShortestTime = 10ms, kLongestTime = std::chrono::hours(1);
constexpr double kMostOpportunities = 5e6;

Parts split(std::string_view text) {
  Parts parts;
  for (;;) {
    const size_t colon = text.find(':');
    parts.push_back(text.substr(0, colon));
    if (colon == std::string_view::npos) return parts;
    text.remove_prefix(colon + 1);
  }
}

Result<Rate> read_rate(std::string_view text) {
  const Rate rate = TRY(parse_rate(text));
  if (rate < kLowest || rate > kHighest) {
    return fail("'{}' is out of range; accepted: {} to {}", text, kLowest, kHighest);
  }
  return rate;
}

Result<Duration> read_time(std::string_view text) {
  const Duration time = TRY(parse_duration(text));
  if (time < kShortestTime || time > kLongestTime) {
    return fail("'{}' is out of range; accepted: 10ms to 1h", text);
  }
  return time;
}

// Opportunities at a rate that is a function of the milliseconds since the beginning, in Mbps, over
// `ms` milliseconds. What is left of an opportunity at the end of a millisecond is carried on.
Result<std::string> at_rate(int64_t ms, const std::function<double(int64_t)>& mbps) {
  std::string out;
  const double per_mbps = 1e3 / static_cast<double>(net::Trace::kOpportunity.count() * 8);
  double owed = 0, total = 0;
  for (int64_t t = 1; t <= ms; ++t) {
    owed += mbps(t) * per_mbps;
    total += std::floor(owed);
    if (total > kMostOpportunities) {
      return fail("it has more than {} opportunities; accepted: a lower rate or a shorter time",
                  kMostOpportunities);
    }
    const std::string line = std::to_string(t) + "\n";
    const bool is_last = t == ms && owed < 1;  // The period of a trace is its last line.
    for (; owed >= 1; owed -= 1) out += line;
    if (is_last) out += line;
  }
  return out;
}

double mbps_of(Rate rate) {
  return static_cast<double>(rate.bps()) * 1e-6;
}

Result<std::string> steps(const Parts& parts) {
  if (parts.size() < 4) return fail("at least two rates and a time are needed");
  std::vector<double> rates;
  for (size_t i = 1; i + 1 < parts.size(); ++i) rates.push_back(mbps_of(TRY(read_rate(parts[i]))));
  const int64_t each = TRY(read_time(parts.back())) / 1ms;
  return at_rate(each * static_cast<int64_t>(rates.size()),
                 [&](int64_t t) { return rates[static_cast<size_t>((t - 1) / each)]; });
}

Result<std::string> ramp(const Parts& parts) {
  if (parts.size() != 4) return fail("two rates and a time are needed");
  const double low = mbps_of(TRY(read_rate(parts[1]))), high = mbps_of(TRY(read_rate(parts[2])));
  const int64_t up = TRY(read_time(parts[3])) / 1ms;
  return at_rate(2 * up, [&](int64_t t) {
    const int64_t along = t <= up ? t : 2 * up - t;
    return low + (high - low) * static_cast<double>(along) / static_cast<double>(up);
  });
}

// The period ends at the last delivery, so half of the good time stands at either end.
Result<std::string> outage(const Parts& parts) {
  if (parts.size() != 4) return fail("a rate and two times are needed");
  const double rate = mbps_of(TRY(read_rate(parts[1])));
  const int64_t up = TRY(read_time(parts[2])) / 1ms, down = TRY(read_time(parts[3])) / 1ms;
  return at_rate(up + down,
                 [&](int64_t t) { return t <= up / 2 || t > up / 2 + down ? rate : 0.0; });
}

Result<std::string> cellular(const Parts& parts) {
  if (parts.size() != 2 && parts.size() != 3) return fail("a rate is needed, and may be a seed");
  const double mean = mbps_of(TRY(read_rate(parts[1])));
  uint64_t seed = 1;
  if (parts.size() == 3) {
    const char* end = parts[2].data() + parts[2].size();
    const auto [stop, error] = std::from_chars(parts[2].data(), end, seed);
    if (error != std::errc() || stop != end) return fail("'{}' is not a whole number", parts[2]);
  }
  Random random = Random(seed).fork("cellular");
  constexpr int64_t kMs = 120'000, kStep = 20;
  // The logarithm of the rate: deviation 0.6 about its mean, forgotten in 4 s.
  constexpr double kDeviation = 0.6, kForget = 4000;
  const double pull = static_cast<double>(kStep) / kForget;
  double x = 0;
  int64_t outage_until = 0;
  double now = mean;
  auto poisson = [&](double expected) {
    double n = 0;
    for (double left = random.exponential(1); left < expected; left += random.exponential(1))
      n += 1;
    return n;
  };
  const double mbps_each = static_cast<double>(net::Trace::kOpportunity.count() * 8) * 1e-3;
  return at_rate(kMs, [&](int64_t t) {
    if (t % kStep == 0) {
      x += -x * pull + kDeviation * std::sqrt(2 * pull) * random.normal();
      now = mean * std::clamp(std::exp(x - kDeviation * kDeviation / 2), 0.1, 3.0);
      // About four outages a minute, of 300 ms on average.
      if (random.chance(static_cast<double>(kStep) / 15'000)) {
        outage_until = t + static_cast<int64_t>(random.exponential(300));
      }
    }
    if (t < outage_until) return 0.0;
    return mbps_each * poisson(now / mbps_each);
  });
}

struct Kind {
  std::string_view name, accepted;
  Result<std::string> (*make)(const Parts& parts);
};
constexpr Kind kKinds[] = {
    {"steps", "steps:20Mbps:5Mbps:10s", steps},
    {"ramp", "ramp:2Mbps:20Mbps:10s", ramp},
    {"outage", "outage:20Mbps:9s:1s", outage},
    {"cellular", "cellular:12Mbps or cellular:12Mbps:7", cellular},
};

const Kind* find(std::string_view name) {
  const size_t colon = name.find(':');
  if (colon == std::string_view::npos) return nullptr;
  for (const Kind& kind : kKinds) {
    if (kind.name == name.substr(0, colon)) return &kind;
  }
  return nullptr;
}

}  // namespace

const char* const kSyntheticForms =
    "  steps:RATE:RATE[:RATE...]:TIME   each rate for TIME, in turn\n"
    "  ramp:LOW:HIGH:TIME               from LOW evenly up to HIGH in TIME, and down again\n"
    "  outage:RATE:UP:DOWN              RATE for UP, then nothing for DOWN\n"
    "  cellular:MEAN[:SEED]             as a phone sees a cell: 120 s in which the rate wanders\n"
    "                                   about MEAN, with short outages\n";

bool is_synthetic(std::string_view name) {
  return find(name) != nullptr;
}

Result<std::string> make_trace(std::string_view name) {
  const Kind* kind = find(name);
  CHECK(kind != nullptr);
  auto text = kind->make(split(name));
  if (!text) return fail("{}: {}; such as {}", name, text.error().text, kind->accepted);
  return text;
}

Result<void> load_traces(net::LinkConfig& link) {
  return net::load_traces(link, [](const std::string& name) {
    return is_synthetic(name) ? make_trace(name) : host::read_file(name);
  });
}

}  // namespace wh::lab
