// Segments to connections: reading and checking them, the table of four-tuples, listeners, and what
// is answered on behalf of nobody.
#include <algorithm>

#include "net/checksum.h"
#include "net/wire/ip4.h"
#include "net/wire/ip6.h"
#include "tcp/stack.h"

namespace wh::tcp {
void TcpStack::input(net::Frame&& frame) {
  Batch batch(*this);
  for (uint32_t i = 0; i < frame.size(); ++i) {
    if (i + 1 < frame.size()) __builtin_prefetch(frame[i + 1].data());
    ++counters_.segments_in;
    Segment s;
    if (read_segment(frame[i], s)) deliver(s);
  }
}

inline bool TcpStack::read_segment(net::Packet& packet, Segment& s) {
  const auto bad = [](uint64_t& counter) { return ++counter, false; };
  const uint32_t l4 = packet.l4_offset, size = packet.size();
  if (size < l4) return bad(counters_.bad_header);
  // The header may have been cut across chunks. No more than it is made whole: payload in the head
  // would have to be copied out of it again.
  const auto make_whole = [&](uint32_t header) {
    return l4 + header <= packet.head_size() || packet.pullup(l4 + header);
  };
  if (!make_whole(net::TcpHeader::kMinSize)) return bad(counters_.bad_header);
  make_whole(net::TcpHeader::size_at(packet.data() + l4));
  const auto parsed = net::TcpView::parse(packet.head().subspan(l4), size - l4);
  if (!parsed) return bad(counters_.bad_header);
  const bool was_here = packet.checksum == net::Checksum::Needed;  // Never left the process.
  if (!was_here && !net::verify_transport(packet, net::kProtocolTcp))
    return bad(counters_.bad_checksum);

  const uint8_t* ip = packet.data();
  if (ip[0] >> 4 == 4) {
    const net::Ip4 from{net::load32(ip + 12)}, to{net::load32(ip + 16)};
    const bool is_bad = from.is_multicast() || from.is_broadcast() || from.value == 0 ||
                        to.is_multicast() || to.is_broadcast();
    if (is_bad) return bad(counters_.bad_address);
    // The segment is fresh, its addresses IPv4's: their bytes are all there is to be put in.
    std::memcpy(s.source.address.bits.bytes.data(), ip + 12, 4);
    std::memcpy(s.destination.address.bits.bytes.data(), ip + 16, 4);
  } else {
    net::Ip6 from, to;
    std::memcpy(from.bytes.data(), ip + 8, 16);
    std::memcpy(to.bytes.data(), ip + 24, 16);
    const bool is_bad = from.is_multicast() || from.is_unspecified() || to.is_multicast();
    if (is_bad) return bad(counters_.bad_address);
    s.source.address = from;
    s.destination.address = to;
  }
  const net::TcpView& tcp = *parsed;
  s.source.port = tcp.source_port();
  s.destination.port = tcp.destination_port();
  s.source.table = s.destination.table = packet.table;
  s.seq = tcp.seq();
  s.ack = tcp.ack();
  s.flags = tcp.flags();
  s.window = tcp.window();
  s.ecn = packet.ecn;
  s.payload = tcp.payload_size();
  s.payload_at = size - s.payload;
  s.arrival = packet.arrival > Instant{} ? std::min(packet.arrival, now()) : now();
  if (const auto timestamps = tcp.sole_timestamps()) {
    s.options.timestamps.emplace(timestamps->value, timestamps->echo);
  } else if (tcp.header_size() > net::TcpHeader::kMinSize) {
    s.options = tcp.options();
    if (s.options.malformed) ++counters_.bad_options;
    if (s.options.mss == 0) s.options.mss.reset();  // Names none, as FreeBSD has it.
  }
  s.packet = &packet;
  return true;
}

inline void TcpStack::deliver(const Segment& s) {
  if (tunables_.drop_synfin != 0 && s.has(net::kTcpSyn | net::kTcpFin)) {
    ++counters_.bad_flags;
    return;
  }
  Connection* c = find(s.destination, s.source);
  if (c != nullptr) {
    if (c->state() == State::TimeWait && reopen(*c, s)) return;
    return c->input(s);
  }
  Listener* listener = find_listener(s.destination);
  if (listener == nullptr) {
    ++counters_.no_connection;
    if (tunables_.blackhole == 0) answer_with_reset(s);
    return;
  }
  if (s.has(net::kTcpRst)) return;
  if (s.source == s.destination) return void(++counters_.bad_address);  // "LAND": from itself.
  if (s.has(net::kTcpSyn) && s.has(net::kTcpAck)) {  // FreeBSD's: not even a RST for a reflector.
    ++counters_.bad_flags;
    return;
  }
  if (s.has(net::kTcpAck)) return answer_cookie(*listener, s);
  if (!s.has(net::kTcpSyn)) {
    ++counters_.bad_flags;
    return;
  }
  answer_syn(*listener, s);
}

// A new incarnation may take the place of one in TIME-WAIT (RFC 9293 section 3.10.7.4, fourth). The
// old one stays unless the new one can be made at once: a cookie may yet come to nothing.
bool TcpStack::reopen(Connection& old, const Segment& s) {
  if (s.source == s.destination || !old.makes_way_for(s)) return false;
  Listener* listener = find_listener(s.destination);
  const auto route = ip_.route(s.source.address, s.source.table);
  if (listener == nullptr || !route || !listener->has_room() || tunables_.syncookies_only != 0)
    return false;
  // RFC 9293 MAY-2: begins above all that the old one sent.
  const SeqNum past = old.snd_max_ + SeqLen(1);
  old.finish(End::Normal);
  open(*listener, s, *route, net::later(initial_sequence(s.destination, s.source), past));
  return true;
}

void TcpStack::open(Listener& listener, const Segment& s, const net::Route& route, SeqNum iss) {
  Connection* c = make(s.destination, s.source, route, listener.config().congestion).release();
  add(*c);
  listener.add_half_open(*c);
  if (listener.config().on_create) listener.config().on_create(*c);
  c->open_passively(s, iss);
}

void TcpStack::answer_syn(Listener& listener, const Segment& s) {
  const auto route = ip_.route(s.source.address, s.source.table);
  if (!route) return;
  const bool is_full = table_.size() >= static_cast<size_t>(tunables_.max_connections);
  if (listener.has_room() && !is_full && tunables_.syncookies_only == 0) {
    return open(listener, s, *route, initial_sequence(s.destination, s.source));
  }
  if (tunables_.syncookies == 0 && tunables_.syncookies_only == 0) {
    ++counters_.listen_overflows;
    return;
  }
  ++counters_.cookies_sent;
  const bool is_v4 = s.source.address.is_v4();  // RFC 9293 section 3.7.1: 536 and 1220.
  const int64_t unsaid = is_v4 ? tunables_.mssdflt : tunables_.v6mssdflt;
  HeaderTemplate::Fields fields;
  net::TcpOptions offered;
  offered.mss = s.options.mss.value_or(static_cast<uint16_t>(unsaid));
  offered.sack_permitted = tunables_.sack_enable != 0 && s.options.sack_permitted;
  if (tunables_.rfc1323 != 0) offered.window_scale = s.options.window_scale;
  fields.seq = cookies_.bake(s.destination, s.source, s.seq, offered, now());
  fields.ack = s.seq + SeqLen(1);
  fields.flags = net::kTcpSyn | net::kTcpAck;
  fields.window = 65535;
  net::TcpOptions options;
  const uint32_t headers = is_v4 ? 40 : 60;
  options.mss = static_cast<uint16_t>(std::min(route->mtu - headers, 65535u));
  options.sack_permitted = offered.sack_permitted;
  if (offered.window_scale) options.window_scale = receive_scale();
  if (tunables_.rfc1323 != 0 && s.options.timestamps) {
    const uint32_t offset = timestamp_offset(s.destination, s.source);
    options.timestamps = {offset + static_cast<uint32_t>(now().time_since_epoch() / 1ms),
                          s.options.timestamps->value};
  }
  send_stray(s.destination, s.source, fields, options);
}

// An ACK to a listener: the third step of a handshake that only a cookie remembers, or nothing of
// ours.
void TcpStack::answer_cookie(Listener& listener, const Segment& s) {
  const SeqNum iss = s.ack - SeqLen(1), irs = s.seq - SeqLen(1);
  const bool may_be =
      tunables_.syncookies != 0 && !s.has(net::kTcpSyn) && counters_.cookies_sent > 0;
  auto offered = may_be ? cookies_.check(s.destination, s.source, irs, iss, now()) : std::nullopt;
  const auto route = offered ? ip_.route(s.source.address, s.source.table) : std::nullopt;
  if (!route) {
    if (may_be) ++counters_.cookies_refused;
    ++counters_.no_connection;
    return answer_with_reset(s);
  }
  if (listener.waiting() >= listener.config().backlog ||
      table_.size() >= static_cast<size_t>(tunables_.max_connections)) {
    ++counters_.accept_overflows;  // Not refused: the peer will send again.
    return;
  }
  ++counters_.cookies_accepted;
  Connection* c = make(s.destination, s.source, *route, listener.config().congestion).release();
  add(*c);
  c->listener_ = &listener;
  if (listener.config().on_create) listener.config().on_create(*c);
  offered->timestamps = s.options.timestamps;  // Agreed on if the peer uses them.
  c->adopt_cookie(s, iss, irs, *offered);
  c->input(s);
}

// RFC 9293 section 3.10.7.1.
void TcpStack::answer_with_reset(const Segment& s) {
  if (s.has(net::kTcpRst)) return;
  HeaderTemplate::Fields fields;
  if (s.has(net::kTcpAck)) {
    fields.seq = s.ack;
    fields.flags = net::kTcpRst;
  } else {
    fields.ack = s.end();
    fields.flags = net::kTcpRst | net::kTcpAck;
  }
  ++counters_.resets_out;
  send_stray(s.destination, s.source, fields, {});
}

void TcpStack::send_stray(const Endpoint& local, const Endpoint& remote,
                          const HeaderTemplate::Fields& fields, const net::TcpOptions& options) {
  net::PacketPtr out = packet();
  if (out == nullptr) return;
  HeaderTemplate::Fields all = fields;
  all.options = options.size();
  uint8_t* at = HeaderTemplate(local, remote).write(*out, all);
  options.emit({at, all.options});
  net::complete_checksum(*out, 0);
  send(std::move(out));
}

// --- who it is for ---

Connection* TcpStack::find(const Endpoint& local, const Endpoint& remote) {
  Connection* c = last_found_;
  if (c != nullptr && c->remote_ == remote && c->local_ == local) return c;
  c = table_.find(local, remote);
  if (c != nullptr) last_found_ = c;
  return c;
}

// What is about to work on a connection has its memory fetched.
void TcpStack::turn_to(Connection& c) {
  if (last_found_ == &c) return;
  ConnectionTable::prefetch(c);
  if (c.is_listed_) last_found_ = &c;  // Nobody may find what has ended.
}

// One of this very table before one of every table.
Listener* TcpStack::find_listener(const Endpoint& local) const {
  for (const uint16_t table : {local.table, net::kEveryTable}) {
    auto at = listeners_.find(Endpoint{local.address, local.port, table});
    if (at != listeners_.end()) return at->second.get();
    net::IpAddress any;
    any.family = local.address.family;
    at = listeners_.find(Endpoint{any, local.port, table});
    if (at != listeners_.end()) return at->second.get();
    if (!local.address.is_v4()) continue;
    any.family = net::Family::V6;
    at = listeners_.find(Endpoint{any, local.port, table});
    if (at != listeners_.end() && at->second->config().takes_ipv4) return at->second.get();
  }
  return nullptr;
}

void TcpStack::add(Connection& c) {
  table_.insert(c);
  scarce_ports_.change(c.local_, c.remote_, true);
  c.is_listed_ = true;
  all_.push_back(c);
}

void TcpStack::remove(Connection& c) {
  table_.remove(c);
  scarce_ports_.change(c.local_, c.remote_, false);
  c.is_listed_ = false;
  c.in_all_.unlink();
  ended_.push_back(c);
  if (last_found_ == &c) last_found_ = nullptr;
}

}  // namespace wh::tcp
