// What a link is asked to be, and the text in which people write it.
//
//   rate=40Mbps,delay=10ms,buffer=100ms,rev.rate=5Mbps,rev.ack=keep_last
//
// A key says something of the forward direction (from side a to side b); with `rev.` before it, of
// the reverse one. The reverse direction has the forward one's delay and rate unless they are
// given; nothing else is taken over. (When either direction follows a trace, the reverse rate is
// `infinite` unless given: there is none to take.) Keys come in any order, each at most once. An
// empty text is a wire: infinite rate, no delay.
//
// parse_link_config(to_string(c)) == c for every c that was parsed. link_keys() is the table of
// keys, for --help.
#pragma once

#include <functional>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <variant>

#include "net/link/fq_codel.h"
#include "net/link/gilbert_elliott.h"
#include "net/link/queue.h"
#include "net/link/reorder.h"
#include "net/link/trace.h"

namespace wh::net {

// The fastest link. Beyond it a packet takes less than a dozen nanoseconds, and whole runs of them
// the same one. What is not limited at all is `infinite`.
constexpr Rate kFastestLink = Rate::bits_per_second(1'000'000'000'000);

enum class Discipline : uint8_t { DropTail, Codel, FqCodel };
enum class JitterOrder : uint8_t { Keep, Free };
enum class AckPolicy : uint8_t { All, KeepLast };

// What a buffer holds: a size, a number of packets, or what its link sends in a time.
using BufferSize = std::variant<Bytes, uint64_t, Duration>;

struct DirectionConfig {
  Rate rate = Rate::infinite();
  Duration delay{};
  Duration jitter{};
  JitterOrder jitter_order = JitterOrder::Keep;
  BufferSize buffer = uint64_t{1000};
  Discipline queue = Discipline::DropTail;
  FqCodelConfig aqm;  // Of CoDel too, as far as it goes.
  Probability loss;
  std::optional<GilbertElliottConfig> ge;
  Probability duplicate;
  Probability corrupt;
  ReorderConfig reorder;
  std::string trace_file;  // Empty: none.
  std::optional<Duration> slot;
  AckPolicy ack = AckPolicy::All;
  // What trace_file holds, from load_traces(). Shared by every copy of this configuration, and
  // immutable.
  std::shared_ptr<const Trace> trace;

  bool operator==(const DirectionConfig&) const = default;
  // The rate that turns a time into bytes: of the link, or the mean of its trace.
  Rate buffer_rate() const { return trace != nullptr ? trace->mean_rate() : rate; }
};

struct LinkConfig {
  DirectionConfig forward, reverse;
  bool operator==(const LinkConfig&) const = default;
};

// Errors name the key, or the value and what is accepted.
Result<LinkConfig> parse_link_config(std::string_view text);
// The keys that differ from their defaults, in the order of link_keys(), forward first.
std::string to_string(const LinkConfig& config);

// Whether a packet crosses it in no time at all: nothing says how long it takes. A path made of
// such links alone is one on which a connection does an endless number of things at one instant.
bool takes_no_time(const DirectionConfig& config);

// Checks that values go together: a rate above zero, a buffer of at least one full frame ... .
// Parsing does this; call it on a configuration made otherwise.
Result<void> validate(const LinkConfig& config);

// Reads the traces that are named and not yet loaded. `read` returns a file's contents; it is given
// because this room opens no files. Errors name the file, and the line.
using FileReader = std::function<Result<std::string>(const std::string& name)>;
Result<void> load_traces(LinkConfig& config, const FileReader& read);

// The limit of a direction's queue in bytes and packets. REQUIRES: validated, traces loaded.
QueueLimit queue_limit(const DirectionConfig& config, Rate rate);

// One key of the text form: how --help prints it, and what it does to one direction.
struct LinkKey {
  std::string_view name;
  std::string_view value;  // Its form: "RATE", "keep|free".
  std::string_view description;
  Result<void> (*set)(DirectionConfig& config,
                      std::string_view value);        // The value alone is checked.
  std::string (*get)(const DirectionConfig& config);  // As it would be written.
};
std::span<const LinkKey> link_keys();

}  // namespace wh::net
