#include "vnet/session_ages.h"

#include <algorithm>

namespace wh::vnet {

namespace {

constexpr Duration kSweep = 5s;
// A quarter of a millisecond's work; if there is more, packets pass before that.
constexpr int kMostErased = 256;
constexpr Duration kSweepOn = 1ms;

}  // namespace

SessionAges::SessionAges(Loop& loop, const IdleTimes& idle_times, size_t most,
                         std::function<void(Session&)> erase)
    : loop_(loop),
      idle_times_(idle_times),
      most_(most),
      erase_(std::move(erase)),
      timer_(loop, [this] { sweep(); }) {}

void SessionAges::set_most(size_t most) {
  most_ = most;
  sweep();
}

bool SessionAges::make_room() {
  return size_ < most_ || (erase_ended() && size_ < most_);
}

void SessionAges::add(Session& s, uint64_t key, uint8_t kind) {
  std::unique_ptr<Group>& group = groups_[key];
  if (group == nullptr) {
    group = std::make_unique<Group>();
    group->key = key;
  }
  s.group = group.get();
  group->sessions.push_back(s);
  ++group->size;
  ++size_;
  touch(s, kind);
  if (!timer_.is_armed()) timer_.arm(loop_.now() + kSweep);
}

void SessionAges::touch(Session& s, uint8_t kind) {
  s.by_idleness.unlink();
  s.used = loop_.now();
  s.kind = kind;
  by_kind_[kind].push_back(s);
}

void SessionAges::erase(Session& s) {
  s.by_idleness.unlink();
  s.by_group.unlink();
  --size_;
  Group& group = *s.group;
  --group.size;
  if (group.has_ended) --size_of_ended_;
  if (group.size == 0 && group.has_ended) {
    ended_.erase(std::find_if(ended_.begin(), ended_.end(),
                              [&](const auto& one) { return one.get() == &group; }));
  } else if (group.size == 0) {
    groups_.erase(group.key);
  }
  erase_(s);
}

bool SessionAges::erase_ended() {
  if (!ended_.empty()) {
    erase(*ended_.front()->sessions.front());
    return true;
  }
  for (Sessions& sessions : by_kind_) {
    Session* s = sessions.front();
    if (s == nullptr || !has_ended(*s)) continue;
    erase(*s);
    return true;
  }
  return false;
}

void SessionAges::erase_longest_idle() {
  Session* longest = nullptr;
  for (Sessions& sessions : by_kind_) {
    Session* s = sessions.front();
    if (s != nullptr && (longest == nullptr || s->used < longest->used)) longest = s;
  }
  erase(*longest);
}

void SessionAges::end_groups(const std::function<bool(uint64_t group)>& which) {
  for (auto it = groups_.begin(); it != groups_.end();) {
    if (!which(it->first)) {
      ++it;
      continue;
    }
    it->second->has_ended = true;
    size_of_ended_ += it->second->size;
    ended_.push_back(std::move(it->second));
    it = groups_.erase(it);
  }
  if (!ended_.empty()) timer_.arm(loop_.now() + kSweepOn);
}

void SessionAges::sweep() {
  int left = kMostErased;
  for (; left > 0; --left) {
    if (erase_ended()) continue;
    if (size_ <= most_) break;
    erase_longest_idle();
  }
  if (size_ != 0) timer_.arm(loop_.now() + (left == 0 ? kSweepOn : kSweep));
}

}  // namespace wh::vnet
