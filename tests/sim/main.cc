// usage: wh-sim [NAME] [--seed=N | --seeds=N] [--from=N]
//
// Runs simulations over seeds, and says of a failing seed how to run it again. Without a name: all
// of them.
#include <fmt/format.h>

#include <array>
#include <charconv>
#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <string>
#include <string_view>

#include "sim.h"

namespace {

using wh::sim::Simulation;

constexpr std::array kSimulations = {
    Simulation{"tcp_bulk", "every byte stream arrives intact, and every checker is silent",
               wh::sim::tcp_bulk},
    Simulation{"determinism", "two runs of one seed give the same report and capture",
               wh::sim::determinism},
    Simulation{"pcm_neighbour",
               "fcc=auto takes no more of a loss-based neighbour's fair share than the default",
               wh::sim::pcm_neighbour},
};

// For the handler of a failed CHECK, which has no other way to know.
const char* g_name = "";
uint64_t g_seed = 0;

void on_abort(int) {
  std::fprintf(stderr, "replay: ./x sim %s --seed=%llu\n", g_name,
               static_cast<unsigned long long>(g_seed));
  std::signal(SIGABRT, SIG_DFL);
  std::abort();
}

// Returns whether every seed held.
bool run(const Simulation& simulation, uint64_t from, uint64_t seeds) {
  uint64_t events = 0, bytes = 0, failures = 0;
  g_name = simulation.name.data();
  for (g_seed = from; g_seed - from < seeds; ++g_seed) {
    const auto outcome = simulation.run(g_seed);
    if (!outcome) {
      ++failures;
      fmt::print("{} seed {}: {}\nreplay: ./x sim {} --seed={}\n", simulation.name, g_seed,
                 outcome.error().text, simulation.name, g_seed);
      continue;
    }
    events += outcome->events;
    bytes += outcome->bytes;
    if (seeds == 1) fmt::print("{} seed {}: {}\n", simulation.name, g_seed, outcome->world);
  }
  fmt::print("{}: {} seeds from {}, {} failed; {} events, {} bytes: {}\n", simulation.name, seeds,
             from, failures, events, bytes, simulation.claims);
  std::fflush(stdout);
  return failures == 0;
}

int usage(std::FILE* to) {
  fmt::print(to, "usage: ./x sim [NAME] [--seed=N | --seeds=N] [--from=N]\n");
  for (const Simulation& s : kSimulations) fmt::print(to, "  {:<13} {}\n", s.name, s.claims);
  return to == stdout ? 0 : 2;
}

bool read_number(std::string_view word, std::string_view key, uint64_t& out) {
  if (!word.starts_with(key)) return false;
  const char* end = word.data() + word.size();
  const auto [stop, error] = std::from_chars(word.data() + key.size(), end, out);
  return error == std::errc() && stop == end;
}

}  // namespace

int main(int argc, char** argv) {
  std::string name;
  uint64_t seeds = 100, from = 1, seed = 0;
  for (int i = 1; i < argc; ++i) {
    const std::string_view word = argv[i];
    if (word == "--help" || word == "-h") return usage(stdout);
    if (read_number(word, "--seed=", seed)) {
      from = seed;
      seeds = 1;
    } else if (!read_number(word, "--seeds=", seeds) && !read_number(word, "--from=", from)) {
      if (word.starts_with("-") || !name.empty()) return usage(stderr);
      name = word;
    }
  }
  if (seeds == 0) return usage(stderr);  // Which would hold whatever is wrong.
  std::signal(SIGABRT, on_abort);
  bool found = false, held = true;
  for (const Simulation& simulation : kSimulations) {
    if (!name.empty() && name != simulation.name) continue;
    found = true;
    held = run(simulation, from, seeds) && held;
  }
  if (!found) return usage(stderr);
  return held ? 0 : 1;
}
