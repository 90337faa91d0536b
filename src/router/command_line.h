// The command line of one router: takes a line (or a JSON method and its values), finds the command
// and runs it.
//
//   CommandLine line(router);
//   auto answer = line.run("show interface");        // only what is done at once
//   auto activity = line.execute("ping 10.1.0.2", {.print = ..., .done = ...});
#pragma once

#include <span>

#include "router/command.h"

namespace wh::router {

class CommandLine {
 public:
  explicit CommandLine(Router& router);
  CommandLine(const CommandLine&) = delete;
  CommandLine& operator=(const CommandLine&) = delete;

  Router& router() { return router_; }
  const Grammar& grammar() const { return grammar_; }

  // Error: the word that was wrong and what could stand there, or what the command said. A command
  // that takes time is refused.
  Result<Answer> run(std::string_view line);
  // Runs a line that sets something. Errors: as run(), or it is another kind of command.
  Result<void> set(std::string_view line);
  // Calls out.done, now or later. An empty line is done at once. The activity must be kept until
  // then; null when it is done already.
  std::unique_ptr<Activity> execute(std::string_view line, Output out);
  // The same for a method of the JSON interface.
  std::unique_ptr<Activity> execute(std::string_view method, const nlohmann::json& params,
                                    Output out);
  // Calls `tell` with each command that every worker is to do, once it was done here. Its error
  // becomes the command's.
  using Tell = std::function<Result<void>(std::span<const Grammar::Match>)>;
  void on_done(Tell tell) { tell_ = std::move(tell); }
  // What is done between these is told at once, so that workers let no packet pass between either.
  // Error: as tell's.
  void begin_together() { is_together_ = true; }
  Result<void> end_together();
  // Does a command that another command line of the same grammar has done.
  Result<void> repeat(const Grammar::Match& match);
  // Calls `hear` with each line, and each method with its values, that execute() is given.
  void on_line(std::function<void(std::string_view)> hear) { hear_ = std::move(hear); }
  // What those who type lines here are shown before each.
  const std::string& prompt() const { return prompt_; }
  void set_prompt(std::string prompt) { prompt_ = std::move(prompt); }
  // Much is to be changed bit by bit: until it ends, run() and execute() set nothing. Error: that
  // is so already.
  Result<void> begin_change(std::string what);
  void end_change() { changing_.clear(); }
  // Scripts that run now. One may run others, each while it waits: so many are an error.
  static constexpr size_t kMostScripts = 64;
  size_t scripts() const { return scripts_; }
  void count_script(int more) { scripts_ += static_cast<size_t>(more); }
  // Whether the line would be understood, here and now.
  Result<void> check(std::string_view line) const;
  // Every method with the schema of its values.
  nlohmann::json schema() const;

  // What is set now, as lines that set it again.
  ConfigurationLines configuration() const;
  // The same bit by bit. What is set meanwhile may be missing. REQUIRES: this outlives the walk.
  ConfigurationWalk walk_configuration() const;

 private:
  Result<void> may_do(const Command& command) const;
  Result<Answer> perform(const Grammar::Match& match);
  std::unique_ptr<Activity> start(Result<Grammar::Match> match, Output out);
  void add_types();
  void add_known_types();
  void add_node_types();
  // `has`, if given, is quicker than to look through all of them.
  void add_known(const char* name, const char* accepts,
                 std::vector<std::string> (*list)(const vnet::Vnet&),
                 bool (*has)(const vnet::Vnet&, std::string_view) = nullptr);

  Router& router_;
  std::vector<Feature> features_;
  std::vector<const Command*> commands_;  // By the grammar's numbers.
  Grammar grammar_;
  Tell tell_;
  bool is_together_ = false;
  std::vector<Grammar::Match> untold_;  // Of what was done together.
  std::function<void(std::string_view)> hear_;
  std::string prompt_ = "vpp# ";
  std::string changing_;  // What is under way; empty: nothing.
  size_t scripts_ = 0;
};

}  // namespace wh::router
