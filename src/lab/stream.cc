#include "lab/stream.h"

#include <algorithm>
#include <cstring>

#include "tcp/stack.h"

namespace wh::lab {

Pattern::Pattern(Random random) : chunk_(net::ChunkRef::make(kPeriod)) {
  for (uint32_t i = 0; i < kPeriod; ++i) chunk_->bytes()[i] = static_cast<uint8_t>(random.next());
}

net::Slice Pattern::at(uint64_t position, uint64_t most) const {
  CHECK(most > 0);
  if (stream_) {
    const auto size = static_cast<uint32_t>(std::min<uint64_t>(most, kPeriod));
    net::Slice slice{net::ChunkRef::make(size), 0, size};
    stream_->fill(position, {slice.chunk->bytes(), size});
    return slice;
  }
  const uint32_t offset = offset_of(position);
  return {chunk_, offset, static_cast<uint32_t>(std::min<uint64_t>(most, kPeriod - offset))};
}

bool Pattern::matches(uint64_t position, std::span<const uint8_t> bytes) const {
  if (stream_) return !stream_->first_difference(position, bytes);
  while (!bytes.empty()) {
    const uint32_t offset = offset_of(position);
    const size_t size = std::min<size_t>(bytes.size(), kPeriod - offset);
    if (std::memcmp(chunk_->bytes() + offset, bytes.data(), size) != 0) return false;
    bytes = bytes.subspan(size);
    position += size;
  }
  return true;
}

StreamEnd::~StreamEnd() {
  if (connection_ == nullptr) return;
  connection_->set_observer(nullptr);
  connection_->abort();
}

void StreamEnd::attach(tcp::Connection& connection) {
  connection_ = &connection;
  was_attached_ = true;
  connection.set_observer(this);
}

tcp::Info StreamEnd::info() const {
  return connection_ != nullptr ? connection_->info() : last_info_;
}

bool StreamEnd::is_dgp() const {
  return connection_ != nullptr ? connection_->congestion().has_rate_policy : was_dgp_;
}

void StreamEnd::on_ready(tcp::Connection& connection, uint8_t readiness) {
  CHECK(&connection == connection_);
  if ((readiness & tcp::kReadable) != 0) drain();
  if (connection_ != nullptr && (readiness & (tcp::kConnected | tcp::kWritable)) != 0) fill();
  if (connection_ == nullptr) return;
  if ((readiness & tcp::kEnded) != 0 && connection.end() != tcp::End::Normal) {
    failure_ = fmt::format("the connection ended: {}", tcp::to_string(connection.end()));
    let_go()->close();
    return;
  }
  leave_when_done();
}

void StreamEnd::allow(uint64_t position) {
  if (position <= plan_.allowed) return;
  plan_.allowed = position;
  if (connection_ == nullptr) return;
  tcp::TcpStack::Batch batch(connection_->stack());
  fill();
}

void StreamEnd::fill() {
  if (plan_.sends == nullptr) {
    if (plan_.total) connection_->shutdown_send();
    return;
  }
  for (;;) {
    if (plan_.total && written_ == *plan_.total) {
      connection_->shutdown_send();
      return;
    }
    const uint64_t left = std::min(plan_.total.value_or(~uint64_t{0}), plan_.allowed) - written_;
    if (left == 0) return;  // allow() says how it goes on.
    const auto taken = connection_->send(plan_.sends->at(written_, left));
    if (!taken || *taken == 0) return;  // Full, or ended: kWritable or kEnded says how it goes on.
    written_ += *taken;
  }
}

void StreamEnd::drain() {
  while (connection_->readable() > 0) {
    const net::Slice bytes = connection_->recv_slice(~size_t{0});
    if (plan_.receives == nullptr || !plan_.receives->matches(received_, bytes.bytes())) {
      failure_ = fmt::format("wrong bytes arrived at position {} of the stream", received_);
      let_go()->abort();
      return;
    }
    received_ += bytes.size;
  }
  if (on_received) on_received();
}

void StreamEnd::leave_when_done() {
  const bool sent_all = plan_.sends == nullptr || (plan_.total && written_ == *plan_.total &&
                                                   connection_->unacknowledged() == 0);
  if (!connection_->at_end() || !sent_all) return;
  let_go()->close();
  if (on_done) on_done();
}

tcp::Connection* StreamEnd::let_go() {
  last_info_ = info();
  was_dgp_ = is_dgp();
  connection_->set_observer(nullptr);
  return std::exchange(connection_, nullptr);
}

}  // namespace wh::lab
