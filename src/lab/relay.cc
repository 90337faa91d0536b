#include "lab/relay.h"

#include "tcp/stack.h"

namespace wh::lab {

using host::Interest;
using Io = host::StreamSocket::Io;

namespace {

// Fewer bytes than this are copied, so that a buffer of many small writes is not one of as many
// whole chunks.
constexpr uint32_t kByReference = 16384;

}  // namespace

Relay::~Relay() {
  if (connection_ == nullptr) return;
  connection_->set_observer(nullptr);
  connection_->abort();
}

void Relay::join(tcp::Connection& connection, std::unique_ptr<host::StreamSocket> socket) {
  CHECK(connection_ == nullptr);
  connection_ = &connection;
  socket_ = std::move(socket);
  connection.set_observer(this);
  on_ready(connection, tcp::kReadable);
}

void Relay::on_ready(tcp::Connection& connection, uint8_t readiness) {
  const bool is_over = (readiness & tcp::kEnded) != 0;
  if (is_over && connection.end() != tcp::End::Normal) return fail();
  if ((readiness & (tcp::kWritable | tcp::kConnected)) != 0) to_network();
  if (connection_ != nullptr && (readiness & tcp::kReadable) != 0) to_program();
  if (connection_ != nullptr && is_over) settle();
}

// The program's bytes, read where they are to stay until they are acknowledged, unless they are
// few.
void Relay::to_network() {
  tcp::TcpStack::Batch batch(connection_->stack());
  while (!program_ended_) {
    if (for_network_.size == 0) {
      net::ChunkRef chunk = pool_.allocate();
      const auto got = socket_->read({chunk->bytes(), chunk->capacity()});
      if (got.io == Io::Failed) return fail();
      if (got.io == Io::Blocked) break;
      if (got.io == Io::End) {
        program_ended_ = true;
        connection_->shutdown_send();
        break;
      }
      for_network_ = {std::move(chunk), 0, static_cast<uint32_t>(got.bytes)};
    }
    const auto taken = for_network_.size < kByReference ? connection_->send(for_network_.bytes())
                                                        : connection_->send(for_network_);
    if (!taken) return fail();
    outcome_.to_network += *taken;
    const auto n = static_cast<uint32_t>(*taken);
    for_network_ = for_network_.sub(n, for_network_.size - n);
    if (for_network_.size > 0) break;  // Full: kWritable tells when to go on.
  }
  settle();
}

void Relay::to_program() {
  while (!network_ended_) {
    if (for_program_.size == 0) {
      for_program_ = connection_->recv_slice(SIZE_MAX);
      if (for_program_.size == 0) {
        if (!connection_->at_end()) break;
        network_ended_ = true;
        socket_->shut_down_writing();
        break;
      }
    }
    const auto put = socket_->write(for_program_.bytes());
    if (put.io == Io::Failed) return fail();
    if (put.io == Io::Blocked) break;
    outcome_.to_program += put.bytes;
    const auto n = static_cast<uint32_t>(put.bytes);
    for_program_ = for_program_.sub(n, for_program_.size - n);
  }
  settle();
}

// Listens to the program as far as what it says, or room for more, is of use. When both directions
// have ended the program is let go, and our connection when all has arrived.
void Relay::settle() {
  if (!program_ended_ || !network_ended_) {
    const bool reads = !program_ended_ && for_network_.size == 0;
    const bool writes = for_program_.size > 0;
    return socket_->want(reads && writes ? Interest::ReadWrite
                         : reads         ? Interest::Read
                         : writes        ? Interest::Write
                                         : Interest::None);
  }
  socket_.reset();
  if (connection_->end() == tcp::End::None) return;
  leave(tcp::End::Normal).close();
  finished_(*this);
}

void Relay::fail() {
  if (socket_ != nullptr) socket_->reset();
  socket_.reset();
  const tcp::End end = connection_->end();
  leave(end == tcp::End::None ? tcp::End::Aborted : end).abort();
  finished_(*this);
}

tcp::Connection& Relay::leave(tcp::End end) {
  outcome_ = outcome();
  outcome_.end = end;
  connection_->set_observer(nullptr);
  return *std::exchange(connection_, nullptr);
}

Relay::Outcome Relay::outcome() const {
  Outcome o = outcome_;
  if (connection_ == nullptr) return o;
  o.info = connection_->info();
  o.remote = connection_->remote();
  return o;
}

}  // namespace wh::lab
