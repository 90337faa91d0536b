// Any bytes as what a user may give a router: command lines, JSON requests, a configuration, a
// start-up configuration. Each is refused with a reason or understood; a configuration that was
// applied is what the router then says of itself.
#include "core/virtual_loop.h"
#include "router/configuration.h"
#include "router/server.h"
#include "router/startup.h"

namespace wh::router {
namespace {

// Commands that reach outside are not for a fuzzer.
bool reaches_outside(std::string_view method) {
  for (const char* word : {"configuration", "exec", "pcap", "plugin"}) {
    if (method.find(word) != std::string_view::npos) return true;
  }
  return false;
}

// Whether the line, if it is one, is a command that may be run here.
bool is_harmless(const CommandLine& line, std::string_view text) {
  const auto match = line.grammar().parse(text);
  return !match || !reaches_outside(line.grammar().method(match->command));
}

std::string text_of(const nlohmann::json& request, const char* key) {
  const auto member = request.find(key);
  return member != request.end() && member->is_string() ? member->get<std::string>() : "";
}

void feed(std::string_view text) {
  VirtualLoop loop;
  PaperPorts ports(loop);
  Router router({}, loop, ports);
  CommandLine line(router);
  std::vector<std::unique_ptr<Activity>> activities;
  for (size_t at = 0; at < text.size();) {
    const size_t end = std::min(text.find('\n', at), text.size());
    const std::string_view one = text.substr(at, end - at);
    at = end + 1;
    (void)line.grammar().complete(one);
    (void)line.grammar().expect(one);
    const auto request = nlohmann::json::parse(one, nullptr, false);
    if (request.is_object()) {
      if (!is_harmless(line, text_of(request, "command"))) continue;
      if (reaches_outside(text_of(request, "method"))) continue;
      bool answered = false;
      activities.push_back(handle_request(line, request, [&](const nlohmann::json& answer) {
        answered = answered || answer.contains("ok");
      }));
      CHECK(answered || activities.back() != nullptr);
    } else if (const auto done = line.set(one); !done) {
      CHECK(!done.error().text.empty());
    }
  }
  // What is set can be set again, and then nothing differs.
  const auto now = line.configuration();
  const auto target = try_configuration(router, to_text(now), "fuzz");
  CHECK(target.has_value());
  CHECK(difference(now, *target).is_empty());
}

}  // namespace
}  // namespace wh::router

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  // Sound: bytes are characters.
  const std::string_view text(reinterpret_cast<const char*>(data), size);
  if (const auto startup = wh::router::parse_startup(text, "fuzz"); !startup) {
    CHECK(startup.error().text.starts_with("fuzz:"));
  }
  wh::router::feed(text);
  return 0;
}
