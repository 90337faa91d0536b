// wh lab: a whole network from one file.
#include <CLI/CLI.hpp>
#include <filesystem>

#include "apps/commands.h"
#include "apps/json.h"
#include "apps/parse.h"
#include "core/virtual_loop.h"
#include "host/output_file.h"
#include "host/system.h"
#include "lab/drawing.h"
#include "lab/keeper.h"
#include "lab/world.h"
#include "router/client.h"

namespace wh::apps {
namespace {

struct LabOptions {
  std::string file, host, svg;
  std::vector<std::string> command;
  bool is_json = false;
};

struct Loaded {
  lab::Topology topology;
  std::string text;
};

// That a file cannot be read or written is no answer, as that a lab is not up is one.
template <class T>
Result<T> of_file(Result<T> result) {
  if (!result) return fail("{}", result.error().text);
  return result;
}

Result<Loaded> load(const std::string& file) {
  std::string text = TRY(of_file(host::read_file(file)));
  auto topology = TRY(lab::parse_topology(text, file));
  return Loaded{std::move(topology), std::move(text)};
}

struct Judged {
  std::string check, why;  // Empty `why`: it holds.
};

Result<std::vector<Judged>> judge(const lab::Topology& topology, Loop& loop, host::RealLoop* real) {
  const auto world = TRY(lab::World::build(topology, loop, real));
  TRY(world->start_programs());
  std::vector<Judged> verdicts;
  for (const lab::CheckSpec& check : topology.checks) {
    const auto held = world->hold(check);
    verdicts.push_back({check.text(), held ? "" : held.error().text});
  }
  return verdicts;
}

Result<int> run(const LabOptions& options) {
  const Loaded loaded = TRY(load(options.file));
  std::vector<Judged> verdicts;
  if (loaded.topology.is_real()) {
    TRY(lab::become_builder());
    const auto loop = TRY(host::RealLoop::make());
    verdicts = TRY(judge(loaded.topology, *loop, loop.get()));
  } else {
    VirtualLoop loop;
    verdicts = TRY(judge(loaded.topology, loop, nullptr));
  }
  bool is_good = true;
  nlohmann::ordered_json all = nlohmann::ordered_json::array();
  for (const Judged& v : verdicts) {
    is_good = is_good && v.why.empty();
    all.push_back({{"check", v.check}, {"holds", v.why.empty()}, {"why", v.why}});
    if (!options.is_json) {
      fmt::print("{}  {}{}\n", v.why.empty() ? "ok    " : "FAILED", v.check,
                 v.why.empty() ? "" : ": " + v.why);
    }
  }
  if (options.is_json) {
    const nlohmann::ordered_json document = {
        {"lab", loaded.topology.name}, {"good", is_good}, {"checks", all}};
    fmt::print("{}", to_text(document));
  }
  return is_good ? 0 : kNo;
}

Result<int> up(const LabOptions& options) {
  const Loaded loaded = TRY(load(options.file));
  if (!loaded.topology.is_real()) {
    return fail("{}: every host is a vnet, so it runs in virtual time: use wh lab run",
                options.file);
  }
  TRY(lab::bring_up(loaded.topology, loaded.text));
  fmt::print("lab {} is up: {} hosts, {} links\n", loaded.topology.name,
             loaded.topology.hosts.size(), loaded.topology.links.size());
  return 0;
}

// FILE, or the name of a lab that is up.
Result<std::string> name_of(const std::string& file) {
  for (std::string& name : TRY(lab::labs_up())) {
    if (name == file) return std::move(name);
  }
  std::error_code ignored;
  if (!std::filesystem::exists(file, ignored)) {
    return tl::unexpected(Error{std::errc::no_such_file_or_directory,
                                fmt::format("no lab {0} is up, and there is no file {0}", file)});
  }
  return TRY(load(file)).topology.name;
}

Result<int> down(const LabOptions& options) {
  const std::string name = TRY(name_of(options.file));
  TRY(lab::take_down(name));
  fmt::print("lab {} is down\n", name);
  return 0;
}

Result<int> exec(const LabOptions& options) {
  const Loaded loaded = TRY(load(options.file));
  const lab::PlaceSpec* place = loaded.topology.host(options.host);
  if (place == nullptr) return fail("lab {} has no host '{}'", loaded.topology.name, options.host);
  if (place->kind == lab::PlaceKind::Jail) {
    auto registry = TRY(jail::Registry::open());
    const auto inside = TRY(jail::Jail::open(TRY(registry.find(options.host))));
    return jail::run_inside(inside, options.command);
  }
  if (place->kind == lab::PlaceKind::Vnet) {
    return fail("'{}' is a vnet, which takes no commands; kind = \"router\" does", options.host);
  }
  const std::string socket = lab::router_socket(loaded.topology.name, options.host);
  auto client = router::Client::connect(socket);
  if (!client)
    return tl::unexpected(std::move(client.error()).within("lab " + loaded.topology.name));
  return client->run(fmt::format("{}", fmt::join(options.command, " ")), options.is_json);
}

Result<int> show(const LabOptions& options) {
  const Loaded loaded = TRY(load(options.file));
  if (!options.svg.empty()) {
    auto file = TRY(of_file(host::OutputFile::create(options.svg)));
    TRY(of_file(file.finish(lab::to_svg(loaded.topology))));
    return 0;
  }
  fmt::print("{}", options.is_json ? lab::to_json(loaded.topology) : lab::to_text(loaded.topology));
  return 0;
}

Result<int> list_up(const LabOptions&) {
  for (const std::string& name : TRY(lab::labs_up())) fmt::print("{}\n", name);
  return 0;
}

int finish(const Result<int>& status) {
  if (status) return *status;
  fmt::print(stderr, "wh lab: {}\n", status.error().text);
  return status.error().code == std::errc::no_such_file_or_directory ? kNo : kUsage;
}

}  // namespace

int lab_main(int argc, char** argv) {
  CLI::App app{"A whole network from one file: jails, vnets, routers, links, programs, checks."};
  app.name("wh lab");
  app.require_subcommand(1);
  app.footer(
      "example:\n  wh lab run examples/lab/router.toml\n  wh lab up examples/lab/router.toml\n"
      "  wh lab exec examples/lab/router.toml client ping -c 3 10.2.0.2\n"
      "  wh lab down examples/lab/router.toml");
  LabOptions options;
  Result<int> (*action)(const LabOptions&) = nullptr;
  const auto add = [&](const char* name, const char* help,
                       Result<int> (*run_it)(const LabOptions&)) {
    CLI::App* command = app.add_subcommand(name, help);
    command->callback([&action, run_it] { action = run_it; });
    if (run_it != list_up) command->add_option("FILE", options.file, "the lab's file")->required();
    return command;
  };
  add("run", "build it, hold its checks against it, and take it down", run)
      ->add_flag("--json", options.is_json, "verdicts as JSON");
  add("up", "build it and leave it up: all of it, or nothing", up);
  CLI::App* in =
      add("exec", "run a program in a jail, or a command in a router, of a lab that is up", exec);
  in->add_option("HOST", options.host)->required();
  in->add_option("COMMAND", options.command)->required();
  // From COMMAND on the words are the command's own, options too.
  const std::vector<std::string> all(argv + 1, argv + argc);
  constexpr std::ptrdiff_t kBeforeCommand = 3;  // exec FILE HOST
  if (std::ssize(all) > kBeforeCommand && all[0] == "exec") {
    options.file = all[1];
    options.host = all[2];
    options.command.assign(all.begin() + kBeforeCommand, all.end());
    return finish(exec(options));
  }
  add("down", "take it down", down);
  CLI::App* draw = add("show", "draw it", show);
  draw->add_option("--svg", options.svg, "write a picture to this file ('-': standard output)");
  draw->add_flag("--json", options.is_json, "as JSON");
  add("list", "the labs that are up", list_up);
  for (CLI::App* command : app.get_subcommands({})) refuse_empty(*command);
  if (const auto status = parse(app, argc, argv)) return *status;
  return finish(action(options));
}

}  // namespace wh::apps
