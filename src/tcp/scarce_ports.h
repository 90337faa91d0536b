// The free ports towards a peer to which most are taken, as by connections in TIME-WAIT.
//
// A port is chosen by looking at one after the other from a random one on (RFC 6056 section 3.3.1),
// which ends soon while most are free. Where few are, or none, each choice and each refusal would
// look at tens of thousands. So who has looked at many has that peer's free ports noted here; they
// are kept true as its connections come and go, until few of these are left. What is chosen is the
// same.
//
// Bounded: 13 KiB for a peer that has kFew connections at least. Without such a peer it costs
// nothing.
#pragma once

#include <map>
#include <memory>
#include <optional>
#include <utility>

#include "pacing/slot_bitmap.h"
#include "tcp/types.h"

namespace wh::tcp {

class ScarcePorts {
 public:
  static constexpr uint32_t kLongSearch = 256;       // Ports looked at before they are noted.
  static constexpr uint32_t kFew = kLongSearch / 2;  // Connections, with which they are forgotten.

  class Ports {
   public:
    Ports();  // All are free.
    void set(uint16_t port, bool is_taken);
    bool is_taken(uint16_t port) const { return !free_.test(port); }
    uint32_t taken() const { return taken_; }
    // The first free one from `start` on, among those from `first` to `last`, going round; none
    // when all of these are taken. REQUIRES: first <= start <= last.
    std::optional<uint16_t> next(uint16_t start, uint16_t first, uint16_t last) const;

   private:
    std::optional<uint16_t> next_up_to(uint16_t last, uint16_t from) const;
    pacing::SlotBitmap free_;
    uint32_t taken_ = 0;
  };

  // Of the address of `local`, towards `remote`. Null when they are not noted.
  const Ports* find(const Endpoint& local, const Endpoint& remote) const;
  const Ports& note(const Endpoint& local, const Endpoint& remote, std::unique_ptr<Ports> ports);
  // A connection of this four-tuple came, or is gone.
  void change(const Endpoint& local, const Endpoint& remote, bool is_taken) {
    if (!peers_.empty()) change_noted(local, remote, is_taken);
  }
  size_t peers() const { return peers_.size(); }

 private:
  void change_noted(const Endpoint& local, const Endpoint& remote, bool is_taken);

  std::map<std::pair<Endpoint, Endpoint>, std::unique_ptr<Ports>> peers_;
};

}  // namespace wh::tcp
