#include "kyua/worker.h"

#include <array>
#include <cstring>

#include "host/system.h"
#include "kyua/text.h"

namespace wh::kyua {
namespace {

// "5:hello3:you": texts that may hold anything.
std::string pack(const std::vector<std::string>& parts) {
  std::string text;
  for (const std::string& part : parts) text += fmt::format("{}:{}", part.size(), part);
  return text;
}

Result<std::vector<std::string>> unpack(std::string_view text) {
  std::vector<std::string> parts;
  while (!text.empty()) {
    const size_t colon = std::min(text.find(':'), text.size());
    const int64_t size = TRY(parse_int(text.substr(0, colon)));
    text.remove_prefix(std::min(colon + 1, text.size()));
    if (size < 0 || static_cast<size_t>(size) > text.size()) return fail("not an order: too short");
    parts.emplace_back(text.substr(0, static_cast<size_t>(size)));
    text.remove_prefix(static_cast<size_t>(size));
  }
  return parts;
}

using Size = uint64_t;  // In the machine's own byte order: both ends are on it.

}  // namespace

std::string encode(const Order& order) {
  std::vector<std::string> parts = {fmt::format("{}", order.program)};
  if (order.test_case) {
    parts.push_back(order.test_case->name);
    for (const auto& [name, value] : order.test_case->metadata.set_values()) {
      parts.push_back(name);
      parts.push_back(value);
    }
  }
  return pack(parts);
}

Result<Order> decode_order(std::string_view text) {
  const auto parts = TRY(unpack(text));
  if (parts.empty()) return fail("not an order: empty");
  Order order{static_cast<size_t>(TRY(parse_int(parts[0]))), std::nullopt};
  if (parts.size() == 1) return order;
  order.test_case.emplace(TestCase{parts[1], {}});
  for (size_t i = 2; i + 1 < parts.size(); i += 2) {
    TRY(order.test_case->metadata.set(parts[i], parts[i + 1]));
  }
  return order;
}

std::string to_frame(std::string_view text) {
  const Size size = text.size();
  std::string frame(sizeof size, '\0');
  std::memcpy(frame.data(), &size, sizeof size);
  return frame.append(text);
}

std::optional<std::string> take_frame(std::string& received) {
  Size size = 0;
  if (received.size() < sizeof size) return std::nullopt;
  std::memcpy(&size, received.data(), sizeof size);
  if (received.size() - sizeof size < size) return std::nullopt;
  std::string text = received.substr(sizeof size, size);
  received.erase(0, sizeof size + size);
  return text;
}

bool send_frame(int socket, std::string_view text) {
  return host::send_all(socket, to_frame(text)).has_value();
}

void serve(int socket, const std::function<CaseOutcome(const Order&)>& run) {
  std::string received;
  std::array<uint8_t, 4096> part;
  for (;;) {
    const auto n = host::read_some(socket, part);
    if (!n || *n == 0) return;
    received.append(part.begin(), part.begin() + *n);
    while (const auto text = take_frame(received)) {
      const auto order = decode_order(*text);
      CHECK(order.has_value());
      if (!send_frame(socket, encode(run(*order)))) return;
    }
  }
}

}  // namespace wh::kyua
