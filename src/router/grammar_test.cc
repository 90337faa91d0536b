#include "router/grammar.h"

#include <gtest/gtest.h>

#include <nlohmann/json.hpp>

namespace wh::router {
namespace {

class GrammarTest : public testing::Test {
 protected:
  GrammarTest() {
    grammar_.add_type("interface", {"the name of an interface",
                                    [](std::string_view word) -> Result<void> {
                                      if (word == "eth0" || word == "add") return {};
                                      return fail("no interface '{}'", word);
                                    },
                                    [] {
                                      return std::vector<std::string>{"eth0", "add"};
                                    }});
    show_ = grammar_.add("show interface [address|<interface>]", "interfaces");
    state_ = grammar_.add("set interface state <interface> (up|down)", "switch on or off");
    address_ = grammar_.add("set interface ip address [del] <interface> <n:0..9>", "addresses");
    ping_ = grammar_.add("ping <n:0..9> [repeat <repeat:1..5> | size <size:0..100>]*", "echo");
    grammar_.add("set ip route <n:0..9>", "routes");
  }
  Grammar::Match parsed(std::string_view line) {
    auto match = grammar_.parse(line);
    EXPECT_TRUE(match) << line << ": " << match.error().text;
    return match ? std::move(*match) : Grammar::Match{99, {}};
  }
  std::string refusal(std::string_view line) {
    auto match = grammar_.parse(line);
    return match ? "understood" : match.error().text;
  }
  Grammar grammar_;
  size_t show_ = 0, state_ = 0, address_ = 0, ping_ = 0;
};

TEST_F(GrammarTest, words_may_be_shortened_while_they_are_unique) {
  EXPECT_EQ(parsed("sh int").command, show_);
  EXPECT_EQ(parsed("set int st eth0 u").command, state_);
  EXPECT_EQ(parsed("set int ip addr eth0 3").command, address_);
  EXPECT_EQ(refusal("s int"), "column 1: 's' is ambiguous: set, show");
  EXPECT_EQ(refusal("set i"), "column 5: 'i' is ambiguous: interface, ip");
}

TEST_F(GrammarTest, full_keyword_goes_before_a_value_and_a_value_before_a_shortened_keyword) {
  EXPECT_TRUE(parsed("show interface address").arguments.has("address"));
  EXPECT_FALSE(parsed("show interface add").arguments.has("address"));
  EXPECT_EQ(parsed("show interface add").arguments["interface"], "add");
  EXPECT_TRUE(parsed("show interface addr").arguments.has("address"));
}

TEST_F(GrammarTest, wrong_word_is_named_with_what_could_stand_there) {
  EXPECT_EQ(refusal("set int state eth0 upp"),
            "column 20: unknown input 'upp'; accepted: down, up (did you mean up?)");
  EXPECT_EQ(refusal("set int state eth1 up"), "column 15: no interface 'eth1'");
  EXPECT_EQ(refusal("set int state eth0"),
            "column 19: the line ends too early; accepted: down, up");
  EXPECT_EQ(refusal("ping 10"), "column 6: '10' is not a number from 0 to 9");
  EXPECT_EQ(refusal("show interface eth0 now"),
            "column 21: unknown input 'now'; accepted: the end of the line");
  EXPECT_EQ(refusal("ping \"1"), "column 6: a quote that is not closed");
  EXPECT_TRUE(grammar_.complete("show interface \"e").empty());
  EXPECT_TRUE(grammar_.expect("show interface \"e").empty());
  EXPECT_EQ(refusal("set ip \"\" 3"), "column 8: unknown input ''; accepted: route");
}

TEST_F(GrammarTest, what_is_known_is_told_where_a_name_may_be_left_out) {
  EXPECT_EQ(refusal("show interface nonesuch"),
            "column 16: unknown input 'nonesuch'; accepted: address, <interface> (the name of an "
            "interface), <cr> (the end of the line); no interface 'nonesuch'");
  EXPECT_NE(refusal("show interface eth9").find("(did you mean eth0?)"), std::string::npos);
}

TEST_F(GrammarTest, help_of_a_keyword_is_its_commands_or_how_several_go_on) {
  auto help = [&](const char* line, size_t at) { return grammar_.expect(line).at(at).help; };
  EXPECT_EQ(help("", 0), "echo");
  EXPECT_EQ(grammar_.expect("")[1].text, "set");
  EXPECT_EQ(help("", 1), "interface, ip");
  EXPECT_EQ(help("", 2), "interfaces");
  EXPECT_EQ(help("set interface ", 0), "addresses");
}

TEST_F(GrammarTest, word_that_no_saved_line_could_hold_is_refused_wherever_it_comes_from) {
  grammar_.add_type("word", {"a word", [](std::string_view) { return Result<void>(); }});
  grammar_.add("name <name:word> {all,: tag <tag:word>}", "names");
  EXPECT_EQ(refusal("name a\"b tag c"),
            "column 6: 'a\"b': accepted: a word without quotes and control characters");
  EXPECT_EQ(refusal("name \"a b\" tag \"c\td\""),
            "column 16: 'c?d': accepted: a word without quotes and control characters");
  auto spelled = [&](const char* name, const char* tag) {
    const nlohmann::json params = {{"name", name},
                                   {"all", nlohmann::json::array({{{"tag", tag}}})}};
    const auto match = grammar_.from_json("name", params);
    return match ? "understood" : match.error().text;
  };
  EXPECT_EQ(spelled("a b", "c, #d"), "understood");
  for (const char* word : {"x\nhalt", "x\rhalt", "a\"b", "\x7f", "\x1b[2J"}) {
    EXPECT_NE(spelled(word, "c").find("without quotes"), std::string::npos);
    EXPECT_NE(spelled("a", word).find("without quotes"), std::string::npos);
  }
}

TEST_F(GrammarTest, options_come_in_any_order) {
  const auto match = parsed("ping 1 size 5 repeat 2");
  EXPECT_EQ(match.command, ping_);
  EXPECT_EQ(match.arguments.number("size"), 5u);
  EXPECT_EQ(match.arguments.number("repeat"), 2u);
  EXPECT_EQ(parsed("ping 1").arguments.number("repeat", 7), 7u);
  EXPECT_NE(refusal("ping 1 repeat 6"), "understood");
  EXPECT_EQ(parsed("ping 1 repeat 5").command, ping_);
}

TEST_F(GrammarTest, completion_gives_keywords_and_known_values) {
  using Words = std::vector<std::string>;
  EXPECT_EQ(grammar_.complete("s"), (Words{"set", "show"}));
  EXPECT_EQ(grammar_.complete("show int"), (Words{"interface"}));
  EXPECT_EQ(grammar_.complete("show interface a"), (Words{"add", "address"}));
  EXPECT_EQ(grammar_.complete("set interface state eth0 "), (Words{"down", "up"}));
  EXPECT_EQ(grammar_.complete("nonsense "), Words{});
  const auto expected = grammar_.expect("show interface ");
  ASSERT_EQ(expected.size(), 3u);
  EXPECT_EQ(expected[0].text, "address");
  EXPECT_EQ(expected[1].text, "<interface>");
  EXPECT_EQ(expected[2].text, "<cr>");
}

TEST_F(GrammarTest, object_of_values_is_the_same_as_a_line) {
  auto match = grammar_.from_json("set interface ip address",
                                  {{"interface", "eth0"}, {"n", 4}, {"del", true}});
  ASSERT_TRUE(match) << match.error().text;
  EXPECT_EQ(match->command, address_);
  EXPECT_TRUE(match->arguments.has("del"));
  EXPECT_EQ(match->arguments.number("n"), 4u);
  EXPECT_TRUE(grammar_.from_json("ping", {{"n", 1}, {"repeat", 2}}));
  EXPECT_TRUE(grammar_.from_json("set interface state", {{"interface", "eth0"}, {"up", true}}));
  auto text = [&](std::string_view method, nlohmann::json params) {
    auto m = grammar_.from_json(method, params);
    return m ? "understood" : m.error().text;
  };
  EXPECT_EQ(text("ping", {{"n", 1}, {"repeat", 6}}), "ping: '6' is not a number from 1 to 5");
  EXPECT_EQ(text("ping", {{"n", 1}, {"often", 6}}), "ping: 'often' is not a value of it");
  EXPECT_EQ(text("ping", {{"n", 1.5}}), "ping: 'n': accepted: text, a whole number, true");
  EXPECT_NE(text("ping", nlohmann::json::object()), "understood");
  EXPECT_NE(text("set interface state", {{"interface", "eth0"}, {"up", true}, {"down", true}}),
            "understood");
  EXPECT_EQ(text("pong", {{"n", 1}}), "no method 'pong'; did you mean 'ping'?");
}

TEST_F(GrammarTest, schema_names_values_and_which_must_be_given) {
  const auto schema = grammar_.schema(address_);
  EXPECT_EQ(schema["required"], (nlohmann::json{"interface", "n"}));
  EXPECT_EQ(schema["properties"]["del"]["const"], true);
  EXPECT_FALSE(schema["properties"].contains("set"));
  const auto ping = grammar_.schema(ping_);
  EXPECT_EQ(ping["required"], (nlohmann::json{"n"}));
  EXPECT_EQ(ping["properties"]["repeat"]["description"], "a number from 1 to 5");
}

TEST(Words, quotes_keep_spaces_and_quoted_puts_them_back) {
  const auto words = MUST(split_words("  exec \"a b\" # rest"));  // Its quotes are closed.
  ASSERT_EQ(words.size(), 2u);
  EXPECT_EQ(words[0].column, 3u);
  EXPECT_EQ(words[1].text, "a b");
  EXPECT_EQ(quote_word("a b"), "\"a b\"");
  EXPECT_EQ(quote_word("ab"), "ab");
  EXPECT_EQ(quote_word(""), "\"\"");
}

class ListGrammar : public testing::Test {
 protected:
  ListGrammar() {
    grammar_.add(
        "route <n:0..9> {paths: via (<via:10..99> [<port:100..199>] | <port:100..199>) "
        "[weight <weight:1..9>]} [last]",
        "a route");
    grammar_.add("acl [tag <tag:0..9>] {rules,: (permit|deny) [src <src:0..9>]}", "a list");
  }
  // The elements of a list, each as "name=value ..".
  std::vector<std::string> elements(const Grammar::Match& match, const char* list) {
    std::vector<std::string> all;
    for (const Arguments& e : match.arguments.list(list)) {
      std::string text;
      for (const char* name : {"via", "port", "weight", "permit", "deny", "src"}) {
        if (e.has(name)) text += fmt::format("{}={} ", name, e[name]);
      }
      all.push_back(text);
    }
    return all;
  }
  Grammar grammar_;
};

TEST_F(ListGrammar, elements_have_values_of_their_own) {
  const auto route = grammar_.parse("route 1 via 10 via 11 150 weight 2 via 160 last");
  ASSERT_TRUE(route) << route.error().text;
  EXPECT_EQ(elements(*route, "paths"),
            (std::vector<std::string>{"via=10 ", "via=11 port=150 weight=2 ", "port=160 "}));
  EXPECT_TRUE(route->arguments.has("last"));
  const auto acl = grammar_.parse("acl deny src 3, permit , deny src 4");
  ASSERT_TRUE(acl) << acl.error().text;
  EXPECT_EQ(elements(*acl, "rules"),
            (std::vector<std::string>{"deny=deny src=3 ", "permit=permit ", "deny=deny src=4 "}));
}

TEST_F(ListGrammar, words_after_an_element_are_expected_and_refused_by_name) {
  auto refusal = [&](const char* line) {
    const auto match = grammar_.parse(line);
    return match ? "understood" : match.error().text;
  };
  EXPECT_EQ(refusal("route 1"), "column 8: the line ends too early; accepted: via");
  EXPECT_EQ(refusal("acl deny permit"),
            "column 10: unknown input 'permit'; accepted: ,, src, <cr> (the end of the line)");
  EXPECT_EQ(refusal("acl deny,"), "column 10: the line ends too early; accepted: deny, permit");
  EXPECT_EQ(grammar_.complete("acl deny, p"), std::vector<std::string>{"permit"});
}

TEST_F(ListGrammar, json_spells_a_list_as_an_array_of_objects) {
  using nlohmann::json;
  const json paths = json::array({{{"via", 10}}, {{"via", 11}, {"weight", 2}}, {{"port", 160}}});
  const auto route = grammar_.from_json("route", {{"n", 1}, {"paths", paths}, {"last", true}});
  ASSERT_TRUE(route) << route.error().text;
  EXPECT_EQ(elements(*route, "paths"),
            (std::vector<std::string>{"via=10 ", "via=11 weight=2 ", "port=160 "}));
  EXPECT_FALSE(grammar_.from_json("route", {{"n", 1}}));
  EXPECT_FALSE(grammar_.from_json("route", {{"n", 1}, {"paths", json::array()}}));
  EXPECT_FALSE(grammar_.from_json("route", {{"n", 1}, {"paths", json::array({json::object()})}}));
  EXPECT_FALSE(grammar_.from_json("route", {{"n", 1}, {"paths", json::array({7})}}));
  EXPECT_FALSE(
      grammar_.from_json("acl", {{"rules", json::array({{{"permit", true}, {"deny", true}}})}}));
  EXPECT_TRUE(grammar_.from_json(
      "acl", {{"rules", json::array({{{"permit", true}, {"src", 1}}, {{"deny", true}}})}}));
  const json schema = grammar_.schema(0);
  EXPECT_EQ(schema["properties"]["paths"]["type"], "array");
  EXPECT_EQ(schema["properties"]["paths"]["items"]["required"], json::array());
  EXPECT_TRUE(schema["properties"]["paths"]["items"]["properties"].contains("weight"));
  EXPECT_EQ(schema["required"], (json{"n", "paths"}));
}

// Minutes, and a stack of many MiB, if an element cost more than its own words.
TEST_F(ListGrammar, list_of_8192_elements_is_understood) {
  constexpr size_t kElements = 8192;
  std::string line = "acl deny src 0";
  nlohmann::json rules = nlohmann::json::array({{{"deny", true}, {"src", 0}}});
  while (rules.size() < kElements) {
    const auto n = std::to_string(rules.size() % 10);
    line += ", permit src " + n;
    rules.push_back({{"permit", true}, {"src", n}});
  }
  const auto spoken = grammar_.parse(line);
  ASSERT_TRUE(spoken) << spoken.error().text;
  const auto spelt = grammar_.from_json("acl", {{"rules", rules}});
  ASSERT_TRUE(spelt) << spelt.error().text;
  EXPECT_EQ(elements(*spoken, "rules").size(), kElements);
  EXPECT_EQ(elements(*spoken, "rules"), elements(*spelt, "rules"));
  rules.back()["tag"] = 1;
  EXPECT_FALSE(grammar_.from_json("acl", {{"rules", rules}}));
}

}  // namespace
}  // namespace wh::router
