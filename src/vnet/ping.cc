#include "vnet/ping.h"

#include <algorithm>

#include "net/checksum.h"
#include "net/wire/icmp.h"
#include "net/wire/icmp6.h"
#include "vnet/packet_tools.h"
#include "vnet/stack.h"
#include "vnet/vnet.h"

namespace wh::vnet {

using net::Icmp6Header;
using net::Icmp6Type;
using net::IcmpHeader;
using net::IcmpType;
using net::Ip4Header;
using net::Ip6Header;
using net::IpAddress;
using net::PacketPtr;

Result<uint16_t> PingTable::open(Ping& ping) {
  for (uint32_t i = 0; i < 0x10000; ++i) {
    if (by_id_.emplace(++next_, &ping).second) return next_;
  }
  return fail_with(std::errc::resource_unavailable_try_again, "ping: all identifiers are in use");
}

bool PingTable::reply(const Reply& reply) const {
  const auto it = by_id_.find(reply.id);
  if (it == by_id_.end()) return false;
  it->second->answered(reply);
  return true;
}

bool PingTable::error(const net::IpError& error) const {
  if (error.transport.size() < IcmpHeader::kSize) return false;
  const auto it = by_id_.find(net::load16(error.transport.data() + 4));
  if (it == by_id_.end()) return false;
  it->second->failed(error);
  return true;
}

Ping::Ping(Vnet& vnet, Config config, Actions actions)
    : stack_(vnet.stack()),
      config_(config),
      actions_(std::move(actions)),
      timer_(vnet.loop(), [this] { tick(); }) {}

Ping::~Ping() {
  stop();
}

void Ping::stop() {
  timer_.disarm();
  if (id_) stack_.pings->close(*id_);
  id_.reset();
}

Result<void> Ping::start() {
  if (config_.size > kMaxSize) {
    return fail("ping of {} bytes; accepted: 0..{}", config_.size, kMaxSize);
  }
  if (config_.source.is_unspecified()) {
    const auto route = stack_.route(config_.destination, config_.table);
    if (!route) return fail_with(std::errc::network_unreachable, to_string(config_.destination));
    config_.source = route->source;
  }
  id_ = TRY(stack_.pings->open(*this));
  sent_.assign(kWindow, {});
  tick();
  return {};
}

void Ping::tick() {
  if (statistics_.sent == config_.count) {
    finish();
    return;
  }
  const bool is_last = statistics_.sent + 1 == config_.count;
  timer_.arm(stack_.loop.now() + (is_last ? config_.timeout : config_.interval));
  if (!send()) ++statistics_.errors;
}

Result<void> Ping::send() {
  const auto sequence = static_cast<uint16_t>(++statistics_.sent);
  if (!stack_.has_vrf(config_.table)) return fail("ping: its VRF was removed");
  const bool is_on_link = config_.destination.is_link_local() && config_.interface != 0;
  if (is_on_link && !stack_.interfaces[config_.interface].owns(config_.source)) {
    return fail("ping: its interface has the source no more");
  }
  PacketPtr p = stack_.pool.allocate();
  if (p == nullptr) return fail_with(std::errc::no_buffer_space, "ping");
  const bool v4 = config_.destination.is_v4();
  const uint32_t length = IcmpHeader::kSize + config_.size;
  std::vector<uint8_t> message(length);
  for (uint32_t i = IcmpHeader::kSize; i < length; ++i) message[i] = static_cast<uint8_t>(i);
  net::InternetSum sum;
  if (v4) {
    IcmpHeader::echo(IcmpType::Echo, *id_, sequence).emit(message);
  } else {
    Icmp6Header::echo(Icmp6Type::Echo, *id_, sequence).emit(message);
    sum = net::pseudo_header(config_.source, config_.destination, net::kProtocolIcmp6, length);
  }
  sum.add(message);
  net::store16(message.data() + 2, sum.checksum());
  if (v4) {
    Ip4Header{.source = config_.source.v4(),
              .destination = config_.destination.v4(),
              .protocol = net::kProtocolIcmp,
              .ttl = config_.ttl != 0 ? config_.ttl : static_cast<uint8_t>(stack_.settings.ip_ttl),
              .total_length = static_cast<uint16_t>(length + Ip4Header::kMinSize),
              .id = stack_.new_ip_id(),
              .dont_fragment = config_.dont_fragment}
        .emit({p->append(Ip4Header::kMinSize), Ip4Header::kMinSize});
  } else {
    Ip6Header{.source = config_.source.v6(),
              .destination = config_.destination.v6(),
              .next_header = net::kProtocolIcmp6,
              .hop_limit =
                  config_.ttl != 0 ? config_.ttl : static_cast<uint8_t>(stack_.settings.ip6_hlim),
              .payload_length = static_cast<uint16_t>(length)}
        .emit({p->append(Ip6Header::kSize), Ip6Header::kSize});
  }
  p->l4_offset = static_cast<uint16_t>(p->head_size());
  append_bytes(*p, message);
  p->checksum = net::Checksum::Verified;
  p->table = config_.table;
  if (is_on_link) p->rx_interface = config_.interface;
  sent_[sequence % kWindow] = {sequence, false, stack_.loop.now()};
  stack_.graph.enqueue(v4 ? stack_.node.ip4_lookup : stack_.node.ip6_lookup, std::move(p));
  stack_.graph.run();
  return {};
}

void Ping::answered(const PingTable::Reply& reply) {
  Sent& sent = sent_[reply.sequence % kWindow];
  if (sent.sequence != reply.sequence || sent.when == Instant{}) return;
  const Answer answer{.sequence = reply.sequence,
                      .from = reply.from,
                      .bytes = reply.bytes,
                      .ttl = reply.ttl,
                      .rtt = reply.arrival - sent.when,
                      .duplicate = sent.answered};
  if (sent.answered) {
    ++statistics_.duplicates;
  } else {
    sent.answered = true;
    ++statistics_.received;
    statistics_.min =
        statistics_.received == 1 ? answer.rtt : std::min(statistics_.min, answer.rtt);
    statistics_.max = std::max(statistics_.max, answer.rtt);
    statistics_.total += answer.rtt;
  }
  if (actions_.on_answer) actions_.on_answer(answer);
  // The last one: done now rather than at the timeout, though not within the graph's run.
  if (statistics_.received == config_.count) timer_.arm(stack_.loop.now());
}

void Ping::failed(const net::IpError& error) {
  ++statistics_.errors;
  if (actions_.on_error) actions_.on_error(error);
}

void Ping::finish() {
  stop();
  done_ = true;
  if (actions_.on_done) actions_.on_done(statistics_);
}

}  // namespace wh::vnet
