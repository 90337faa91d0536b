// Runs a fuzz target without libFuzzer, so that every build and every compiler replays its corpus.
//
// usage: TARGET [CORPUS_DIR...] [--seed=N] [--runs=N]
// A folder that is missing or empty is an error. Each file of the corpus is fed as it is, then
// mutated by a seeded generator `runs` times. A failure prints the seed that repeats the run, and
// the input that did it is written to crash-<seed>-<run>.
#include <algorithm>
#include <charconv>
#include <csignal>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "core/random.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size);

namespace {

using Input = std::vector<uint8_t>;
uint64_t g_seed = 1;
uint64_t g_run = 0;
Input g_input;

[[noreturn]] void refuse(std::string_view word, const char* why) {
  std::fprintf(stderr, "fuzz: %.*s: %s; usage: [CORPUS_DIR...] [--seed=N] [--runs=N]\n",
               static_cast<int>(word.size()), word.data(), why);
  std::exit(2);
}

void report_and_keep() {
  char name[64];
  std::snprintf(name, sizeof name, "crash-%llu-%llu", static_cast<unsigned long long>(g_seed),
                static_cast<unsigned long long>(g_run));
  if (std::FILE* f = std::fopen(name, "wb")) {
    std::fwrite(g_input.data(), 1, g_input.size(), f);
    std::fclose(f);
  }
  std::fprintf(stderr, "fuzz: failed at run %llu; input kept in %s; replay: --seed=%llu\n",
               static_cast<unsigned long long>(g_run), name,
               static_cast<unsigned long long>(g_seed));
}

void on_abort(int) {
  report_and_keep();
  std::signal(SIGABRT, SIG_DFL);
  std::abort();
}

void feed(Input input) {
  g_input = std::move(input);
  // A block of exactly this size, so that a read past the end is one for the sanitizer too.
  const auto exact = std::make_unique<uint8_t[]>(g_input.size());
  std::copy(g_input.begin(), g_input.end(), exact.get());
  LLVMFuzzerTestOneInput(exact.get(), g_input.size());
  ++g_run;
}

Input mutate(Input in, wh::Random& random) {
  const uint64_t edits = 1 + random.below(8);
  for (uint64_t i = 0; i < edits; ++i) {
    const uint64_t at = random.below(in.size() + 1);
    switch (random.below(4)) {
      case 0:
        if (at < in.size()) in[at] = static_cast<uint8_t>(random.below(256));
        break;
      case 1:
        if (at < in.size()) in[at] = static_cast<uint8_t>(in[at] ^ (1u << random.below(8)));
        break;
      case 2: in.resize(at); break;
      default:
        in.insert(in.begin() + static_cast<std::ptrdiff_t>(at),
                  static_cast<uint8_t>(random.below(256)));
    }
  }
  return in;
}

// The number behind `key` in a word; false when the word does not begin so.
bool take_number(std::string_view word, std::string_view key, uint64_t& number) {
  if (!word.starts_with(key)) return false;
  const char* end = word.data() + word.size();
  const auto [stop, error] = std::from_chars(word.data() + key.size(), end, number);
  if (error != std::errc() || stop != end) refuse(word, "not a whole number");
  return true;
}

// All inputs of a folder. None would be a target that looks as if it were tested.
void add_corpus(const std::string& folder, std::vector<Input>& corpus) {
  if (!std::filesystem::is_directory(folder)) refuse(folder, "no such corpus folder");
  std::vector<std::filesystem::path> files;
  for (const auto& entry : std::filesystem::directory_iterator(folder)) files.push_back(entry);
  if (files.empty()) refuse(folder, "a corpus without an input");
  std::sort(files.begin(), files.end());
  for (const auto& path : files) {
    std::ifstream f(path, std::ios::binary);
    corpus.emplace_back(std::istreambuf_iterator<char>(f), std::istreambuf_iterator<char>());
  }
}

}  // namespace

// A sanitizer that found something aborts, so that on_abort() hears of it.
extern "C" const char* __asan_default_options() {
  return "abort_on_error=1";
}
extern "C" const char* __ubsan_default_options() {
  return "abort_on_error=1";
}

int main(int argc, char** argv) {
  std::vector<Input> corpus;
  uint64_t runs = 2000;
  for (int i = 1; i < argc; ++i) {
    const bool is_number =
        take_number(argv[i], "--seed=", g_seed) || take_number(argv[i], "--runs=", runs);
    if (!is_number) add_corpus(argv[i], corpus);
  }
  std::signal(SIGABRT, on_abort);
  for (const Input& input : corpus) feed(input);
  if (corpus.empty()) corpus.push_back(Input(64, 0));
  wh::Random random(g_seed);
  for (uint64_t i = 0; i < runs; ++i) feed(mutate(corpus[random.below(corpus.size())], random));
  std::signal(SIGABRT, SIG_DFL);  // What leaked is found at the end, and is no single run's.
  std::printf("%zu corpus inputs and %llu mutations, seed %llu\n", corpus.size(),
              static_cast<unsigned long long>(runs), static_cast<unsigned long long>(g_seed));
  return 0;
}
