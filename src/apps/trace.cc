// wh trace: prints a link that varies, as a file in the mahimahi format.
#include <CLI/CLI.hpp>
#include <cstdio>

#include "apps/commands.h"
#include "apps/parse.h"
#include "host/output_file.h"
#include "lab/synthetic.h"

namespace wh::apps {
namespace {

std::string footer() {
  return fmt::format(
      "Names, and what they stand for:\n{}"
      "\nExample:\n"
      "  wh trace cellular:12Mbps:7 -o cell.down\n"
      "  wh pace --link trace=cell.down,delay=20ms,buffer=300ms --flow cubic\n"
      "  wh pace --link trace=cellular:12Mbps:7,delay=20ms,buffer=300ms --flow cubic    # the same",
      lab::kSyntheticForms);
}

Result<void> run(const std::string& name, const std::string& path) {
  if (!lab::is_synthetic(name)) {
    return fail(
        "'{}' names no link; accepted: steps:..., ramp:..., outage:..., cellular:... "
        "(see --help)",
        name);
  }
  const std::string text = TRY(lab::make_trace(name));
  host::OutputFile file = TRY(host::OutputFile::create(path));
  return file.finish(text);
}

}  // namespace

int trace_main(int argc, char** argv) {
  CLI::App app(
      "Prints the delivery opportunities of a link that varies: one line for each 1500-byte\n"
      "packet, in milliseconds from the start; at the end it repeats.",
      "wh trace");
  std::string name, path = "-";
  app.footer(footer());
  app.add_option("name", name, "What to print (names below)")->required();
  app.add_option("-o,--output", path, "Write it to this file (- for standard output) [-]");
  refuse_empty(app);
  if (const auto status = parse(app, argc, argv)) return *status;
  if (auto done = run(name, path); !done) {
    fmt::print(stderr, "wh trace: {}\n", done.error().text);
    return kUsage;
  }
  return kYes;
}

}  // namespace wh::apps
