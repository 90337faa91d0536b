#include "vnet/reassembly.h"

#include <algorithm>
#include <optional>

namespace wh::vnet {

using net::PacketPtr;

namespace {

constexpr uint32_t kLongestPacket = 0xffff;  // What a length field says.
constexpr uint8_t kNotCapable = 0, kEct1 = 1, kEct0 = 2, kCongestion = 3;

// RFC 3168 section 5.3: nothing when the fragments contradict each other.
std::optional<uint8_t> combined_ecn(uint8_t seen) {
  const bool marked = (seen & 1u << kCongestion) != 0;
  if (marked && (seen & 1u << kNotCapable) != 0) return std::nullopt;
  if (marked) return kCongestion;
  if ((seen & 1u << kNotCapable) != 0) return kNotCapable;
  return (seen & 1u << kEct1) != 0 ? kEct1 : kEct0;
}

}  // namespace

FragmentOutcome Reassembler::add(const Fragment& f, PacketPtr& packet, Reassembled& complete) {
  const Limits limits = actions_.limits();
  const uint32_t size = f.end - f.begin;
  if (limits.contexts == 0 || limits.fragments == 0 || int64_t{size} > limits.bytes) {
    return FragmentOutcome::NoRoom;
  }
  Context& context = context_of(f.key, limits);
  if (context.is_spoiled) return FragmentOutcome::Spoiled;

  auto& pieces = context.pieces;
  const auto at = std::lower_bound(pieces.begin(), pieces.end(), f.begin,
                                   [](const Piece& p, uint32_t begin) { return p.begin < begin; });
  if (at != pieces.end() && at->begin == f.begin && at->end == f.end &&
      f.is_last == (context.total == f.end)) {
    return FragmentOutcome::Duplicate;
  }
  if ((at != pieces.end() && at->begin < f.end) ||
      (at != pieces.begin() && std::prev(at)->end > f.begin)) {
    spoil(context);
    return FragmentOutcome::Overlap;
  }
  const uint32_t highest = pieces.empty() ? 0 : pieces.back().end;
  if ((f.is_last && (context.total != 0 || highest > f.end)) ||
      (context.total != 0 && f.end > context.total)) {
    spoil(context);
    return FragmentOutcome::Inconsistent;
  }
  // The whole has the headers of the first fragment, whose options may be more than the others'.
  const bool has_first = !pieces.empty() && pieces.front().begin == 0;
  const uint32_t before = f.begin == 0 ? f.before : has_first ? pieces.front().before : 0;
  if (before + std::max(highest, f.end) > kLongestPacket) {
    spoil(context);
    return FragmentOutcome::TooLong;
  }
  if (static_cast<int64_t>(pieces.size()) >= limits.fragments_per_context) {
    spoil(context);
    return FragmentOutcome::TooMany;
  }
  if (!make_room(context, size, limits)) {
    spoil(context);
    return FragmentOutcome::NoRoom;
  }
  if (f.is_last) context.total = f.end;
  context.ecn_seen = static_cast<uint8_t>(context.ecn_seen | 1u << f.ecn);
  context.received += size;
  bytes_ += size;
  ++fragments_;
  pieces.insert(at, {f.begin, f.end, f.payload_at, f.before, std::move(packet)});
  if (context.total == 0 || context.received != context.total) return FragmentOutcome::Waiting;

  const auto ecn = combined_ecn(context.ecn_seen);
  if (!ecn) {
    // The last packet is among those that spoil() gives back.
    spoil(context);
    return FragmentOutcome::Waiting;
  }
  complete.ecn = *ecn;
  assemble(context, complete);
  return FragmentOutcome::Complete;
}

Reassembler::Context& Reassembler::context_of(const FragmentKey& key, const Limits& limits) {
  const auto it = contexts_.find(key);
  if (it != contexts_.end()) return *it->second;
  while (static_cast<int64_t>(contexts_.size()) >= limits.contexts) {
    Context& oldest = *ages_.front();
    release(oldest, actions_.evicted);
    remove(oldest);
  }
  auto made = std::make_unique<Context>();
  Context& context = *made;
  context.key = key;
  context.deadline = loop_.now() + limits.lifetime;
  ages_.push_back(context);
  contexts_.emplace(key, std::move(made));
  arm();
  return context;
}

bool Reassembler::make_room(const Context& keep, uint32_t bytes, const Limits& limits) {
  auto is_over = [&] {
    return static_cast<int64_t>(fragments_) + 1 > limits.fragments ||
           static_cast<int64_t>(bytes_ + bytes) > limits.bytes;
  };
  while (is_over()) {
    Context* oldest = ages_.front();
    if (oldest == &keep) oldest = ages_.next(*oldest);
    if (oldest == nullptr) return false;
    release(*oldest, actions_.evicted);
    remove(*oldest);
  }
  return true;
}

void Reassembler::release(Context& context, const std::function<void(PacketPtr)>& to) {
  fragments_ -= context.pieces.size();
  bytes_ -= context.received;
  context.received = 0;
  for (Piece& piece : context.pieces) to(std::move(piece.packet));
  context.pieces.clear();
}

void Reassembler::spoil(Context& context) {
  context.is_spoiled = true;
  release(context, actions_.spoiled);
}

void Reassembler::drop_held(const std::function<bool(const net::Packet&)>& which,
                            const std::function<void(PacketPtr)>& gone) {
  for (Context *context = ages_.front(), *next = nullptr; context != nullptr; context = next) {
    next = ages_.next(*context);
    const auto& pieces = context->pieces;
    const auto is_one = [&](const Piece& piece) { return which(*piece.packet); };
    if (std::none_of(pieces.begin(), pieces.end(), is_one)) continue;
    release(*context, gone);
    remove(*context);
  }
  arm();
}

void Reassembler::remove(Context& context) {
  CHECK(context.pieces.empty());
  context.by_age.unlink();
  // By a copy: the key lies within what is erased.
  const FragmentKey key = context.key;
  contexts_.erase(key);
}

void Reassembler::assemble(Context& context, Reassembled& complete) {
  complete.payload = net::ChunkRef::make(context.total);
  complete.size = context.total;
  complete.verified = true;
  for (Piece& piece : context.pieces) {
    piece.packet->copy_out(piece.payload_at,
                           {complete.payload->bytes() + piece.begin, piece.end - piece.begin});
    complete.verified = complete.verified && piece.packet->checksum != net::Checksum::Unknown;
  }
  complete.first = std::move(context.pieces[0].packet);
  complete.payload_at = context.pieces[0].payload_at;
  context.pieces.erase(context.pieces.begin());
  --fragments_;
  release(context, [](PacketPtr) {});
  remove(context);
  arm();
}

void Reassembler::arm() {
  if (const Context* oldest = ages_.front()) {
    timer_.arm(oldest->deadline);
  } else {
    timer_.disarm();
  }
}

void Reassembler::expire() {
  while (Context* oldest = ages_.front()) {
    if (oldest->deadline > loop_.now()) break;
    bool first = !oldest->pieces.empty() && oldest->pieces[0].begin == 0;
    release(*oldest, [&](PacketPtr packet) {
      actions_.expired(std::move(packet), first);
      first = false;
    });
    remove(*oldest);
  }
  arm();
  actions_.settle();
}

}  // namespace wh::vnet
