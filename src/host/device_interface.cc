#include "host/device_interface.h"

#include <algorithm>
#include <array>

#include "host/offload.h"
#include "host/tunnel.h"

namespace wh::host {

DeviceInterface::DeviceInterface(Fd fd, Config config, size_t queue_limit, RealLoop& loop)
    : Interface(std::move(config), loop),
      loop_(loop),
      fd_(std::move(fd)),
      queue_limit_(queue_limit),
      link_mtu_told_(mtu()),
      watch_(
          loop, name(),
          [this] {
            announce();
            return read_frames();
          },
          [this] { return write_queued(); }) {}

DeviceInterface::~DeviceInterface() {
  set_rx_mode(RxMode::Interrupt);
  watch_.unwatch();
}

void DeviceInterface::drop(uint64_t& reason) {
  ++reason;
  count_tx_error();
}

void DeviceInterface::set_rx_mode(RxMode mode) {
  if (mode == rx_mode_) return;
  if (is_polling()) loop_.set_polling(false);
  loop_.alertness().forget(habit_);
  rx_mode_ = mode;
  if (is_polling()) loop_.set_polling(true);
}

void DeviceInterface::admit(net::PacketPtr packet, const VirtioHeader& header,
                            net::PacketPool& pool, net::Frame& frame) {
  switch (note_offload(header, *packet)) {
    case Noted::Done: return push(std::move(packet), frame);
    case Noted::Senseless: ++device_.rx_bad_header; return;
    case Noted::Cannot: ++device_.rx_cannot; return;
    case Noted::Tunnelled: return cut(*packet, header, pool, frame);
  }
}

void DeviceInterface::push(net::PacketPtr packet, net::Frame& frame) {
  if (packet->gso_size == 0 && packet->size() > link_frame()) {
    ++device_.rx_too_long;
    return;
  }
  if (frame.full()) {
    deliver(std::move(frame));
    frame.clear();
  }
  frame.push(std::move(packet));
}

void DeviceInterface::cut(net::Packet& whole, const VirtioHeader& header, net::PacketPool& pool,
                          net::Frame& frame) {
  auto segment = TunnelledSegment::find(header, whole);
  if (!segment) {
    ++device_.rx_cannot;
    return;
  }
  while (!segment->is_done()) {
    net::PacketPtr piece = pool.allocate();
    if (piece == nullptr) {
      ++device_.rx_no_packet;  // One of the kernel's, however many pieces are missing.
      return;
    }
    segment->next(*piece);
    push(std::move(piece), frame);
  }
}

void DeviceInterface::deliver(net::Frame&& frame) {
  ++device_.rx_wakes;
  if (rx_mode_ == RxMode::Adaptive) {
    uint32_t bytes = 0;
    const bool is_few = frame.size() <= kLoneFrames;
    if (is_few) {
      for (const net::Packet* p : frame.packets()) bytes += p->size();
    }
    loop_.alertness().arrived(habit_, is_few && bytes <= kLoneBytes, loop_.now());
  }
  receive(std::move(frame));
}

void DeviceInterface::note_link(uint32_t mtu, bool has_carrier) {
  if (mtu == link_mtu_told_ && has_carrier == has_carrier_) return;
  link_mtu_told_ = mtu;
  has_carrier_ = has_carrier;
  set_link_mtu(mtu);
  set_mtu(std::min(this->mtu(), mtu));  // Whatever a stack knows yet: more would be lost.
  if (on_link_change_) on_link_change_();
}

void DeviceInterface::close() {
  set_rx_mode(RxMode::Interrupt);
  watch_.unwatch();
  for (; !queue_.empty(); queue_.pop_front()) drop(device_.tx_refused);
  if (on_close_) on_close_();
}

void DeviceInterface::send(net::Frame&& frame) {
  if (!is_open()) {
    for (uint32_t i = 0; i < frame.size(); ++i) drop(device_.tx_refused);
    return;
  }
  const size_t done = queue_.empty() ? write_frames(frame.packets()) : 0;
  for (auto i = static_cast<uint32_t>(done); i < frame.size(); ++i) enqueue(frame.take(i));
}

void DeviceInterface::enqueue(net::PacketPtr packet) {
  if (queue_.size() >= queue_limit_) {
    drop(device_.tx_queue_full);
    return;
  }
  ++device_.tx_queued;
  queue_.push_back(std::move(packet));
  watch_.set_interest(Interest::ReadWrite);
}

Progress DeviceInterface::write_queued() {
  bool progress = false;
  while (!queue_.empty()) {
    std::array<net::Packet*, kBatch> batch;
    const size_t count = std::min<size_t>(queue_.size(), batch.size());
    for (size_t i = 0; i < count; ++i) batch[i] = queue_[i].get();
    const size_t done = write_frames(std::span(batch).first(count));
    queue_.erase(queue_.begin(), queue_.begin() + static_cast<std::ptrdiff_t>(done));
    progress = progress || done > 0;
    if (done < count) break;
  }
  if (queue_.empty() && is_open()) watch_.set_interest(Interest::Read);
  return progress ? Progress::Some : Progress::None;
}

}  // namespace wh::host
