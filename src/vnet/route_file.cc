#include "vnet/route_file.h"

#include <charconv>
#include <unordered_map>

#include "vnet/stack.h"

namespace wh::vnet {

using net::Family;
using net::Prefix;

namespace {

constexpr std::string_view kCommand = "ip route add ";

std::string_view next_word(std::string_view& rest) {
  const size_t begin = rest.find_first_not_of(" \t\r");
  if (begin == std::string_view::npos) return rest = {};
  rest.remove_prefix(begin);
  const size_t end = std::min(rest.find_first_of(" \t\r"), rest.size());
  const std::string_view word = rest.substr(0, end);
  rest.remove_prefix(end);
  return word;
}

// "via A [INTERFACE] [unreached] [weight N] [via B ..]" or "[via] drop"; empty for drop.
Result<std::vector<NextHop>> read_hops(const InterfaceTable& interfaces, std::string_view text) {
  std::vector<NextHop> hops;
  std::string_view word = next_word(text);
  while (!word.empty()) {
    if (word != "via" && word != "drop") {
      return fail("'{}'; accepted: via ADDRESS [weight N] .., or drop", word);
    }
    if (word == "via") word = next_word(text);
    if (word == "drop") {
      if (!hops.empty() || !next_word(text).empty()) return fail("'drop' stands alone");
      return hops;
    }
    hops.push_back({TRY(net::parse_ip(word))});
    word = next_word(text);
    if (!word.empty() && word != "weight" && word != "via" && word != "unreached") {
      hops.back().interface = TRY(interfaces.find(word));
      word = next_word(text);
    }
    if (word == "unreached") {
      hops.back().may_be_unreached = true;
      word = next_word(text);
    }
    if (word != "weight") continue;
    const std::string_view number = next_word(text);
    const char* end = number.data() + number.size();
    const auto [stop, error] = std::from_chars(number.data(), end, hops.back().weight);
    if (error != std::errc() || stop != end || hops.back().weight == 0) {
      return fail("weight '{}'; accepted: 1..255", number);
    }
    word = next_word(text);
  }
  if (hops.empty()) return fail("no next hop; accepted: via ADDRESS [weight N] .., or drop");
  return hops;
}

}  // namespace

// The routes of a text, each with its way; ways are resolved once each, and referred to once by
// this until it goes.
class RouteLoad::Reader {
 public:
  Reader(Stack& stack, uint16_t vrf, std::string text)
      : stack_(stack), vrf_(vrf), text_(std::move(text)) {}
  ~Reader() {
    for (const auto& [text, way] : ways_) stack_.paths.release(way.adjacency);
  }

  Result<bool> read(size_t lines) {
    for (; lines > 0 && at_ < text_.size(); --lines) {
      ++line_;
      const size_t end = std::min(text_.find('\n', at_), text_.size());
      auto added = read_line(std::string_view(text_).substr(at_, end - at_));
      if (!added) {
        return tl::unexpected(std::move(added.error()).within(fmt::format("line {}", line_)));
      }
      at_ = end + 1;
    }
    return at_ >= text_.size();
  }
  Result<bool> apply(size_t routes) {
    for (const auto& [text, way] : ways_) TRY(check(way));
    for (; routes > 0 && applied_ < routes_.size(); --routes, ++applied_) {
      const auto& [prefix, adjacency] = routes_[applied_];
      Fib& fib = stack_.fib(prefix.address.family, vrf_);
      stack_.paths.retain(adjacency);
      const AdjacencyIndex old = fib.find(prefix, RouteSource::Static);
      fib.set(prefix, RouteSource::Static, adjacency);
      stack_.paths.follow(vrf_, prefix);
      stack_.paths.release(old);
    }
    return applied_ >= routes_.size();
  }
  size_t size() const { return routes_.size(); }

 private:
  struct Way {
    Family family = Family::V4;
    AdjacencyIndex adjacency = kNoRoute;
  };

  Result<void> read_line(std::string_view line) {
    line = line.substr(0, line.find('#'));
    if (line.starts_with(kCommand)) line.remove_prefix(kCommand.size());
    const std::string_view word = next_word(line);
    if (word.empty()) return {};
    const Prefix prefix = TRY(net::parse_prefix(word));
    const Way way = *TRY(way_of(line, prefix.address.family));
    if (way.family != prefix.address.family && way.adjacency != kDropAlways) {
      return fail("{}: a next hop of another family", word);
    }
    routes_.push_back({prefix.network(), way.adjacency});
    return {};
  }
  // Most lines end like the one before them.
  Result<const Way*> way_of(std::string_view text, Family family) {
    const auto known = ways_.find(text);
    if (known != ways_.end()) return &known->second;
    const std::vector<NextHop> hops = TRY(read_hops(stack_.interfaces, text));
    Way way{family, kDropAlways};
    if (!hops.empty()) way.adjacency = TRY(stack_.paths.acquire(vrf_, family, hops));
    return &(ways_[text] = way);
  }

  // That what a way leads to is still there.
  Result<void> check(const Way& way) const {
    const Adjacency& a = stack_.adjacencies[way.adjacency];
    if (AdjacencyTable::has_interface(a.kind)) TRY(stack_.interfaces.attached(a.interface));
    for (const NextHop& hop : stack_.paths.hops(way.adjacency)) {
      if (hop.interface != 0) TRY(stack_.interfaces.attached(hop.interface));
    }
    return {};
  }

  Stack& stack_;
  uint16_t vrf_;
  std::string text_;
  size_t at_ = 0, line_ = 0;
  std::unordered_map<std::string_view, Way> ways_;  // By what follows the prefix, in the text.
  std::vector<std::pair<Prefix, AdjacencyIndex>> routes_;
  size_t applied_ = 0;
};

RouteLoad::RouteLoad(std::unique_ptr<Reader> reader) : reader_(std::move(reader)) {}
RouteLoad::~RouteLoad() = default;

Result<std::unique_ptr<RouteLoad>> RouteLoad::make(Vnet& vnet, std::string text, uint32_t vrf) {
  Stack& stack = vnet.stack();
  const uint16_t slot = TRY(stack.find_vrf(vrf));
  return std::unique_ptr<RouteLoad>(
      new RouteLoad(std::make_unique<Reader>(stack, slot, std::move(text))));
}

Result<bool> RouteLoad::read(size_t lines) {
  return reader_->read(lines);
}
Result<bool> RouteLoad::apply(size_t routes) {
  return reader_->apply(routes);
}
size_t RouteLoad::size() const {
  return reader_->size();
}

Result<size_t> add_routes(Vnet& vnet, std::string text, uint32_t vrf) {
  const auto load = TRY(RouteLoad::make(vnet, std::move(text), vrf));
  TRY(load->read(~size_t{0}));
  TRY(load->apply(~size_t{0}));
  return load->size();
}

}  // namespace wh::vnet
