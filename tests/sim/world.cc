#include "world.h"

#include <cmath>

namespace wh::sim {
namespace {

// Between low and high, every magnitude alike.
uint64_t log_uniform(Random& random, double low, double high) {
  return static_cast<uint64_t>(low * std::pow(high / low, random.uniform()));
}

std::string percent(Random& random, double most, double least = 0.01) {
  return fmt::format("{:.2f}%", least + random.uniform() * most);
}

// The faults of one direction as link keys, each after `prefix`.
std::string faults(Random& random, const std::string& prefix, double most_loss) {
  std::string text;
  auto add = [&](const std::string& key, const std::string& value) {
    text += fmt::format(",{}{}={}", prefix, key, value);
  };
  if (random.one_in(2)) add("loss", percent(random, most_loss));
  if (random.one_in(3)) {
    // Times of 1.25 to 10 packets in which up to half are lost. Not all: a connection may end when
    // thirteen copies in a row of one segment are.
    add("ge", fmt::format("{}:{}:{}", percent(random, 1), percent(random, 70, 10),
                          percent(random, 40, 10)));
  }
  if (random.one_in(2)) add("dup", percent(random, 5));
  if (random.one_in(2)) add("corrupt", percent(random, 2));
  if (random.one_in(2)) add("reorder", percent(random, 10));
  if (random.one_in(3)) add("jitter", fmt::format("{}us", random.between(1, 20'000)));
  if (random.one_in(4)) add("queue", random.one_in(2) ? "codel" : "fq_codel");
  if (random.one_in(4)) add("slot", fmt::format("{}ms", random.between(1, 20)));
  return text;
}

lab::FlowSpec random_flow(Random& random, double rate_bps) {
  lab::FlowSpec flow{.from = "sender", .to = "receiver"};
  if (random.one_in(2)) std::swap(flow.from, flow.to);
  const auto names = lab::congestion_controls();
  flow.cc = names[random.below(names.size())];
  flow.ip = random.one_in(2) ? 4 : 6;
  // At most what the path moves in ten seconds, so that a run stays short.
  flow.bytes = Bytes(static_cast<int64_t>(
      log_uniform(random, 1, std::min(2e6, std::max(2000.0, rate_bps / 8 * 10)))));
  flow.start = Duration(random.below(2'000'000'000));
  if (random.one_in(2)) {
    flow.rate = Rate::bits_per_second(
        std::max<uint64_t>(64'000, log_uniform(random, rate_bps / 8, rate_bps * 2)));
  }
  return flow;
}

// Both fast paths on and off, and each of the other ways that loss recovery can be asked to go.
std::vector<std::string> random_sysctls(Random& random) {
  const std::string tcp = "net.inet.tcp.";
  std::vector<std::string> sysctls = {
      fmt::format("{}rack.features.rfo={}", tcp, random.below(2)),
      fmt::format("{}rack.features.rsmrfo={}", tcp, random.below(2)),
  };
  if (random.one_in(4)) sysctls.push_back(tcp + "sack.enable=0");
  if (random.one_in(4)) sysctls.push_back(tcp + "rfc1323=0");
  if (random.one_in(4)) sysctls.push_back(tcp + "ecn.enable=1");
  if (random.one_in(4)) sysctls.push_back(tcp + "rack.misc.prr=0");
  if (random.one_in(2)) {
    sysctls.push_back(fmt::format("{}rack.misc.loss_rule={}", tcp, random.between(1, 2)));
  }
  return sysctls;
}

}  // namespace

lab::LabSpec random_lab(uint64_t seed) {
  Random random = Random(seed).fork("world");
  const auto rate = static_cast<double>(log_uniform(random, 256e3, 1e9));
  std::string link = fmt::format("rate={}bps,delay={}us,buffer={}p", static_cast<uint64_t>(rate),
                                 log_uniform(random, 1, 200'000), log_uniform(random, 4, 500));
  link += faults(random, "", 5);
  link += faults(random, "rev.", 5);
  // The modem of the article has one plain queue.
  if (random.one_in(4) && link.find("rev.queue") == std::string::npos) link += ",rev.ack=keep_last";
  std::vector<lab::FlowSpec> flows;
  for (uint64_t n = random.between(1, 6); n > 0; --n) flows.push_back(random_flow(random, rate));
  // The words above are this program's own; a text that does not parse is a bug here.
  lab::LabSpec spec = MUST(lab::pace_lab({MUST(net::parse_link_config(link))}, std::move(flows)));
  spec.seed = seed;
  spec.sysctls = random_sysctls(random);
  spec.duration = 1h;
  return spec;
}

}  // namespace wh::sim
