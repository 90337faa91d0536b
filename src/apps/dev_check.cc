// wh dev test, wh dev new, wh dev cflags: what a driver's author uses.
//
// Each check of the conformance suite runs in a child, so that a driver that crashes or hangs costs
// that check and no more. With --sanitize the driver is built with the sanitizer, whose library is
// loaded before this program, and only real threads are used: it is them it watches.
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/stat.h>

#include <chrono>
#include <filesystem>
#include <fstream>
#include <sstream>

#include "apps/commands.h"
#include "apps/dev.h"
#include "apps/json.h"
#include "dev/conformance.h"
#include "dev/fuse/shared_object_loader.h"
#include "dev/fuse/stress.h"
#include "host/child.h"
#include "host/system.h"

namespace wh::apps {
namespace {

std::filesystem::path prefix() {
  std::error_code failed;
  return std::filesystem::read_symlink("/proc/self/exe", failed).parent_path().parent_path();
}

struct Verdict {
  std::string check, asks;
  std::vector<dev::Finding> findings;
  std::string ended;  // Of a child that did not end well.
  bool passes() const { return findings.empty() && ended.empty(); }
};

// What a child has to say, one finding a line, and its end.
using Work = std::function<std::vector<dev::Finding>()>;
Result<void> run_in_child(Verdict& verdict, Duration patience, const Work& work) {
  host::Pipe pipe = TRY(host::make_pipe());
  host::Child child =
      TRY(host::Child::run({.name = verdict.check, .keep = {pipe.write_end.raw()}}, [&] {
        std::string text;
        for (const dev::Finding& f : work()) text += fmt::format("{}\t{}\n", f.seed, f.text);
        return host::write_all(pipe.write_end.raw(), text) ? 0 : 1;
      }));
  pipe.write_end.close();
  ::pollfd p = {pipe.read_end.raw(), POLLIN, 0};
  const auto wait = std::chrono::duration_cast<std::chrono::milliseconds>(patience);
  const int ready =
      host::uninterrupted([&] { return ::poll(&p, 1, static_cast<int>(wait.count())); });
  if (ready == 0) {
    child.kill(SIGKILL);
    verdict.ended =
        fmt::format("nothing came back in {}: a method that never returns?", to_string(patience));
  }
  std::istringstream lines(TRY(host::read_to_end(pipe.read_end.raw())));
  for (std::string line; std::getline(lines, line);) {
    const size_t tab = line.find('\t');
    if (tab == std::string::npos) continue;
    verdict.findings.push_back({std::strtoull(line.c_str(), nullptr, 10), line.substr(tab + 1)});
  }
  const host::ExitStatus status = child.wait();
  if (verdict.ended.empty() && !status.is_success()) verdict.ended = to_string(status);
  return {};
}

std::vector<dev::Finding> run_stress(dev::ModuleLoader& loader, const TestFlags& flags) {
  const dev::StressResult result =
      dev::stress(loader, {.driver = flags.driver, .time = flags.time, .seed = flags.seed});
  std::vector<dev::Finding> findings;
  for (const std::string& text : result.findings) findings.push_back({flags.seed, text});
  return findings;
}

void print(const std::vector<Verdict>& verdicts, const TestFlags& flags) {
  if (flags.json) {
    nlohmann::ordered_json all = nlohmann::ordered_json::array();
    for (const Verdict& v : verdicts) {
      nlohmann::ordered_json findings = nlohmann::ordered_json::array();
      for (const dev::Finding& f : v.findings) {
        findings.push_back({{"seed", f.seed}, {"text", f.text}});
      }
      all.push_back({{"check", v.check},
                     {"asks", v.asks},
                     {"passes", v.passes()},
                     {"ended", v.ended},
                     {"findings", findings}});
    }
    fmt::print("{}", to_text(all));
    return;
  }
  size_t passed = 0;
  for (const Verdict& v : verdicts) {
    if (v.passes()) ++passed;
    fmt::print("{:<9} {:<6} {}\n", v.check, v.passes() ? "passes" : "FAILS", v.asks);
    if (!v.ended.empty()) fmt::print("          {}\n", v.ended);
    for (const dev::Finding& f : v.findings) fmt::print("          seed {}: {}\n", f.seed, f.text);
  }
  fmt::print("{} of {} checks pass\n", passed, verdicts.size());
}

// cc -shared of a source file, into `folder`. The driver's name is the file's.
Result<std::string> build(const TestFlags& flags, const std::string& folder) {
  const std::filesystem::path source = flags.driver;
  const std::string out = folder + "/" + source.stem().string() + ".so";
  const bool is_cxx = source.extension() != ".c";
  std::vector<std::string> command = {is_cxx ? "c++" : "cc", "-g", "-O1"};
  if (is_cxx) command.emplace_back("-std=c++20");
  for (std::string& flag : driver_flags()) command.push_back(std::move(flag));
  if (!flags.sanitize.empty()) command.push_back("-fsanitize=" + flags.sanitize);
  command.insert(command.end(), {"-o", out, source.string()});
  host::Child compiler = TRY(host::Child::run_program({.name = command[0]}, command));
  if (!compiler.wait().is_success()) return fail("{} does not compile", source.string());
  return out;
}

Result<int> run_sanitized(const TestFlags& flags) {
  const std::string name = flags.sanitize == "address" ? "libasan.so" : "libtsan.so";
  host::Pipe pipe = TRY(host::make_pipe());
  host::Child finder = TRY(host::Child::run_program(
      {.name = "cc", .standard_output = pipe.write_end.raw()}, {"cc", "-print-file-name=" + name}));
  pipe.write_end.close();
  std::string library = TRY(host::read_to_end(pipe.read_end.raw()));
  finder.wait();
  while (!library.empty() && library.back() == '\n') library.pop_back();
  if (library.find('/') == std::string::npos) return fail("the compiler has no {}", name);
  ::setenv("LD_PRELOAD", library.c_str(), 1);
  ::setenv("TSAN_OPTIONS", "exitcode=66 report_signal_unsafe=0", 0);
  ::setenv("ASAN_OPTIONS", "detect_leaks=0", 0);
  const std::string self = (prefix() / "bin/wh").string();
  host::Child child = TRY(host::Child::run_program(
      {.name = "wh"}, {self, "dev", "test", "--threads-only", flags.driver, "--seed",
                       std::to_string(flags.seed), "--time", to_string(flags.time)}));
  ::unsetenv("LD_PRELOAD");
  const host::ExitStatus status = child.wait();
  if (status.is_success()) return kYes;
  fmt::print("the {} sanitizer's run: {}\n", flags.sanitize, to_string(status));
  return kNo;
}

}  // namespace

std::vector<std::string> driver_flags() {
  const std::string kit = (prefix() / "include/wheelhouse").string();
  return {"-DWH_DRIVER", "-isystem", kit + "/freebsd", "-isystem",           kit,
          "-fPIC",       "-shared",  "-fexceptions",   "-fvisibility=hidden"};
}

Result<int> run_driver_tests(TestFlags flags) {
  const std::string extension = std::filesystem::path(flags.driver).extension();
  std::string folder;
  if (extension == ".c" || extension == ".cc") {
    folder = std::filesystem::temp_directory_path() / "wh-driver-XXXXXX";
    if (::mkdtemp(folder.data()) == nullptr) return host::os_error("make a folder {}", folder);
    auto built = build(flags, folder);
    if (!built) std::filesystem::remove_all(folder);
    flags.driver = TRY(std::move(built));
  } else if (!flags.sanitize.empty()) {
    return fail("--sanitize builds the driver: give its source, such as {}.c", flags.driver);
  }
  struct Sweep {
    std::string folder;
    ~Sweep() {
      std::error_code failed;
      if (!folder.empty()) std::filesystem::remove_all(folder, failed);
    }
  } const sweep{folder};
  flags.driver = absolute_driver(flags.driver);
  if (!flags.sanitize.empty()) return run_sanitized(flags);

  dev::SharedObjectLoader loader(driver_path(flags.paths));
  std::vector<Verdict> verdicts;
  const auto wants = [&](std::string_view name) {
    return flags.check.empty() ? !flags.threads_only || name == "threads" : flags.check == name;
  };
  TRY(loader.load(flags.driver));  // Says what is wrong with the file before anything runs.
  for (const dev::Check& check : dev::conformance_checks()) {
    if (!wants(check.name)) continue;
    Verdict& verdict = verdicts.emplace_back(Verdict{check.name, check.asks, {}, ""});
    // A seed takes milliseconds; with a sanitizer, tens of them.
    TRY(run_in_child(verdict, flags.patience + flags.seeds * 60ms, [&] {
      return dev::run_check(check, loader, flags.driver, flags.seed, flags.seeds);
    }));
  }
  if (wants("threads")) {
    Verdict& verdict =
        verdicts.emplace_back(Verdict{"threads", "And on threads of the host's?", {}, ""});
    if (flags.threads_only) {
      verdict.findings = run_stress(loader, flags);
    } else {
      TRY(run_in_child(verdict, flags.time + flags.patience,
                       [&] { return run_stress(loader, flags); }));
    }
  }
  if (verdicts.empty()) {
    std::vector<std::string> names = {"threads"};
    for (const dev::Check& check : dev::conformance_checks()) names.emplace_back(check.name);
    return fail("no check '{}'; accepted: {}", flags.check, fmt::join(names, ", "));
  }
  print(verdicts, flags);
  const bool all =
      std::all_of(verdicts.begin(), verdicts.end(), [](const Verdict& v) { return v.passes(); });
  return all ? kYes : kNo;
}

Result<void> make_driver(const std::string& name) {
  const bool is_word = !name.empty() && name.size() <= 32 &&
                       std::all_of(name.begin(), name.end(),
                                   [](unsigned char c) { return std::isalnum(c) || c == '_'; }) &&
                       !std::isdigit(static_cast<unsigned char>(name[0]));
  if (!is_word) {
    return fail("'{}' is no name for a driver; accepted: up to 32 letters, digits and _", name);
  }
  std::string source = TRY(host::read_file((prefix() / "share/wheelhouse/template.c").string()));
  std::string upper = name;
  for (char& c : upper) c = static_cast<char>(std::toupper(static_cast<unsigned char>(c)));
  const auto replace = [&](const std::string& from, const std::string& to) {
    for (size_t at = 0; (at = source.find(from, at)) != std::string::npos; at += to.size()) {
      source.replace(at, from.size(), to);
    }
  };
  replace("template", name);
  replace("TEMPLATE", upper);
  if (::mkdir(name.c_str(), 0777) != 0) return host::os_error("make the folder {}", name);
  TRY(host::write_file(fmt::format("{0}/{0}.c", name), source));
  return host::write_file(name + "/Makefile",
                          fmt::format(R"(# make; make test; make test SANITIZE=thread
{0}.so: {0}.c
	$(CC) -O1 -g -Wall -Wno-unused-parameter $$(wh dev cflags) -o $@ $<
test: {0}.so
	wh dev test $(if $(SANITIZE),--sanitize $(SANITIZE) {0}.c,./{0}.so)
)",
                                      name));
}

}  // namespace wh::apps
