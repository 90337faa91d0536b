// A link: two interfaces, and a direction each way between them.
//
//   vnet -- a() == forward() ==> b() -- vnet
//               <== reverse() ==
//
// What a() transmits, b() receives after what the forward direction does to it, and the other way
// about. The two directions are configured separately (link_config.h) and share nothing.
//
//   Link link(config, {.name = "wan0", .mac = MacAddress::local(1)},
//             {.name = "wan1", .mac = MacAddress::local(2)}, loop, pool, random.fork("wan"));
//   left.attach(link.a());  right.attach(link.b());
//
// Ownership: owns interfaces, directions and the packets under way; loop and pool must outlive it.
#pragma once

#include "net/interface.h"
#include "net/link/link_direction.h"

namespace wh::net {

// An interface whose device is one end of a link.
class LinkPort final : public Interface, public FrameSink {
 public:
  LinkPort(Config config, Loop& loop) : Interface(std::move(config), loop) {}
  void connect(FrameSink& medium) { medium_ = &medium; }
  void accept(Frame&& frame) override { receive(std::move(frame)); }  // From the link.

 private:
  void send(Frame&& frame) override { medium_->accept(std::move(frame)); }
  FrameSink* medium_ = nullptr;
};

class Link {
 public:
  // REQUIRES: the configuration is valid and its traces are loaded.
  Link(const LinkConfig& config, Interface::Config a, Interface::Config b, Loop& loop,
       PacketPool& pool, const Random& random)
      : a_(std::move(a), loop),
        b_(std::move(b), loop),
        forward_(config.forward, loop, pool, random.fork("forward"), b_),
        reverse_(config.reverse, loop, pool, random.fork("reverse"), a_) {
    a_.connect(forward_);
    b_.connect(reverse_);
  }

  Interface& a() { return a_; }
  Interface& b() { return b_; }
  LinkDirection& forward() { return forward_; }
  LinkDirection& reverse() { return reverse_; }

  // Both directions.
  void set_up(bool up) {
    forward_.set_up(up);
    reverse_.set_up(up);
  }
  Result<void> check_conservation() const {
    TRY(forward_.check_conservation());
    return reverse_.check_conservation();
  }

 private:
  LinkPort a_, b_;
  LinkDirection forward_, reverse_;
};

}  // namespace wh::net
