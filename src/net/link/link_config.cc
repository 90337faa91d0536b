#include "net/link/link_config.h"

#include <algorithm>
#include <array>
#include <charconv>
#include <set>

#include "core/sysctl.h"

namespace wh::net {
namespace {

using core::to_string;  // Of a Duration, which argument-dependent lookup does not find.

using Config = DirectionConfig;
using Text = std::string_view;

template <class T>
Result<void> store(T& to, Result<T> value) {
  to = TRY(std::move(value));
  return {};
}

// One of a few words, each standing for an enumerator.
template <class E, size_t N>
struct Words {
  std::array<std::pair<Text, E>, N> words;

  Result<void> set(E& to, Text text) const {
    std::string accepted;
    for (const auto& [word, value] : words) {
      if (word == text) return to = value, Result<void>{};
      accepted.append(accepted.empty() ? "" : ", ").append(word);
    }
    return fail("'{}' is not known; accepted: {}", text, accepted);
  }
  std::string get(E value) const {
    for (const auto& [word, of] : words) {
      if (of == value) return std::string(word);
    }
    UNREACHABLE();
  }
};
constexpr Words<JitterOrder, 2> kJitterOrders{
    {{{"keep", JitterOrder::Keep}, {"free", JitterOrder::Free}}}};
constexpr Words<Discipline, 3> kDisciplines{{{{"droptail", Discipline::DropTail},
                                              {"codel", Discipline::Codel},
                                              {"fq_codel", Discipline::FqCodel}}}};
constexpr Words<AckPolicy, 2> kAckPolicies{
    {{{"all", AckPolicy::All}, {"keep_last", AckPolicy::KeepLast}}}};
constexpr Words<Ecn, 2> kEcnWords{{{{"off", Ecn::Off}, {"on", Ecn::On}}}};

template <class T>
Result<T> parse_count(Text text) {
  T n = 0;
  const auto [stop, error] = std::from_chars(text.data(), text.data() + text.size(), n);
  if (error != std::errc() || stop != text.data() + text.size()) {
    return fail("'{}' is not a whole number; accepted: 0, 1, 2 ...", text);
  }
  return n;
}

Result<BufferSize> parse_buffer(Text text) {
  if (text.ends_with('p')) {
    if (auto n = parse_count<uint64_t>(text.substr(0, text.size() - 1))) return *n;
  } else if (text.ends_with('B')) {
    return TRY(parse_bytes(text));
  } else if (auto time = parse_duration(text); time && text != "0") {
    return *time;
  }
  return fail("'{}' is not a buffer; accepted: a time, a size or packets: 100ms, 64KiB, 100p",
              text);
}

std::string buffer_text(const BufferSize& buffer) {
  if (const auto* packets = std::get_if<uint64_t>(&buffer)) return fmt::format("{}p", *packets);
  if (const auto* bytes = std::get_if<Bytes>(&buffer)) return to_string(*bytes);
  return to_string(std::get<Duration>(buffer));
}

Result<GilbertElliottConfig> parse_ge(Text text) {
  GilbertElliottConfig ge;
  const std::array parts = {&ge.go_bad, &ge.go_good, &ge.loss_bad, &ge.loss_good};
  size_t n = 0;
  for (Text rest = text;; ++n) {
    const size_t end = std::min(rest.find(':'), rest.size());
    if (n == parts.size()) break;
    *parts[n] = TRY(parse_probability(rest.substr(0, end)));
    if (end == rest.size()) break;
    rest.remove_prefix(end + 1);
  }
  if (n == 0 || n == parts.size()) {
    return fail(
        "'{}' is not a loss channel; accepted: GO_BAD:GO_GOOD[:LOSS_BAD[:LOSS_GOOD]], "
        "such as 1%:25% or 1%:25%:80%:0.1%",
        text);
  }
  return ge;
}

std::string ge_text(const std::optional<GilbertElliottConfig>& ge) {
  if (!ge) return "none";
  return fmt::format("{}:{}:{}:{}", to_string(ge->go_bad), to_string(ge->go_good),
                     to_string(ge->loss_bad), to_string(ge->loss_good));
}

constexpr LinkKey kKeys[] = {
    {"rate", "RATE", "Ethernet frames without preamble and frame check: 40Mbps, infinite",
     [](Config& c, Text t) { return store(c.rate, parse_rate(t)); },
     [](const Config& c) { return to_string(c.rate); }},
    {"delay", "TIME", "one-way propagation delay: 10ms",
     [](Config& c, Text t) { return store(c.delay, parse_duration(t)); },
     [](const Config& c) { return to_string(c.delay); }},
    {"jitter", "TIME", "added to the delay: between 0 and this, evenly",
     [](Config& c, Text t) { return store(c.jitter, parse_duration(t)); },
     [](const Config& c) { return to_string(c.jitter); }},
    {"jitter_order", "keep|free", "whether packets with jitter keep their order",
     [](Config& c, Text t) { return kJitterOrders.set(c.jitter_order, t); },
     [](const Config& c) { return kJitterOrders.get(c.jitter_order); }},
    {"buffer", "TIME|SIZE|Np", "what the queue holds: 100ms (at the link's rate), 64KiB, 100p",
     [](Config& c, Text t) { return store(c.buffer, parse_buffer(t)); },
     [](const Config& c) { return buffer_text(c.buffer); }},
    {"queue", "droptail|codel|fq_codel", "queue discipline",
     [](Config& c, Text t) { return kDisciplines.set(c.queue, t); },
     [](const Config& c) { return kDisciplines.get(c.queue); }},
    {"target", "TIME", "CoDel's acceptable standing delay (queue=codel, fq_codel)",
     [](Config& c, Text t) { return store(c.aqm.codel.target, parse_duration(t)); },
     [](const Config& c) { return to_string(c.aqm.codel.target); }},
    {"interval", "TIME", "how long CoDel lets the delay exceed its target (queue=codel, fq_codel)",
     [](Config& c, Text t) { return store(c.aqm.codel.interval, parse_duration(t)); },
     [](const Config& c) { return to_string(c.aqm.codel.interval); }},
    {"quantum", "SIZE", "bytes that a flow sends in its turn (queue=fq_codel)",
     [](Config& c, Text t) { return store(c.aqm.quantum, parse_bytes(t)); },
     [](const Config& c) { return to_string(c.aqm.quantum); }},
    {"flows", "N", "queues among which flows are hashed (queue=fq_codel)",
     [](Config& c, Text t) { return store(c.aqm.flows, parse_count<uint32_t>(t)); },
     [](const Config& c) { return std::to_string(c.aqm.flows); }},
    {"ecn", "off|on", "mark packets of ECN-capable flows, do not drop them (queue=codel, fq_codel)",
     [](Config& c, Text t) { return kEcnWords.set(c.aqm.codel.ecn, t); },
     [](const Config& c) { return kEcnWords.get(c.aqm.codel.ecn); }},
    {"loss", "PERCENT", "chance that a packet is lost before the queue: 1%",
     [](Config& c, Text t) { return store(c.loss, parse_probability(t)); },
     [](const Config& c) { return to_string(c.loss); }},
    {"ge", "P:R[:B[:G]]",
     "bursts of loss (Gilbert-Elliott): chances of turning bad, of turning good, "
     "of loss while bad (100%), while good (0%)",
     [](Config& c, Text t) -> Result<void> {
       c.ge = TRY(parse_ge(t));
       return {};
     },
     [](const Config& c) { return ge_text(c.ge); }},
    {"dup", "PERCENT", "chance that a packet comes twice",
     [](Config& c, Text t) { return store(c.duplicate, parse_probability(t)); },
     [](const Config& c) { return to_string(c.duplicate); }},
    {"corrupt", "PERCENT", "chance that one bit of an IP packet is flipped",
     [](Config& c, Text t) { return store(c.corrupt, parse_probability(t)); },
     [](const Config& c) { return to_string(c.corrupt); }},
    {"reorder", "PERCENT", "chance that a packet is held back so that others pass it",
     [](Config& c, Text t) { return store(c.reorder.chance, parse_probability(t)); },
     [](const Config& c) { return to_string(c.reorder.chance); }},
    {"reorder_gap", "N", "packets that pass one held back; 0: as many as come in reorder_delay",
     [](Config& c, Text t) { return store(c.reorder.gap, parse_count<uint32_t>(t)); },
     [](const Config& c) { return std::to_string(c.reorder.gap); }},
    {"reorder_delay", "TIME", "how long a packet is held back at most",
     [](Config& c, Text t) { return store(c.reorder.delay, parse_duration(t)); },
     [](const Config& c) { return to_string(c.reorder.delay); }},
    {"trace", "FILE", "delivery opportunities in the mahimahi format, instead of a rate",
     [](Config& c, Text t) -> Result<void> {
       if (t.empty()) return fail("no file is named; accepted: the name of a trace file");
       c.trace_file = t;
       return {};
     },
     [](const Config& c) { return c.trace_file; }},
    {"slot", "TIME", "everything waits for the next slot, then leaves at once: 5ms",
     [](Config& c, Text t) -> Result<void> {
       c.slot = TRY(parse_duration(t));
       return {};
     },
     [](const Config& c) { return c.slot ? to_string(*c.slot) : std::string("none"); }},
    {"ack", "all|keep_last",
     "whether a waiting TCP acknowledgment gives way to the flow's next one",
     [](Config& c, Text t) { return kAckPolicies.set(c.ack, t); },
     [](const Config& c) { return kAckPolicies.get(c.ack); }},
};

constexpr Text kReverse = "rev.";

// The reverse direction before its own keys are read.
DirectionConfig mirrored(const DirectionConfig& forward, bool reverse_has_trace) {
  DirectionConfig reverse;
  reverse.delay = forward.delay;
  if (!reverse_has_trace) reverse.rate = forward.rate;
  return reverse;
}

tl::unexpected<Error> unknown_key(Text key) {
  std::vector<std::string> names;
  for (const LinkKey& k : kKeys) {
    names.emplace_back(k.name);
    names.push_back(std::string(kReverse).append(k.name));
  }
  const std::string near = nearest(key, names);
  if (!near.empty()) return fail("link: unknown key '{}'; did you mean '{}'?", key, near);
  std::string accepted;
  for (const LinkKey& k : kKeys) accepted.append(accepted.empty() ? "" : ", ").append(k.name);
  return fail("link: unknown key '{}'; accepted: {}, each also with rev. before it", key, accepted);
}

struct Setting {
  Text name;  // As written.
  Text value;
  const LinkKey* key;
  bool reverse;
};

// Splits "key=value,key=value" and finds the keys; their values are not yet looked at.
Result<std::vector<Setting>> read_settings(Text text) {
  std::vector<Setting> settings;
  std::set<Text> seen;
  while (!text.empty()) {
    const size_t end = std::min(text.find(','), text.size());
    const Text word = text.substr(0, end);
    if (end + 1 == text.size()) return fail("link: nothing follows the last comma");
    text.remove_prefix(std::min(end + 1, text.size()));
    const size_t equals = word.find('=');
    const Text name = word.substr(0, equals);
    const bool reverse = name.starts_with(kReverse);
    const Text base = reverse ? name.substr(kReverse.size()) : name;
    const auto key = std::find_if(std::begin(kKeys), std::end(kKeys),
                                  [&](const LinkKey& k) { return k.name == base; });
    if (key == std::end(kKeys)) return unknown_key(name);
    if (equals == Text::npos) {
      return fail("link: '{}' has no value; accepted: {}={}", word, name, key->value);
    }
    if (!seen.insert(name).second) return fail("link: '{}' is given twice", name);
    settings.push_back({name, word.substr(equals + 1), key, reverse});
  }
  return settings;
}

}  // namespace

std::span<const LinkKey> link_keys() {
  return kKeys;
}

Result<LinkConfig> parse_link_config(std::string_view text) {
  LinkConfig config;
  const std::vector<Setting> settings = TRY(read_settings(text));
  const auto apply = [&](bool reverse, DirectionConfig& to) -> Result<void> {
    for (const Setting& s : settings) {
      if (s.reverse != reverse) continue;
      if (auto done = s.key->set(to, s.value); !done) {
        return tl::unexpected(std::move(done.error()).within(s.name).within("link"));
      }
    }
    return {};
  };
  TRY(apply(false, config.forward));
  const bool reverse_has_trace = std::any_of(settings.begin(), settings.end(),
                                             [](const auto& s) { return s.name == "rev.trace"; });
  config.reverse = mirrored(config.forward, reverse_has_trace);
  TRY(apply(true, config.reverse));
  TRY(validate(config));
  return config;
}

std::string to_string(const LinkConfig& config) {
  std::string text;
  const auto print = [&](Text prefix, const DirectionConfig& c, const DirectionConfig& base) {
    for (const LinkKey& key : kKeys) {
      const std::string value = key.get(c);
      if (value == key.get(base)) continue;
      fmt::format_to(std::back_inserter(text), "{}{}{}={}", text.empty() ? "" : ",", prefix,
                     key.name, value);
    }
  };
  print("", config.forward, DirectionConfig{});
  print(kReverse, config.reverse, mirrored(config.forward, !config.reverse.trace_file.empty()));
  return text;
}

Result<void> load_traces(LinkConfig& config, const FileReader& read) {
  for (DirectionConfig* c : {&config.forward, &config.reverse}) {
    if (c->trace_file.empty() || c->trace != nullptr) continue;
    const std::string text = TRY(read(c->trace_file));
    auto trace = Trace::parse(text);
    if (!trace) return tl::unexpected(std::move(trace.error()).within(c->trace_file));
    c->trace = std::make_shared<const Trace>(std::move(*trace));
  }
  return validate(config);
}

QueueLimit queue_limit(const DirectionConfig& config, Rate rate) {
  QueueLimit limit;
  if (const auto* packets = std::get_if<uint64_t>(&config.buffer)) {
    limit.packets = *packets;
  } else if (const auto* bytes = std::get_if<Bytes>(&config.buffer)) {
    limit.bytes = *bytes;
  } else if (!rate.is_infinite()) {
    limit.bytes = std::max(rate.bytes_in(std::get<Duration>(config.buffer)), kFullFrame);
  }
  return limit;
}

}  // namespace wh::net
