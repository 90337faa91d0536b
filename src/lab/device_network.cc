#include "lab/device_network.h"

#include <poll.h>

#include <thread>
#include <vector>

#include "host/rtnetlink.h"
#include "host/system.h"
#include "host/tap.h"

namespace wh::lab {
namespace {

constexpr size_t kMaxFrame = 65536;

// The vnet's side of a driver's interface.
class DriverInterface final : public net::Interface {
 public:
  DriverInterface(Config config, Loop& loop, dev::Network::Transmit transmit)
      : Interface(std::move(config), loop), transmit_(std::move(transmit)) {}

 private:
  void send(net::Frame&& frame) override {
    for (const net::Packet* packet : frame.packets()) {
      bytes_.resize(packet->size());
      packet->copy_out(0, bytes_);
      transmit_(std::as_bytes(std::span(bytes_)));
    }
  }
  dev::Network::Transmit transmit_;
  std::vector<uint8_t> bytes_;
};

class VnetPort final : public dev::Network::Port {
 public:
  VnetPort(vnet::Vnet& vnet, net::Interface::Config config, dev::Network::Transmit transmit)
      : vnet_(vnet), interface_(std::move(config), vnet.loop(), std::move(transmit)) {}
  ~VnetPort() override {
    if (index_ != 0) MUST(vnet_.detach(index_));  // It is there: attach() gave the number.
  }
  Result<void> attach() {
    index_ = TRY(vnet_.attach(interface_));
    return {};
  }
  void receive(dev::Network::Frame bytes) override {
    net::PacketPtr packet = vnet_.pool().allocate();
    if (packet == nullptr) return;  // The pool counts it.
    // The same bytes under the name that packets have for them.
    packet->assign({reinterpret_cast<const uint8_t*>(bytes.data()), bytes.size()});
    net::Frame frame;
    frame.push(std::move(packet));
    interface_.receive(std::move(frame));
  }

 private:
  vnet::Vnet& vnet_;
  DriverInterface interface_;
  uint16_t index_ = 0;
};

class LinuxPort final : public dev::Network::Port {
 public:
  LinuxPort(host::Fd tap, host::Pipe end, dev::Network::Transmit transmit)
      : tap_(std::move(tap)), end_(std::move(end)), transmit_(std::move(transmit)) {
    reader_ = std::thread([this] { read_frames(); });
  }
  ~LinuxPort() override {
    end_.write_end.close();
    reader_.join();
  }
  void receive(dev::Network::Frame frame) override {
    // Linux drops what it does not take: a full queue, an interface that is down.
    static_cast<void>(
        host::uninterrupted([&] { return ::write(tap_.raw(), frame.data(), frame.size()); }));
  }

 private:
  void read_frames() {
    std::vector<std::byte> buffer(kMaxFrame);
    ::pollfd wait[2] = {{tap_.raw(), POLLIN, 0}, {end_.read_end.raw(), POLLIN, 0}};
    while (host::uninterrupted([&] { return ::poll(wait, 2, -1); }) > 0 && wait[1].revents == 0) {
      const ssize_t n =
          host::uninterrupted([&] { return ::read(tap_.raw(), buffer.data(), buffer.size()); });
      if (n < 0 && errno == EAGAIN) continue;
      if (n <= 0) break;  // Somebody deleted the interface.
      transmit_(std::span(buffer).first(static_cast<size_t>(n)));
    }
  }
  host::Fd tap_;
  host::Pipe end_;  // Closed when it is to end.
  dev::Network::Transmit transmit_;
  std::thread reader_;
};

}  // namespace

Result<std::unique_ptr<dev::Network::Port>> VnetNetwork::plug(const Options& options,
                                                              Transmit transmit) {
  auto port = std::make_unique<VnetPort>(
      vnet_, net::Interface::Config{.name = options.name, .mac = net::MacAddress{options.mac}},
      std::move(transmit));
  TRY(port->attach());
  return std::unique_ptr<Port>(std::move(port));
}

Result<std::unique_ptr<dev::Network::Port>> LinuxNetwork::plug(const Options& options,
                                                               Transmit transmit) {
  host::Fd tap = TRY(host::open_tap(options.name, host::Offload::None));
  host::Rtnetlink netlink = TRY(host::Rtnetlink::open());
  TRY(netlink.set_mac(options.name, net::MacAddress{options.mac}));
  host::Pipe end = TRY(host::make_pipe());
  return std::make_unique<LinuxPort>(std::move(tap), std::move(end), std::move(transmit));
}

}  // namespace wh::lab
