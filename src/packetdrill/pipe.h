// A pipe: a bounded run of bytes between two descriptors, for scripts that splice.
#pragma once

#include <deque>

#include "packetdrill/descriptor.h"

namespace wh::packetdrill {

class PipeEnd final : public Descriptor {
 public:
  static constexpr size_t kCapacity = 65536;
  struct Shared {
    std::deque<uint8_t> bytes;
    bool has_reader = true, has_writer = true;
  };
  PipeEnd(World& world, std::shared_ptr<Shared> shared, bool is_reader)
      : Descriptor(world), shared_(std::move(shared)), is_reader_(is_reader) {}
  ~PipeEnd() override { (is_reader_ ? shared_->has_reader : shared_->has_writer) = false; }

  uint32_t ready() const override;
  Outcome receive(World::Lock& lock, std::span<const iovec> parts, int flags,
                  tcp::Endpoint& from) override;
  Outcome send(World::Lock& lock, std::span<const iovec> parts, int flags,
               const tcp::Endpoint* to) override;

 private:
  std::shared_ptr<Shared> shared_;
  bool is_reader_;
};

}  // namespace wh::packetdrill
