// A TCP socket as FreeBSD's socket layer has it, over a connection or a listener of our stack:
// blocking and not, errors delivered once, options kept until there is a connection to have them.
#pragma once

#include <netinet/in.h>

#include <optional>

#include "packetdrill/descriptor.h"
#include "tcp/stack.h"

namespace wh::packetdrill {

// What a socket was set to. A connection takes it over when it is made; an accepted one has its
// listener's.
struct TcpSettings {
  int send_buffer = 0, receive_buffer = 0;  // 0: the stack's.
  int reuse_address = 0, reuse_port = 0;
  int nodelay = 0, cork = 0;
  int keepalive = -1;                                                   // -1: the stack's.
  int keep_idle = 0, keep_interval = 0, keep_count = 0, keep_init = 0;  // Seconds; 0: the stack's.
  int user_timeout_ms = 0;
  int max_segment = 0;
  int send_low_water = 2048, receive_low_water = 1;
  int tos = 0, ttl = 0;  // 0: the stack's.
  int no_options = 0, delayed_ack = -1;
  int v6_only = 0;
  Duration send_timeout{0}, receive_timeout{0};
  bool linger = false;
  int linger_s = 0;
  uint64_t pace_rate = 0;  // Bytes a second; 0: not paced.
  // FreeBSD's options for pacing, in the order they were set (tcp/socket_option.h).
  std::vector<std::pair<int, std::vector<uint8_t>>> pacing;
  std::string congestion;
};

class TcpSocket final : public Descriptor, private tcp::ConnectionObserver {
 public:
  TcpSocket(World& world, int domain);
  ~TcpSocket() override;

  uint32_t ready() const override;
  Outcome bind(const tcp::Endpoint& local) override;
  Outcome listen(World::Lock& lock, int backlog) override;
  tl::expected<std::shared_ptr<Descriptor>, int> accept(World::Lock& lock,
                                                        tcp::Endpoint& from) override;
  Outcome connect(World::Lock& lock, const tcp::Endpoint& to) override;
  Outcome disconnect() override;
  Outcome receive(World::Lock& lock, std::span<const iovec> parts, int flags,
                  tcp::Endpoint& from) override;
  Outcome send(World::Lock& lock, std::span<const iovec> parts, int flags,
               const tcp::Endpoint* to) override;
  Outcome shutdown(int how) override;
  Outcome get_option(int level, int name, std::span<uint8_t> value) override;
  Outcome set_option(int level, int name, std::span<const uint8_t> value) override;
  Outcome control(unsigned long request, void* argument) override;
  Outcome close(World::Lock& lock) override;
  int domain() const override { return domain_; }

  const tcp::Connection* connection() const { return connection_; }
  const tcp::Listener* listener() const { return listener_; }

 private:
  friend class TcpOptions;
  void on_ready(tcp::Connection& connection, uint8_t readiness) override;
  void apply(tcp::Connection& connection) const;
  bool is_over() const { return connection_ != nullptr && connection_->end() != tcp::End::None; }
  bool is_connected() const;
  bool is_mapped(const tcp::Endpoint& e) const;
  size_t readable() const {
    return is_deaf_ || connection_ == nullptr ? 0 : connection_->readable();
  }
  bool has_come(size_t least) const;
  bool is_at_end() const;
  int take_error();

  int domain_;
  TcpSettings settings_;
  std::optional<tcp::Endpoint> bound_;
  tcp::Connection* connection_ = nullptr;
  tcp::Listener* listener_ = nullptr;
  int error_ = 0;         // SO_ERROR: reported once.
  bool is_deaf_ = false;  // shutdown(SHUT_RD).
  bool is_mute_ = false;  // shutdown(SHUT_WR).
};

int errno_of(tcp::End end);

}  // namespace wh::packetdrill
