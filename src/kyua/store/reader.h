// Reads a results file, ours or Kyua's: the context, and the cases one by one.
#pragma once

#include <functional>
#include <map>
#include <set>
#include <string>

#include "kyua/model.h"
#include "kyua/store/sqlite.h"
#include "kyua/store/writer.h"

namespace wh::kyua {

// A case as it was stored. Output is fetched only when asked for.
struct ReadCase {
  int64_t id = 0;
  TestProgram program;
  std::string name;
  Metadata metadata;  // The case's over its program's.
  TestResult result;
  WallTime start, end;
  Usage usage;  // Zero in a file that Kyua wrote.
  int attempts = 1;
  Duration duration() const { return end - start; }
};

class ResultsReader {
 public:
  // Errors: no such file; a schema that is too old (with the remedy) or newer than this program.
  static Result<ResultsReader> open(const std::string& path);

  // Errors: "no data" when the run that wrote the file kept nothing.
  Result<RunContext> context();
  // By absolute path of the program, then by case name.
  Result<void> each_case(const std::function<Result<void>(const ReadCase&)>& action);
  Result<std::string> output(const ReadCase& read);  // Standard output; empty if there was none.
  Result<std::string> errors(const ReadCase& read);
  // "finished", "interrupted" or "running" (or killed); empty in a file of Kyua's.
  std::string state();

 private:
  ResultsReader(Database database, bool has_our_tables)
      : database_(std::move(database)), has_our_tables_(has_our_tables) {}
  Result<Metadata> metadata(int64_t id);

  Database database_;
  bool has_our_tables_;
};

// What is kept of a case under a name, such as __STDOUT__; empty if there is nothing.
Result<std::string> case_file(Database& database, int64_t test_case, std::string_view name);

// The schema version of an open results file. Errors: it is none.
Result<int64_t> schema_version(Database& database);

}  // namespace wh::kyua
