// An epoll set: level-triggered, edge-triggered and one-shot, over the descriptors' readiness.
#pragma once

#include <map>

#include "packetdrill/descriptor.h"

namespace wh::packetdrill {

class EpollSet final : public Descriptor {
 public:
  explicit EpollSet(World& world) : Descriptor(world) {}

  uint32_t ready() const override;
  // Errors: as epoll_ctl(2)'s; ELOOP for a set that watches this one.
  Outcome change(int operation, int fd, const std::shared_ptr<Descriptor>& target,
                 const epoll_event* event);
  Outcome wait(World::Lock& lock, std::span<epoll_event> events, int timeout_ms);

 private:
  struct Member {
    std::weak_ptr<Descriptor> target;
    epoll_event event;
    uint64_t seen = 0;  // Its news when it was reported last.
    bool is_spent = false;
  };
  // Whether `other` is this set or is watched by it, itself or through the sets in it.
  bool watches(const Descriptor& other) const;
  // What of it is to be reported now; 0 for nothing.
  static uint32_t due(const Member& member);
  size_t collect(std::span<epoll_event> events);

  std::map<int, Member> members_;
};

}  // namespace wh::packetdrill
