// Writes a results file while a run goes on: every finished case is committed before the next
// begins.
//
// The schema is Kyua's, version 3, so Kyua's own tools read the file. Differences that they do not
// see: properties at their defaults are not stored (Kyua stores each, twice, and then shows a
// case's default over what the Kyuafile said of the program); and tables of ours with names in wh_
// hold how the run ended, what each body used, and earlier attempts. The journal is a write-ahead
// log, whose commits survive `kill -9` of the runner; finish() folds it into the one file.
#pragma once

#include <map>
#include <memory>
#include <optional>
#include <string>
#include <string_view>

#include "kyua/case_process.h"
#include "kyua/model.h"
#include "kyua/store/sqlite.h"

namespace wh::kyua {

struct RunContext {
  std::string cwd;
  std::map<std::string, std::string> environment;
};

// What is kept of a case that is over.
struct StoredCase {
  TestResult result;
  WallTime start, end;
  Usage usage;
  std::string_view out, err;
  int attempts = 1;
};

class ResultsWriter {
 public:
  static constexpr int kSchemaVersion = 3;
  // Makes the file and its schema. Errors: it cannot be written; another run is writing it.
  static Result<ResultsWriter> create(const std::string& path, const RunContext& context);

  Result<void> add(const TestProgram& program, const std::string& case_name,
                   const Metadata& case_metadata, const StoredCase& stored);
  // `state` is "finished" or "interrupted".
  Result<void> finish(std::string_view state);

 private:
  explicit ResultsWriter(Database database) : database_(std::move(database)) {}
  Result<void> prepare();
  Result<int64_t> add_metadata(const Metadata& metadata);
  Result<int64_t> program_id(const TestProgram& program);
  Result<void> add_file(int64_t test_case, std::string_view name, std::string_view contents);

  Database database_;
  std::map<std::string, int64_t> programs_;  // By everything that tells two registrations apart.
  int64_t next_metadata_ = 0;
  std::optional<Statement> insert_metadata_, insert_program_, insert_case_, insert_result_,
      insert_usage_, insert_file_, insert_case_file_;
};

// The whole schema, for databases made here and by migrations.
const std::string& schema_v3();

}  // namespace wh::kyua
