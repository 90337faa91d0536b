#include "tcp/scarce_ports.h"

namespace wh::tcp {
namespace {

std::pair<Endpoint, Endpoint> key(const Endpoint& local, const Endpoint& remote) {
  return {{local.address, 0, local.table}, remote};
}

}  // namespace

ScarcePorts::Ports::Ports() {
  for (uint32_t port = 0; port <= UINT16_MAX; ++port) free_.set(port);
}

void ScarcePorts::Ports::set(uint16_t port, bool is_taken) {
  CHECK(this->is_taken(port) != is_taken);
  if (is_taken) {
    free_.clear(port);
    ++taken_;
  } else {
    free_.set(port);
    --taken_;
  }
}

std::optional<uint16_t> ScarcePorts::Ports::next(uint16_t start, uint16_t first,
                                                 uint16_t last) const {
  if (const auto found = next_up_to(last, start)) return found;
  return next_up_to(last, first);
}

std::optional<uint16_t> ScarcePorts::Ports::next_up_to(uint16_t last, uint16_t from) const {
  const auto distance = free_.distance_to_next(from);
  if (!distance || from + *distance > last) return std::nullopt;
  return static_cast<uint16_t>(from + *distance);
}

const ScarcePorts::Ports* ScarcePorts::find(const Endpoint& local, const Endpoint& remote) const {
  if (peers_.empty()) return nullptr;
  const auto at = peers_.find(key(local, remote));
  return at == peers_.end() ? nullptr : at->second.get();
}

const ScarcePorts::Ports& ScarcePorts::note(const Endpoint& local, const Endpoint& remote,
                                            std::unique_ptr<Ports> ports) {
  return *(peers_[key(local, remote)] = std::move(ports));
}

void ScarcePorts::change_noted(const Endpoint& local, const Endpoint& remote, bool is_taken) {
  const auto at = peers_.find(key(local, remote));
  if (at == peers_.end()) return;
  at->second->set(local.port, is_taken);
  if (at->second->taken() < kFew) peers_.erase(at);
}

}  // namespace wh::tcp
