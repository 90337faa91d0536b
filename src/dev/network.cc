#include "dev/network.h"

#include <algorithm>
#include <cerrno>
#include <vector>

namespace wh::dev {
namespace {

class NoCable final : public Network::Port {
 public:
  void receive(Network::Frame) override {}
};

}  // namespace

int Interfaces::attach(::ifnet& ifp, const uint8_t* mac) {
  Network::Options options{ifp.if_xname, {}};
  std::copy_n(mac, options.mac.size(), options.mac.begin());
  Result<std::unique_ptr<Network::Port>> port = std::make_unique<NoCable>();
  if (network_ != nullptr) {
    port = network_->plug(options, [this, &ifp](Network::Frame frame) { transmit(ifp, frame); });
  }
  if (!port) {
    reports_.print(fmt::format("{}: {}\n", options.name, port.error().text));
    const int code = static_cast<int>(port.error().code);
    return code != 0 ? code : EIO;
  }
  const MachineLock guard(machine_);
  ports_[&ifp] = {std::move(*port), reinterpret_cast<const void*>(ifp.if_transmit)};
  return 0;
}

void Interfaces::detach(::ifnet& ifp) {
  std::shared_ptr<Network::Port> port;  // Goes without the lock: it may wait for if_transmit.
  const MachineLock guard(machine_);
  const auto it = ports_.find(&ifp);
  if (it == ports_.end()) return;
  port = std::move(it->second.port);
  ports_.erase(it);
}

void Interfaces::input(::ifnet& ifp, Network::Frame frame) {
  std::shared_ptr<Network::Port> port;
  {
    const MachineLock guard(machine_);
    const auto it = ports_.find(&ifp);
    if (it != ports_.end()) port = it->second.port;
  }
  if (port != nullptr) port->receive(frame);
}

// The driver's code, and so as carefully as Device::call.
void Interfaces::transmit(::ifnet& ifp, Network::Frame frame) {
  ::thread& td = machine_.current();
  const size_t held = td.held_count;
  try {
    ifp.if_transmit(&ifp, frame.data(), frame.size());
  } catch (const DriverAbort&) {  // Reported where it was thrown.
  } catch (...) {
    reports_.blame(Misdeed::Threw, fmt::format("if_transmit of {}", ifp.if_xname));
  }
  if (td.held_count <= held) return;
  reports_.blame(Misdeed::LockHeldOnReturn, fmt::format("if_transmit of {}", ifp.if_xname));
  locks_.release_beyond(td, held);
}

size_t Interfaces::sweep(const void* begin, const void* end) {
  std::vector<::ifnet*> left;
  {
    const MachineLock guard(machine_);
    for (const auto& [ifp, plugged] : ports_) {
      if (plugged.code >= begin && plugged.code < end) left.push_back(ifp);
    }
  }
  for (::ifnet* ifp : left) detach(*ifp);
  return left.size();
}

}  // namespace wh::dev
