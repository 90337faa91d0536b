#include "router/command_line.h"

#include <algorithm>
#include <charconv>

#include "host/system.h"
#include "router/local_apps.h"
#include "router/values.h"
#include "vnet/show.h"

namespace wh::router {

using nlohmann::json;

namespace {

template <class All, class NameOf>
std::vector<std::string> names_of(const All& all, NameOf name_of) {
  std::vector<std::string> names;
  for (const auto& one : all) names.push_back(name_of(one));
  return names;
}

// As it is printed: without zeros in front.
std::optional<uint32_t> number_of(std::string_view word) {
  uint32_t number = 0;
  (void)std::from_chars(word.data(), word.data() + word.size(), number);  // Compared below.
  return std::to_string(number) == word ? std::optional(number) : std::nullopt;
}

std::string first_few(std::vector<std::string> words) {
  constexpr size_t kMost = 12;
  if (words.size() <= kMost) return fmt::format("{}", fmt::join(words, ", "));
  words.resize(kMost);
  return fmt::format("{}, ...", fmt::join(words, ", "));
}

}  // namespace

Result<net::IpAddress> source_of(const Router& router, const Arguments& a, const net::IpAddress& to,
                                 uint16_t& table) {
  if (!a.has("source")) return net::IpAddress();
  const uint16_t index = TRY(router.index_of(a["source"]));
  const auto& entry = router.vnet().interfaces()[index];
  const net::IpAddress* own = entry.source_for(to);
  if (own == nullptr) return fail("{} has no address to send from", entry.name);
  if ((a.has("table") || a.has("table-id")) && entry.vrf != table) {
    return fail("{} is in table {}", entry.name, router.vnet().vrf_of(index));
  }
  table = entry.vrf;
  return *own;
}

std::vector<Feature> all_features() {
  std::vector<Feature> features;
  for (auto* make :
       {port_feature, virtual_feature, table_feature, interface_feature, bridge_feature, ip_feature,
        route_feature, acl_feature, policer_feature, nat_feature, advertisement_feature,
        dhcp_feature, app_feature, analysis_feature, session_feature, configuration_feature}) {
    features.push_back(make());
  }
  return features;
}

CommandLine::CommandLine(Router& router) : router_(router), features_(all_features()) {
  add_types();
  for (const Feature& feature : features_) {
    for (const Command& command : feature.commands) {
      const size_t number = grammar_.add(command.syntax, command.help);
      CHECK_EQ(number, commands_.size());
      commands_.push_back(&command);
    }
  }
}

void CommandLine::add_types() {
  auto add = [&](const char* name, const char* accepts, auto parse) {
    grammar_.add_type(name, {accepts, [parse](std::string_view word) -> Result<void> {
                               TRY(parse(word));
                               return {};
                             }});
  };
  add("prefix", "an address and a length, as 10.1.0.1/24", net::parse_prefix);
  add("address", "an IPv4 or IPv6 address", net::parse_ip);
  add("ip4", "an IPv4 address", net::parse_ip4);
  add("ip6", "an IPv6 address", net::parse_ip6);
  add("mac", "a MAC address, as 02:fe:00:00:00:01", net::parse_mac);
  add("protocol", "tcp, udp, icmp, icmp6 or a number from 0 to 255", parse_protocol);
  add("ports", "a port or a range of them, as 80-443", parse_ports);
  add("uri", "tcp://ADDRESS/PORT or udp://ADDRESS/PORT, as tcp://10.1.0.1/7", parse_uri);
  add("dscp", "a number from 0 to 63, or a name, as AF11", parse_dscp);
  auto check_filled = [](std::string_view word) -> Result<void> {
    if (word.empty()) return fail("an empty word");
    return {};
  };
  grammar_.add_type("word", {"a word", check_filled});
  // Whatever is done with it is done in this thread, which forwards packets meanwhile to nobody.
  grammar_.add_type("file", {"a word", [=](std::string_view word) -> Result<void> {
                               TRY(check_filled(word));
                               return host::check_no_fifo(std::string(word));
                             }});
  auto interface_names = [this] {
    std::vector<std::string> all;
    for (const auto& row : vnet::interface_report(router_.vnet())) all.push_back(row.name);
    return all;
  };
  grammar_.add_type(
      "interface",
      {"the name of an interface",
       [this, interface_names](std::string_view word) -> Result<void> {
         if (router_.index_of(word)) return {};
         if (word == "local0") {
           return fail(
               "local0 is the router itself: it has no link and "
               "nothing to set; `show interface` shows it");
         }
         return fail("no interface '{}'; there are: {}", word, first_few(interface_names()));
       },
       // Nothing can be set on local0.
       [interface_names] {
         auto all = interface_names();
         std::erase(all, "local0");
         return all;
       },
       // Which other names are near takes long to say.
       [this](std::string_view word) { return router_.vnet().interfaces().has(word); }});
  add_known_types();
  add_node_types();
}

void CommandLine::add_known_types() {
  add_known(
      "table", "the number of a table (`ip table add`)",
      [](const vnet::Vnet& v) {
        return names_of(v.vrfs(), [](uint32_t id) { return std::to_string(id); });
      },
      [](const vnet::Vnet& v, std::string_view word) {
        const auto id = number_of(word);
        return id && v.table_of(*id);
      });
  add_known("bridge-domain", "the number of a bridge domain", [](const vnet::Vnet& v) {
    return names_of(v.bridges().domains(),
                    [](auto* domain) { return std::to_string(domain->config().id); });
  });
  add_known(
      "acl", "the number of an access list",
      [](const vnet::Vnet& v) {
        return names_of(v.acls().lists(), [](auto& list) { return std::to_string(list.first); });
      },
      [](const vnet::Vnet& v, std::string_view word) {
        const auto id = number_of(word);
        return id && v.acls().lists().contains(*id);
      });
  add_known("policer", "the name of a policer", [](const vnet::Vnet& v) {
    return names_of(v.policers().policers(), [](auto* policer) { return policer->config().name; });
  });
  add_known("pool", "the name of a pool of the DHCP server", [](const vnet::Vnet& v) {
    return names_of(v.dhcp().server().pools(), [](auto* pool) { return pool->name; });
  });
}

void CommandLine::add_node_types() {
  grammar_.add_type("node", {"the name of a graph node",
                             [this](std::string_view word) -> Result<void> {
                               TRY(router_.vnet().graph().index_of(word));
                               return {};
                             },
                             [this] {
                               std::vector<std::string> names;
                               for (const auto& node : router_.vnet().graph().nodes()) {
                                 names.push_back(node.node->name());
                               }
                               return names;
                             }});
  auto insertable = [this] {
    std::vector<std::string> names;
    for (const auto& node : router_.vnet().graph().nodes()) {
      if (node.node->spec().is_insertable) names.push_back(node.node->name());
    }
    return names;
  };
  grammar_.add_type("insertable",
                    {"the name of a plugin's node",
                     [insertable](std::string_view word) -> Result<void> {
                       const auto all = insertable();
                       if (std::find(all.begin(), all.end(), word) != all.end()) {
                         return {};
                       }
                       if (!all.empty()) {
                         return fail("no plugin's node '{}'; there are: {}", word, first_few(all));
                       }
                       return fail("no plugin's node '{}'; no plugin is loaded", word);
                     },
                     insertable});
}

// A type whose words are the names of what there is at the moment.
void CommandLine::add_known(const char* name, const char* accepts,
                            std::vector<std::string> (*list)(const vnet::Vnet&),
                            bool (*has)(const vnet::Vnet&, std::string_view)) {
  auto candidates = [this, list] { return list(router_.vnet()); };
  auto check = [name, candidates](std::string_view word) -> Result<void> {
    const std::vector<std::string> all = candidates();
    if (std::find(all.begin(), all.end(), word) != all.end()) return {};
    if (all.empty()) return fail("no {} '{}'; there is none", name, word);
    return fail("no {} '{}'; there are: {}", name, word, first_few(all));
  };
  ValueType type{accepts, check, candidates};
  if (has != nullptr) {
    type.fits = [this, has](std::string_view word) { return has(router_.vnet(), word); };
  }
  grammar_.add_type(name, std::move(type));
}

Result<Answer> CommandLine::run(std::string_view line) {
  if (is_blank(line)) return Answer::nothing();
  const Grammar::Match match = TRY(grammar_.parse(line));
  const Command& command = *commands_[match.command];
  if (command.start && !command.run) return fail("'{}' is not done at once", command.syntax);
  TRY(may_do(command));
  return perform(match);
}

// REQUIRES: it is done at once.
Result<Answer> CommandLine::perform(const Grammar::Match& match) {
  const Command& command = *commands_[match.command];
  auto answer = (command.set ? command.set : command.run)(router_, match.arguments);
  const bool is_for_all = command.set || command.everywhere;
  if (!answer || !is_for_all || !tell_) return answer;
  if (is_together_) {
    untold_.push_back(match);
  } else {
    TRY(tell_(std::span(&match, 1)));
  }
  return answer;
}

Result<void> CommandLine::end_together() {
  is_together_ = false;
  const auto all = std::exchange(untold_, {});
  if (all.empty()) return {};
  return tell_(all);
}

Result<void> CommandLine::repeat(const Grammar::Match& match) {
  TRY(perform(match));
  return {};
}

Result<void> CommandLine::set(std::string_view line) {
  if (is_blank(line)) return {};
  const Grammar::Match match = TRY(grammar_.parse(line));
  const Command& command = *commands_[match.command];
  if (!command.set) {
    return fail("'{}' sets nothing; accepted: commands that `show configuration` shows",
                grammar_.method(match.command));
  }
  TRY(perform(match));
  return {};
}

std::unique_ptr<Activity> CommandLine::start(Result<Grammar::Match> match, Output out) {
  if (!match) {
    out.done(tl::unexpected(std::move(match.error())));
    return nullptr;
  }
  const Command& command = *commands_[match->command];
  if (command.start) return command.start(*this, match->arguments, std::move(out));
  const auto may = may_do(command);
  out.done(may ? perform(*match) : Result<Answer>(tl::unexpected(may.error())));
  return nullptr;
}

Result<void> CommandLine::begin_change(std::string what) {
  if (!changing_.empty()) return fail("{} is under way; again when it is done", changing_);
  changing_ = std::move(what);
  return {};
}

Result<void> CommandLine::may_do(const Command& command) const {
  if (changing_.empty() || !command.set) return {};
  return fail("{} is under way; nothing else is set until it is done", changing_);
}

std::unique_ptr<Activity> CommandLine::execute(std::string_view line, Output out) {
  if (is_blank(line)) {
    out.done(Answer::nothing());
    return nullptr;
  }
  if (hear_) hear_(line);
  return start(grammar_.parse(line), std::move(out));
}

std::unique_ptr<Activity> CommandLine::execute(std::string_view method, const json& params,
                                               Output out) {
  if (hear_) hear_(fmt::format("{} {}", method, params.dump()));
  return start(grammar_.from_json(method, params), std::move(out));
}

Result<void> CommandLine::check(std::string_view line) const {
  if (is_blank(line)) return {};
  TRY(grammar_.parse(line));
  return {};
}

json CommandLine::schema() const {
  json methods = json::array();
  for (size_t i = 0; i < grammar_.size(); ++i) {
    methods.push_back({{"method", grammar_.method(i)},
                       {"syntax", grammar_.syntax(i)},
                       {"help", grammar_.help(i)},
                       {"params", grammar_.schema(i)}});
  }
  return methods;
}

ConfigurationLines CommandLine::configuration() const {
  ConfigurationLines lines;
  const auto walk = walk_configuration();
  while (walk(lines)) continue;
  return lines;
}

ConfigurationWalk CommandLine::walk_configuration() const {
  return
      [this, feature = size_t{0}, part = ConfigurationWalk()](ConfigurationLines& lines) mutable {
        if (feature == features_.size()) return false;
        const Feature& f = features_[feature];
        const size_t before = lines.size();
        if (f.walk && !part) part = f.walk(router_);
        if (!f.walk) f.configuration(router_, lines);
        const bool is_more = part && part(lines);
        for (size_t i = before; i < lines.size(); ++i) {
          if (lines[i].stage == LoadStage::Way) lines[i].stage = f.stage;
        }
        if (is_more) return true;
        part = {};
        return ++feature < features_.size();
      };
}

}  // namespace wh::router
