#include "packetdrill/epoll_set.h"

#include <algorithm>

namespace wh::packetdrill {

uint32_t EpollSet::due(const Member& member) {
  const auto target = member.target.lock();
  if (target == nullptr || member.is_spent) return 0;
  const uint32_t bits = target->ready() & (member.event.events | EPOLLERR | EPOLLHUP);
  const bool is_edge = (member.event.events & EPOLLET) != 0;
  return is_edge && target->news() == member.seen ? 0 : bits;
}

uint32_t EpollSet::ready() const {
  for (const auto& [fd, member] : members_) {
    if (due(member) != 0) return POLLIN;
  }
  return 0;
}

bool EpollSet::watches(const Descriptor& other) const {
  if (this == &other) return true;
  return std::any_of(members_.begin(), members_.end(), [&](const auto& entry) {
    const auto target = entry.second.target.lock();
    const auto* set = dynamic_cast<const EpollSet*>(target.get());
    return set != nullptr && set->watches(other);
  });
}

Outcome EpollSet::change(int operation, int fd, const std::shared_ptr<Descriptor>& target,
                         const epoll_event* event) {
  const auto at = members_.find(fd);
  const bool is_member = at != members_.end() && at->second.target.lock() == target;
  if (operation == EPOLL_CTL_DEL) {
    if (!is_member) return error(ENOENT);
    members_.erase(at);
    return 0;
  }
  if (event == nullptr) return error(EFAULT);
  if (operation == EPOLL_CTL_ADD) {
    if (is_member) return error(EEXIST);
    const auto* set = dynamic_cast<const EpollSet*>(target.get());
    if (set != nullptr && set->watches(*this)) return error(ELOOP);
  } else if (operation == EPOLL_CTL_MOD) {
    if (!is_member) return error(ENOENT);
  } else {
    return error(EINVAL);
  }
  members_[fd] = Member{target, *event};
  return 0;
}

size_t EpollSet::collect(std::span<epoll_event> events) {
  size_t count = 0;
  for (auto& [fd, member] : members_) {
    if (count == events.size()) break;
    const uint32_t bits = due(member);
    if (bits == 0) continue;
    member.seen = member.target.lock()->news();
    member.is_spent = (member.event.events & EPOLLONESHOT) != 0;
    events[count].events = bits;
    events[count].data = member.event.data;
    ++count;
  }
  return count;
}

Outcome EpollSet::wait(World::Lock& lock, std::span<epoll_event> events, int timeout_ms) {
  if (events.empty()) return error(EINVAL);
  if (timeout_ms != 0) {
    const Instant deadline =
        timeout_ms < 0 ? kNever : world_.loop().now() + std::chrono::milliseconds(timeout_ms);
    world_.block(
        lock, [this] { return ready() != 0; }, deadline);
  }
  return static_cast<int64_t>(collect(events));
}

}  // namespace wh::packetdrill
