#include "router/startup.h"

#include <algorithm>
#include <array>
#include <charconv>

#include "core/sysctl.h"
#include "router/configuration.h"
#include "router/workers.h"

namespace wh::router {
namespace {

struct Token {
  std::string text;
  size_t line = 1;
};

std::vector<Token> tokenize(std::string_view text) {
  std::vector<Token> tokens;
  size_t line = 1;
  for (size_t at = 0; at < text.size();) {
    const char c = text[at];
    if (c == '\n') ++line;
    if (std::string_view(" \t\r\n").find(c) != std::string_view::npos) {
      ++at;
    } else if (c == '#') {  // Within a word it is a part of it, as in a prompt.
      at = std::min(text.find('\n', at), text.size());
    } else if (c == '{' || c == '}') {
      tokens.push_back({std::string(1, c), line});
      ++at;
    } else {
      const size_t end = std::min(text.find_first_of(" \t\r\n{}", at), text.size());
      tokens.push_back({std::string(text.substr(at, end - at)), line});
      at = end;
    }
  }
  return tokens;
}

// What VPP has as plugins and this has built in.
constexpr std::array kBuiltIn = {
    "default",       "netmap_plugin.so", "ping_plugin.so", "af_packet_plugin.so", "dpdk_plugin.so",
    "tap_plugin.so", "acl_plugin.so",    "nat_plugin.so",  "dhcp_plugin.so"};
// Sections that only VPP needs.
constexpr std::array kForeign = {"api-trace", "api-segment", "socksvr", "statseg", "buffers",
                                 "memory",    "dpdk",        "logging", "heapsize"};

class Parser {
 public:
  Parser(std::string_view text, std::string_view name) : name_(name), tokens_(tokenize(text)) {}

  Result<Startup> parse() {
    for (const Token& t : tokens_) made_.text += (made_.text.empty() ? "" : " ") + t.text;
    while (at_ < tokens_.size()) {
      const std::string section = tokens_[at_++].text;
      if (section == "unix") {
        TRY(unix_section());
      } else if (section == "plugins") {
        TRY(plugins_section());
      } else if (section == "metrics") {
        TRY(metrics_section());
      } else if (section == "cpu") {
        TRY(cpu_section());
      } else if (std::find(kForeign.begin(), kForeign.end(), section) != kForeign.end()) {
        TRY(skip());
      } else {
        --at_;
        return wrong("a section: unix, plugins, metrics, cpu");
      }
    }
    return std::move(made_);
  }

 private:
  tl::unexpected<Error> wrong(std::string_view expected) const {
    if (at_ >= tokens_.size()) {
      return fail("{}:{}: the text ends too early; expected {}", name_,
                  tokens_.empty() ? 1 : tokens_.back().line, expected);
    }
    return fail("{}:{}: '{}'; expected {}", name_, tokens_[at_].line, tokens_[at_].text, expected);
  }
  bool accept(std::string_view text) {
    if (at_ >= tokens_.size() || tokens_[at_].text != text) return false;
    ++at_;
    return true;
  }
  Result<std::string> value(std::string_view what) {
    if (at_ >= tokens_.size() || tokens_[at_].text == "{" || tokens_[at_].text == "}") {
      return wrong(what);
    }
    return tokens_[at_++].text;
  }
  // From 0 to `most`; `what` says so in words.
  Result<uint32_t> number(std::string_view what, uint32_t most) {
    const std::string text = TRY(value(what));
    uint32_t n = 0;
    const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), n);
    if (error == std::errc() && end == text.data() + text.size() && n <= most) return n;
    --at_;
    return wrong(what);
  }
  Result<void> open() {
    if (!accept("{")) return wrong("{");
    return {};
  }
  // Runs `entry` until the section's closing brace.
  template <class Entry>
  Result<void> section(Entry entry) {
    TRY(open());
    while (!accept("}")) {
      if (at_ >= tokens_.size()) return wrong("}");
      TRY(entry());
    }
    return {};
  }
  // Over a value, or a section with all sections in it.
  Result<void> skip() {
    size_t depth = 0;
    do {
      if (at_ >= tokens_.size()) return wrong(depth == 0 ? "a value or {" : "}");
      const std::string& word = tokens_[at_].text;
      if (word == "}" && depth == 0) return wrong("a value or {");
      if (word == "{") ++depth;
      if (word == "}") --depth;
      ++at_;
    } while (depth != 0);
    return {};
  }

