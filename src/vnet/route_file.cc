#include "vnet/route_file.h"

#include <charconv>
#include <unordered_map>

#include "vnet/stack.h"

namespace wh::vnet {

using net::Family;
using net::Prefix;

namespace {

std::string_view next_word(std::string_view& rest) {
  const size_t begin = rest.find_first_not_of(" \t\r");
  if (begin == std::string_view::npos) return rest = {};
  rest.remove_prefix(begin);
  const size_t end = std::min(rest.find_first_of(" \t\r"), rest.size());
  const std::string_view word = rest.substr(0, end);
  rest.remove_prefix(end);
  return word;
}

// "via A [weight N] [via B ..]" or "drop"; empty for drop.
Result<std::vector<NextHop>> read_hops(std::string_view text) {
  std::vector<NextHop> hops;
  std::string_view word = next_word(text);
  if (word == "drop") {
    if (!next_word(text).empty()) return fail("words after 'drop'");
    return hops;
  }
  while (!word.empty()) {
    if (word != "via") return fail("'{}'; accepted: via ADDRESS [weight N] .., or drop", word);
    hops.push_back({TRY(net::parse_ip(next_word(text)))});
    word = next_word(text);
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

// The routes of a text, each with its way; ways are resolved once each, and referred to once by
// this until it goes.
class Reader {
 public:
  Reader(Stack& stack, uint16_t vrf) : stack_(stack), vrf_(vrf) {}
  ~Reader() {
    for (const auto& [text, way] : ways_) stack_.paths.release(way.adjacency);
  }

  Result<void> read(std::string_view text) {
    size_t line = 0;
    while (!text.empty()) {
      ++line;
      const size_t end = std::min(text.find('\n'), text.size());
      auto added = read_line(text.substr(0, end));
      if (!added) {
        return tl::unexpected(std::move(added.error()).within(fmt::format("line {}", line)));
      }
      text.remove_prefix(std::min(end + 1, text.size()));
    }
    return {};
  }
  size_t apply() {
    for (const auto& [prefix, adjacency] : routes_) {
      Fib& fib = stack_.fib(prefix.address.family, vrf_);
      stack_.paths.retain(adjacency);
      const AdjacencyIndex old = fib.find(prefix, RouteSource::Static);
      fib.set(prefix, RouteSource::Static, adjacency);
      stack_.paths.release(old);
    }
    return routes_.size();
  }

 private:
  struct Way {
    Family family = Family::V4;
    AdjacencyIndex adjacency = kNoRoute;
  };

  Result<void> read_line(std::string_view line) {
    line = line.substr(0, line.find('#'));
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
    const std::vector<NextHop> hops = TRY(read_hops(text));
    Way way{family, kDropAlways};
    if (!hops.empty()) way.adjacency = TRY(stack_.paths.acquire(vrf_, family, hops));
    return &(ways_[text] = way);
  }

  Stack& stack_;
  uint16_t vrf_;
  std::unordered_map<std::string_view, Way> ways_;  // By what follows the prefix, in the text.
  std::vector<std::pair<Prefix, AdjacencyIndex>> routes_;
};

}  // namespace

Result<size_t> add_routes(Vnet& vnet, std::string_view text, uint32_t vrf) {
  Stack& stack = vnet.stack();
  Reader reader(stack, TRY(stack.find_vrf(vrf)));
  TRY(reader.read(text));
  return reader.apply();
}

}  // namespace wh::vnet
