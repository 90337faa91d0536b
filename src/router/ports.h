// Where a router's interfaces come from.
//
// The router asks for a port by kind and name and gets a net::Interface. On a real machine that is
// a packet socket or a TAP device (HostPorts). A configuration is checked on a router of
// PaperPorts, whose interfaces lead nowhere: same code, nothing touched.
#pragma once

#include <memory>
#include <optional>
#include <set>
#include <string>

#include "host/packet_interface.h"
#include "host/real_loop.h"
#include "net/interface.h"

namespace wh::router {

// A port as `create` asks for it.
struct PortSpec {
  // Netmap and HostInterface are two names for one thing: a Linux interface by its packet socket.
  enum class Kind : uint8_t { HostInterface, Netmap, Tap } kind = Kind::HostInterface;
  std::string link;  // The Linux interface; of a TAP, the name its device gets.
  std::optional<net::MacAddress> mac = {};
  uint32_t tap_number = 0;  // Of a TAP.

  std::string name() const;        // "netmap-epair0a", "host-eth0", "tap0"
  const char* input_node() const;  // VPP's name for what reads it: "netmap-input"
  bool operator==(const PortSpec&) const = default;
};

class Ports {
 public:
  virtual ~Ports() = default;
  // Errors: no such Linux interface, no right to it, the name is taken.
  virtual Result<std::unique_ptr<net::Interface>> open(const PortSpec& spec,
                                                       net::PacketPool& pool) = 0;
  // What open() would make, without making it. Errors: as open(), as far as they can be foreseen.
  virtual Result<net::Interface::Config> describe(const PortSpec& spec) = 0;
};

class HostPorts final : public Ports {
 public:
  using Receive = host::PacketInterface::Receive;
  explicit HostPorts(host::RealLoop& loop, Receive receive = Receive::All)
      : loop_(loop), receive_(receive) {}
  // Of packet sockets that are opened from now on.
  void set_receive(Receive receive) { receive_ = receive; }
  Result<std::unique_ptr<net::Interface>> open(const PortSpec& spec,
                                               net::PacketPool& pool) override;
  Result<net::Interface::Config> describe(const PortSpec& spec) override;

 private:
  Result<void> check_tap_is_free(const std::string& name) const;

  host::RealLoop& loop_;
  Receive receive_;
  std::set<std::string> taps_;  // That were made here.
};

class PaperPorts final : public Ports {
 public:
  explicit PaperPorts(Loop& loop) : loop_(loop) {}
  // Of the same machine as other ports: what those could not open is refused here, too.
  PaperPorts(Loop& loop, Ports& like) : loop_(loop), like_(&like) {}
  Result<std::unique_ptr<net::Interface>> open(const PortSpec& spec,
                                               net::PacketPool& pool) override;
  Result<net::Interface::Config> describe(const PortSpec& spec) override;

 private:
  Loop& loop_;
  Ports* like_ = nullptr;
};

}  // namespace wh::router
