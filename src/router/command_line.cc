#include "router/command_line.h"

#include "vnet/show.h"

namespace wh::router {

using nlohmann::json;

namespace {

std::string first_few(std::vector<std::string> words) {
  constexpr size_t kMost = 12;
  if (words.size() <= kMost) return fmt::format("{}", fmt::join(words, ", "));
  words.resize(kMost);
  return fmt::format("{}, ...", fmt::join(words, ", "));
}

}  // namespace

std::vector<Feature> all_features() {
  std::vector<Feature> features;
  for (auto* make : {port_feature, interface_feature, ip_feature, analysis_feature, session_feature,
                     configuration_feature}) {
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
                               TRY_VOID(parse(word));
                               return {};
                             }});
  };
  add("prefix", "an address and a length, as 10.1.0.1/24", net::parse_prefix);
  add("address", "an IPv4 or IPv6 address", net::parse_ip);
  add("ip4", "an IPv4 address", net::parse_ip4);
  add("ip6", "an IPv6 address", net::parse_ip6);
  add("mac", "a MAC address, as 02:fe:00:00:00:01", net::parse_mac);
  for (const char* name : {"word", "file"}) {
    grammar_.add_type(name, {"a word", [](std::string_view word) -> Result<void> {
                               if (word.empty()) return fail("an empty word");
                               return {};
                             }});
  }
  auto interface_names = [this] {
    std::vector<std::string> all;
    for (const auto& row : vnet::interface_report(router_.vnet())) all.push_back(row.name);
    return all;
  };
  grammar_.add_type("interface", {"the name of an interface",
                                  [this, interface_names](std::string_view word) -> Result<void> {
                                    if (router_.index_of(word)) return {};
                                    return fail("no interface '{}'; there are: {}", word,
                                                first_few(interface_names()));
                                  },
                                  interface_names});
  grammar_.add_type("node", {"the name of a graph node",
                             [this](std::string_view word) -> Result<void> {
                               TRY_VOID(router_.vnet().graph().index_of(word));
                               return {};
                             },
                             [this] {
                               std::vector<std::string> names;
                               for (const auto& node : router_.vnet().graph().nodes()) {
                                 names.push_back(node.node->name());
                               }
                               return names;
                             }});
}

Result<Answer> CommandLine::run(std::string_view line) {
  if (TRY(split_words(line)).empty()) return Answer::nothing();
  const Grammar::Match match = TRY(grammar_.parse(line));
  const Command& command = *commands_[match.command];
  if (command.start) return fail("'{}' is not done at once", command.syntax);
  return perform(match);
}

// REQUIRES: it is done at once.
Result<Answer> CommandLine::perform(const Grammar::Match& match) {
  const Command& command = *commands_[match.command];
  auto answer = (command.set ? command.set : command.run)(router_, match.arguments);
  const bool is_for_all = command.set || command.everywhere;
  if (answer && is_for_all && tell_) TRY_VOID(tell_(match));
  return answer;
}

Result<void> CommandLine::repeat(const Grammar::Match& match) {
  TRY(perform(match));
  return {};
}

Result<void> CommandLine::set(std::string_view line) {
  if (TRY(split_words(line)).empty()) return {};
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
  out.done(perform(*match));
  return nullptr;
}

std::unique_ptr<Activity> CommandLine::execute(std::string_view line, Output out) {
  const auto words = split_words(line);
  if (words && words->empty()) {
    out.done(Answer::nothing());
    return nullptr;
  }
  return start(grammar_.parse(line), std::move(out));
}

std::unique_ptr<Activity> CommandLine::execute(std::string_view method, const json& params,
                                               Output out) {
  return start(grammar_.from_json(method, params), std::move(out));
}

Result<void> CommandLine::check(std::string_view line) const {
  if (TRY(split_words(line)).empty()) return {};
  TRY_VOID(grammar_.parse(line));
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

std::vector<ConfigurationLine> CommandLine::configuration() const {
  std::vector<ConfigurationLine> lines;
  for (const Feature& feature : features_) feature.configuration(router_, lines);
  return lines;
}

}  // namespace wh::router
