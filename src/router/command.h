// A command: its syntax, and what it does to a router. A feature: the commands that belong together
// and the lines that recreate what they set.
//
// A command answers with text for people and the same as JSON for programs, each made when it is
// asked for. What takes time (ping, a script) is an Activity, which prints as it goes and ends by
// itself or when it is destroyed.
//
// To add a command: a row in the feature it belongs to (interface_commands.cc and its like). The
// line editor's completion, `?`, the JSON method, its schema and the manual's table follow from the
// row's syntax.
#pragma once

#include <deque>
#include <functional>
#include <memory>
#include <nlohmann/json.hpp>
#include <string>
#include <utility>
#include <vector>

#include "router/grammar.h"
#include "router/router.h"

namespace wh::router {

struct Answer {
  std::function<std::string()> text = [] { return std::string(); };
  std::function<nlohmann::json()> data = [] { return nlohmann::json(nullptr); };

  static Answer nothing() { return {}; }
  static Answer of_text(std::string text) {
    return {[text] { return text + "\n"; }, [text] { return nlohmann::json(text); }};
  }
  // Made at once.
  static Answer of_both(std::string text, nlohmann::json data) {
    return {[text = std::move(text)] { return text; }, [data = std::move(data)] { return data; }};
  }
  // Of a report that has format() and to_json() beside it.
  template <class Report>
  static Answer of(Report report) {
    auto shared = std::make_shared<Report>(std::move(report));
    return {[shared] { return format(*shared); }, [shared] { return to_json(*shared); }};
  }
};

// Work that goes on after its command was given. Destroying it stops it without a word.
class Activity {
 public:
  virtual ~Activity() = default;
  // Ctrl-C: ends it soon, with whatever it has to say at its end.
  virtual void interrupt() = 0;
  // Whether it is in the middle of what is to be done whole. Destroyed then it does the rest at
  // once, with no packet meanwhile: better interrupt it, and keep it until it is done.
  virtual bool must_end() const { return false; }
};

// Where a command's words go. `done` is called once, last, and may destroy the activity: not at
// once perhaps, and until then it may be interrupted still.
struct Output {
  std::function<void(std::string_view text)> print;
  std::function<void(Result<Answer> answer)> done;
  bool is_text = true;  // Else the answer's data is wanted, and what is printed nobody reads.
  // Whether what was printed has gone, or little of it waits. Who has much to say asks before more.
  std::function<bool()> has_room = [] { return true; };
  size_t most_data = SIZE_MAX;  // Bytes of data, as JSON, that an answer may have.

  // An error as soon as there is more, which who gathers much asks before it is too much.
  Result<void> check_data(size_t bytes) const {
    if (is_text || bytes <= most_data) return {};
    return fail("the answer has more than {} MiB; ask for less", most_data >> 20);
  }

  // Says the last word, unless it was said.
  void finish(Result<Answer> answer) {
    if (const auto last = std::exchange(done, nullptr)) last(std::move(answer));
  }
};

// The work, when it could be started; else it is done with the error, and there is none.
template <class Work>
std::unique_ptr<Activity> begun(std::unique_ptr<Work> work, Result<void> started,
                                const std::function<void(Result<Answer>)>& done) {
  if (started) return work;
  work.reset();
  done(tl::unexpected(std::move(started.error())));
  return nullptr;
}

class CommandLine;

// One of `set`, `run` and `start` is given; or the last two of a command that may be long, which is
// then done at once only where nothing can wait.
struct Command {
  std::string syntax, help;
  using Run = std::function<Result<Answer>(Router&, const Arguments&)>;
  // Either answers at once,
  Run run = {};
  // or sets something that lasts, and may stand in a configuration,
  Run set = {};
  // or starts something; nullptr when it was done at once (and `done` was called).
  std::function<std::unique_ptr<Activity>(CommandLine&, const Arguments&, Output)> start = {};
  // Whether every worker does it as well, as it does what is set.
  bool everywhere = false;
};

inline Command everywhere(std::string syntax, std::string help, Command::Run run) {
  return {.syntax = std::move(syntax),
          .help = std::move(help),
          .run = std::move(run),
          .everywhere = true};
}
inline Command setting(std::string syntax, std::string help, Command::Run set) {
  return {.syntax = std::move(syntax), .help = std::move(help), .set = std::move(set)};
}

// The address to speak to another from, by `source <interface>` among a command's words, whose
// table then is the one to do it in; unspecified without that word. Errors: it has no such address;
// `table` or `table-id` names another table.
Result<net::IpAddress> source_of(const Router& router, const Arguments& a, const net::IpAddress& to,
                                 uint16_t& table);

// When a line is set as a whole configuration is loaded, while packets pass: first what there is
// (interfaces, tables), then, in one step, what of it packets must not pass, and
// whether they are routed at all or bridged; then the ways that they take; and interfaces are up
// last.
enum class LoadStage : uint8_t { Base, Filter, Way, Up };

// A line that sets something, and one that takes it back; none, when nothing can.
struct ConfigurationLine {
  std::string line, undo;
  // Lines of one order mean something else in another (an interface's first address is the one it
  // speaks with). Those without one may stand anywhere.
  std::string order = {};
  // What it made is not there any more: it is to be taken back and set again.
  bool is_stale = false;
  LoadStage stage = LoadStage::Way;  // Or its feature's.
  bool operator==(const ConfigurationLine&) const = default;
};

// There may be a million: a deque grows and shrinks without a long moment.
using ConfigurationLines = std::deque<ConfigurationLine>;
// A configuration bit by bit: each call appends some lines; false: those were the last.
using ConfigurationWalk = std::function<bool(ConfigurationLines&)>;

struct Feature {
  std::vector<Command> commands;
  // Appends what is set now, in an order in which it can be set.
  std::function<void(const Router&, ConfigurationLines&)> configuration =
      [](const Router&, ConfigurationLines&) {};
  // Of one that may have very many, in place of that: the same a quarter of a millisecond's work at
  // a time. The router must outlive the walk.
  std::function<ConfigurationWalk(const Router&)> walk = {};
  LoadStage stage = LoadStage::Way;  // Of lines that have no other.
};

// In the order in which their lines appear in a configuration.
std::vector<Feature> all_features();
Feature port_feature();           // create, delete
Feature virtual_feature();        // loopbacks and sub-interfaces
Feature table_feature();          // ip table: VRFs
Feature interface_feature();      // set interface, show interface
Feature bridge_feature();         // bridge domains
Feature ip_feature();             // addresses and neighbours
Feature route_feature();          // routes, source checks
Feature acl_feature();            // access lists
Feature policer_feature();        // policers
Feature nat_feature();            // NAT44
Feature advertisement_feature();  // router advertisements
Feature dhcp_feature();           // DHCP server, relay, client
Feature app_feature();            // echo servers and clients, sessions
Feature analysis_feature();       // runtime, errors, trace, graph
Feature session_feature();        // ping, quit, sysctl
Feature configuration_feature();  // configuration save, load, diff, check; exec

}  // namespace wh::router
