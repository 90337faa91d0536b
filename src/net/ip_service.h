// Where transport protocols and a network stack instance meet, so that neither includes the other.
//
// A vnet (src/vnet) is an IpService: it takes packets that begin with their IP header and delivers
// to the protocol registered for a number. tcp and udp are IpProtocols. lab joins them.
//
//   tcp --- output(frame of IP packets) --> IpService (vnet: ip4-lookup, ip4-rewrite, ...)
//   tcp <-- input(frame of segments) ------ IpService (vnet: ip4-local)
//
// An address means something in a *table* of routes (a VRF): two tables may have the same ones. A
// table is known here by a small number; 0 is the default and always there.
#pragma once

#include <cstdint>
#include <optional>

#include "core/loop.h"
#include "core/random.h"
#include "core/sysctl.h"
#include "net/address.h"
#include "net/frame.h"

namespace wh::net {

constexpr uint8_t kProtocolIcmp = 1;
constexpr uint8_t kProtocolTcp = 6;
constexpr uint8_t kProtocolUdp = 17;
constexpr uint8_t kProtocolIcmp6 = 58;
constexpr uint16_t kEveryTable = 0xffff;  // For who listens: no table has this number.

// What an ICMP or ICMPv6 error says of a packet that this host sent.
struct IpError {
  enum class Kind : uint8_t {
    PacketTooBig,  // `mtu` is the next hop's, 0 when the router did not say (RFC 1191 section 5).
    HostUnreachable,
    NetUnreachable,
    PortUnreachable,
    ProtocolUnreachable,
    AdminProhibited,
    TimeExceeded,            // In transit.
    ReassemblyTimeExceeded,  // At the far end: the path is there.
    ParameterProblem,
  };
  Kind kind;
  uint32_t mtu = 0;
  IpAddress source, destination;       // Of the packet that the error quotes.
  std::span<const uint8_t> transport;  // Its transport header as far as quoted, at least 8 bytes.
  uint16_t table = 0;                  // In which the error came.
};

class IpProtocol {
 public:
  virtual ~IpProtocol() = default;
  // Packets for this host: data() is at the IP header, l4_offset at the transport header (past
  // options and extension headers); IP lengths were checked and padding cut; ecn is set; fragments
  // are whole; `table` is that of the interface they came by. The transport checksum is the
  // protocol's to verify unless checksum is Verified.
  virtual void input(Frame&& frame) = 0;
  virtual void error(const IpError& error) = 0;
  // A table is about to be removed: what goes on in it ends. Errors: somebody listens in it alone.
  virtual Result<void> leave_table(uint16_t /*table*/) { return {}; }
};

// What the stack can say of the way to a destination.
struct Route {
  IpAddress source;     // The address this host would send from.
  uint32_t mtu = 1500;  // Of the outgoing interface.
  bool checksum_offload = false;
  uint32_t max_gso = 0;  // Largest payload the interface cuts itself; 0 when it does not.
};

class IpService {
 public:
  virtual ~IpService() = default;
  virtual void register_protocol(uint8_t number, IpProtocol* protocol) = 0;  // nullptr unregisters.
  // Nothing when there is no route.
  virtual std::optional<Route> route(const IpAddress& destination, uint16_t table = 0) const = 0;
  virtual bool is_local(const IpAddress& address, uint16_t table = 0) const = 0;
  // Packets that begin with a complete IP header (whose IPv4 checksum is set), l4_offset at the
  // transport header, `table` that to look them up in.
  virtual void output(Frame&& frame) = 0;
  virtual PacketPool& pool() = 0;
  virtual Loop& loop() = 0;
  virtual SysctlTree& sysctl() = 0;
  virtual Random& random() = 0;
};

}  // namespace wh::net