  Result<void> unix_section() {
    return section([this]() -> Result<void> {
      if (accept("interactive")) {
        made_.interactive = true;
      } else if (accept("nobanner")) {
        made_.banner = false;
      } else if (accept("cli-listen")) {
        made_.cli_listen = TRY(value("the path of a socket"));
      } else if (accept("exec")) {
        made_.exec = TRY(value("the path of a script"));
      } else if (accept("startup-config")) {
        made_.startup_config = TRY(value("the path of a configuration"));
      } else if (accept("log")) {
        made_.log = TRY(value("the path of a log file"));
      } else if (accept("pidfile")) {
        made_.pidfile = TRY(value("the path of a file"));
      } else if (accept("cli-prompt")) {
        made_.prompt = TRY(value("a prompt")) + " ";
      } else if (accept("full-coredump") || accept("nodaemon") || accept("nocolor") ||
                 accept("nopager") || accept("cli-no-banner")) {
        // As this always is, or needs nothing of.
      } else if (accept("gid") || accept("runtime-dir") || accept("coredump-size") ||
                 accept("poll-sleep-usec")) {
        TRY(value("its value"));
      } else {
        return wrong(
            "interactive, nodaemon, exec SCRIPT, startup-config FILE, cli-listen SOCKET, log "
            "FILE, pidfile FILE, cli-prompt TEXT, nobanner or }");
      }
      return {};
    });
  }

  Result<void> plugins_section() {
    return section([this]() -> Result<void> {
      if (accept("path")) {
        made_.plugin_path = TRY(value("a folder"));
        return {};
      }
      if (!accept("plugin")) return wrong("path DIR, plugin NAME { enable } or }");
      const std::string name = TRY(value("a plugin's name"));
      const std::string place = fmt::format("{}:{}", name_, tokens_[at_ - 1].line);
      bool enabled = false;
      TRY(section([&]() -> Result<void> {
        if (accept("enable")) {
          enabled = true;
        } else if (accept("disable")) {
          enabled = false;
        } else {
          return wrong("enable or disable");
        }
        return {};
      }));
      const bool built_in = std::find(kBuiltIn.begin(), kBuiltIn.end(), name) != kBuiltIn.end();
      if (enabled && !built_in) made_.plugins.push_back({name, place});
      return {};
    });
  }

  Result<void> metrics_section() {
    return section([this]() -> Result<void> {
      if (!accept("port")) return wrong("port NUMBER or }");
      made_.metrics_port = static_cast<uint16_t>(TRY(number("a port number, 0 to 65535", 0xffff)));
      return {};
    });
  }

  Result<void> cpu_section() {
    return section([this]() -> Result<void> {
      if (accept("workers")) {
        made_.workers = TRY(number("a number of workers, 0 to 64", Workers::kMost));
      } else if (accept("main-core")) {
        made_.main_core = TRY(number("a core's number", kMostCore));
      } else if (accept("corelist-workers")) {
        TRY(core_list());
      } else if (accept("placement")) {
        made_.places_interfaces = accept("interface");
        if (!made_.places_interfaces && !accept("flow")) return wrong("flow or interface");
      } else {
        return wrong(
            "workers NUMBER, placement flow|interface, main-core NUMBER, corelist-workers LIST or "
            "}");
      }
      if (made_.worker_cores.empty() || made_.workers == made_.worker_cores.size()) return {};
      --at_;
      return wrong("as many workers as corelist-workers has cores");
    });
  }
  // "2,4-5": a worker for each.
  Result<void> core_list() {
    const std::string text = TRY(value("cores, as 1,3-4"));
    std::vector<uint32_t> cores;
    const char* at = text.data();
    const char* const end = at + text.size();
    const auto read = [&](uint32_t& core) {
      const auto [next, error] = std::from_chars(at, end, core);
      at = next;
      return error == std::errc() && core <= kMostCore;
    };
    for (;;) {
      uint32_t first = 0;
      if (!read(first)) break;
      uint32_t last = first;
      if (at != end && *at == '-' && (++at, !read(last))) break;
      for (uint32_t core = first; core <= last; ++core) cores.push_back(core);
      if (first > last || cores.size() > Workers::kMost) break;
      if (at == end) {
        if (made_.workers == 0) made_.workers = static_cast<uint32_t>(cores.size());
        made_.worker_cores = std::move(cores);
        return {};
      }
      if (*at++ != ',') break;
    }
    --at_;
    return wrong("cores, at most 64, as 1,3-4");
  }

  static constexpr uint32_t kMostCore = 1023;  // As many as Linux's plain set of them has.

  std::string name_;
  std::vector<Token> tokens_;
  size_t at_ = 0;
  Startup made_;
};

}  // namespace

Result<Startup> parse_startup(std::string_view text, std::string_view name) {
  return Parser(without_mark(text), name).parse();
}

}  // namespace wh::router
