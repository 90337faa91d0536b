// Two runs of one seed give the same report and the same capture, byte for byte.
#include <unistd.h>

#include <filesystem>

#include "host/system.h"
#include "lab/experiment.h"
#include "sim.h"
#include "world.h"

namespace wh::sim {
namespace {

Result<std::string> run_once(const lab::LabSpec& spec, Outcome& outcome) {
  const std::string path =
      std::filesystem::temp_directory_path() / fmt::format("wh-sim-{}.pcap", ::getpid());
  auto experiment = TRY(lab::Experiment::make(spec, {.captures = {{"", path}}}));
  experiment->run([](Duration) {});
  TRY(experiment->finish());
  outcome.events = experiment->loop().events_handled();
  outcome.world = net::to_string(spec.links[0].config);
  std::string bytes = lab::to_json(experiment->report()) + TRY(host::read_file(path));
  std::filesystem::remove(path);
  return bytes;
}

}  // namespace

Result<Outcome> determinism(uint64_t seed) {
  lab::LabSpec spec = random_lab(seed);
  spec.duration = 20s;
  Outcome outcome;
  const std::string first = TRY(run_once(spec, outcome));
  const std::string second = TRY(run_once(spec, outcome));
  outcome.bytes = first.size();
  if (first != second) {
    const auto at = std::mismatch(first.begin(), first.end(), second.begin(), second.end());
    return fail("two runs differ at byte {} of {}", at.first - first.begin(), first.size());
  }
  return outcome;
}

}  // namespace wh::sim
