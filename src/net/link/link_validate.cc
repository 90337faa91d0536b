// Which values of a link's configuration go together. Every refusal names the key and what is
// accepted.
#include "net/link/link_config.h"

namespace wh::net {
namespace {

using core::to_string;  // Of a Duration, which argument-dependent lookup does not find.

constexpr Duration kLongest = std::chrono::hours(1);
constexpr uint64_t kMostPackets = 10'000'000;
constexpr uint32_t kMostFlows = 65536;
constexpr uint32_t kWidestGap = 1000;
constexpr Bytes kLargestQuantum{1 << 20};

Result<void> check_within(std::string_view key, Duration value, Duration low, Duration high) {
  if (value >= low && value <= high) return {};
  return fail("{}={}: out of range; accepted: {} to {}", key, to_string(value), to_string(low),
              to_string(high));
}

Result<void> check_rate(const DirectionConfig& c) {
  if (c.rate.is_zero()) {
    return fail(
        "rate=0bps: a link with no rate sends nothing; accepted: above zero, such as 40Mbps, "
        "or infinite");
  }
  if (!c.rate.is_infinite() && c.rate > kFastestLink) {
    return fail("rate={}: out of range; accepted: above 0bps, at most {}, or infinite", c.rate,
                kFastestLink);
  }
  if (!c.trace_file.empty() && !c.rate.is_infinite()) {
    return fail("rate={} and trace={}: a link has one or the other", c.rate, c.trace_file);
  }
  if (!c.trace_file.empty() && c.slot) {
    return fail("slot={} and trace={}: a link has one or the other", to_string(*c.slot),
                c.trace_file);
  }
  if (c.slot) TRY(check_within("slot", *c.slot, 1us, 10s));
  return {};
}

Result<void> check_buffer(const DirectionConfig& c) {
  if (const auto* packets = std::get_if<uint64_t>(&c.buffer)) {
    if (*packets >= 1 && *packets <= kMostPackets) return {};
    return fail("buffer={}p: out of range; accepted: 1p to {}p", *packets, kMostPackets);
  }
  if (const auto* bytes = std::get_if<Bytes>(&c.buffer)) {
    if (*bytes >= kFullFrame) return {};
    return fail("buffer={}: smaller than one packet; accepted: at least {}", *bytes, kFullFrame);
  }
  const Duration time = std::get<Duration>(c.buffer);
  const Rate rate = c.buffer_rate();
  if (rate.is_infinite()) {
    // A trace that is not loaded yet has its rate checked when it is.
    if (!c.trace_file.empty()) return check_within("buffer", time, 1ns, kLongest);
    return fail(
        "buffer={}: a time needs a rate to be counted in bytes; accepted: with rate=, or a "
        "size or packets, such as 64KiB or 100p",
        to_string(time));
  }
  if (rate.is_zero()) {
    return fail(
        "buffer={}: the trace carries less than 1bps, of which no time makes a packet; accepted: a "
        "size or packets, such as 64KiB or 100p",
        to_string(time));
  }
  if (time <= 0ns || rate.bytes_in(time) < kFullFrame) {
    return fail("buffer={}: {} at {}, smaller than one packet of {}; accepted: at least {}",
                to_string(time), rate.bytes_in(time), rate, kFullFrame,
                to_string(rate.transfer_time(kFullFrame)));
  }
  return check_within("buffer", time, 1ns, kLongest);
}

Result<void> check_aqm(const DirectionConfig& c) {
  const FqCodelConfig usual;
  FqCodelConfig shared = usual;  // What the two CoDels have in common.
  shared.codel = c.aqm.codel;
  if (c.queue == Discipline::DropTail && shared != usual) {
    return fail(
        "target, interval and ecn need an active queue; accepted: with queue=codel or "
        "queue=fq_codel");
  }
  if (c.queue != Discipline::FqCodel && shared != c.aqm) {
    return fail("quantum and flows need a queue for each flow; accepted: with queue=fq_codel");
  }
  TRY(check_within("target", c.aqm.codel.target, 1us, kLongest));
  TRY(check_within("interval", c.aqm.codel.interval, c.aqm.codel.target, kLongest));
  if (c.aqm.quantum < Bytes(1) || c.aqm.quantum > kLargestQuantum) {
    return fail("quantum={}: out of range; accepted: 1B to {}", c.aqm.quantum, kLargestQuantum);
  }
  if (c.aqm.flows < 1 || c.aqm.flows > kMostFlows) {
    return fail("flows={}: out of range; accepted: 1 to {}", c.aqm.flows, kMostFlows);
  }
  return {};
}

Result<void> check_impairments(const DirectionConfig& c) {
  TRY(check_within("delay", c.delay, 0ns, kLongest));
  TRY(check_within("jitter", c.jitter, 0ns, kLongest));
  TRY(check_within("reorder_delay", c.reorder.delay, 1ns, kLongest));
  if (c.reorder.gap > kWidestGap) {
    return fail("reorder_gap={}: out of range; accepted: 0 to {}", c.reorder.gap, kWidestGap);
  }
  return {};
}

Result<void> check_ack(const DirectionConfig& c) {
  if (c.ack == AckPolicy::All) return {};
  if (c.queue != Discipline::DropTail) {
    return fail("ack=keep_last: works on one queue in order; accepted: with queue=droptail");
  }
  if (c.rate.is_infinite() && !c.slot && c.trace_file.empty()) {
    return fail(
        "ack=keep_last: nothing ever waits at an infinite rate; accepted: with rate=, slot= "
        "or trace=");
  }
  return {};
}

Result<void> check_direction(const DirectionConfig& c) {
  TRY(check_rate(c));
  TRY(check_buffer(c));
  TRY(check_aqm(c));
  TRY(check_impairments(c));
  return check_ack(c);
}

}  // namespace

bool takes_no_time(const DirectionConfig& c) {
  return c.rate.is_infinite() && c.trace_file.empty() && !c.slot && c.delay == 0ns;
}

Result<void> validate(const LinkConfig& config) {
  if (auto forward = check_direction(config.forward); !forward) {
    return tl::unexpected(std::move(forward.error()).within("link"));
  }
  if (auto reverse = check_direction(config.reverse); !reverse) {
    return tl::unexpected(std::move(reverse.error()).within("link: reverse direction"));
  }
  return {};
}

}  // namespace wh::net
