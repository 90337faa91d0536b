#include "router/pcap_trace.h"

#include <algorithm>

#include "host/system.h"
#include "net/wire/describe.h"
#include "net/wire/ethernet.h"

namespace wh::router {

PcapTrace::~PcapTrace() {
  if (is_on()) (void)stop();  // Nobody is left to hear of a full disk.
}

Result<void> PcapTrace::start(Options options) {
  if (is_on()) return fail("a pcap trace is going on, to {}", options_->path);
  if (!options.rx && !options.tx && !options.drop) return fail("nothing to trace: rx, tx or drop");
  // A name without a folder is looked for here, where the line was not yet checked to lead to one.
  TRY(host::check_no_fifo(options.path));
  // The whole, too, must be possible to write, though it is made of its parts only at the end.
  if (!options.part.empty()) TRY(TRY(net::Capture::open(options.path))->close());
  capture_ = TRY(net::Capture::open(options.path + options.part));
  shift_ = wall_ ? wall_() - vnet_.loop().clock().time_since_epoch() : Duration{};
  packets_ = 0;
  options_ = std::move(options);
  const auto& table = vnet_.interfaces();
  for (uint16_t i = 1; i < table.size(); ++i) {
    if (table[i].device == nullptr || (!options_->rx && !options_->tx)) continue;
    if (options_->interface && *options_->interface != i) continue;
    table[i].device->add_tap(this);
    tapped_.push_back(table[i].device);
  }
  if (options_->drop) vnet_.on_drop([this](const net::Packet& packet) { see_drop(packet); });
  return {};
}

Result<uint64_t> PcapTrace::stop() {
  if (!is_on()) return fail("no pcap trace is going on");
  for (net::Interface* device : tapped_) device->remove_tap(this);
  tapped_.clear();
  vnet_.on_drop({});
  const auto closed = capture_->close();
  capture_.reset();
  if (!closed) return tl::unexpected(closed.error());
  return packets_;
}

void PcapTrace::forget(net::Interface& device) {
  device.remove_tap(this);
  std::erase(tapped_, &device);
  if (options_ && options_->interface == device.index()) options_->interface = kGone;
}

void PcapTrace::see(const net::Packet& packet, net::Direction direction, Instant when) {
  if (direction == net::Direction::In ? options_->rx : options_->tx) {
    write(packet, direction, when);
  }
}

void PcapTrace::see_drop(const net::Packet& packet) {
  if (options_->interface && *options_->interface != packet.interface) return;
  net::PacketPtr whole = vnet_.pool().clone(packet);
  if (whole == nullptr) return;
  if (net::begins_with_ip(packet)) {
    // Made here, and never came to have a link header: one from nobody to nobody says what it is.
    const bool is_v4 = packet.data()[0] >> 4 == 4;
    const net::EthernetHeader none{.type = is_v4 ? net::EtherType::Ip4 : net::EtherType::Ip6};
    if (whole->headroom() < none.size()) return;
    none.emit({whole->push(none.size()), none.size()});
  } else if (whole->l2_size <= whole->headroom()) {
    whole->push(whole->l2_size);  // It is before the packet's first byte still.
  }
  write(*whole, net::Direction::In, vnet_.loop().now());
}

void PcapTrace::write(const net::Packet& packet, net::Direction direction, Instant when) {
  if (packets_ >= options_->max) return;
  capture_->see(packet, direction, when + shift_);
  ++packets_;
}

}  // namespace wh::router
