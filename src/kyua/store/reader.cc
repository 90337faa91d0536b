#include "kyua/store/reader.h"

namespace wh::kyua {

Result<int64_t> schema_version(Database& database) {
  Statement s = TRY(database.prepare("SELECT MAX(schema_version) FROM metadata"));
  if (!TRY(s.step()) || s.is_null(0)) return fail("no data");
  return s.integer(0);
}

Result<ResultsReader> ResultsReader::open(const std::string& path) {
  Database database = TRY(Database::open(path, Database::Mode::ReadOnly));
  const int64_t version = TRY(schema_version(database));
  if (version < ResultsWriter::kSchemaVersion) {
    return fail(
        "The database has schema version {}, which is too old; please use db-migrate to "
        "upgrade it",
        version);
  }
  if (version > ResultsWriter::kSchemaVersion) {
    return fail("The database has schema version {}, which is newer than this program's version {}",
                version, ResultsWriter::kSchemaVersion);
  }
  bool has_our_tables = false;
  {
    Statement s = TRY(database.prepare("SELECT 1 FROM sqlite_master WHERE name = 'wh_usage'"));
    has_our_tables = TRY(s.step());
  }
  return ResultsReader(std::move(database), has_our_tables);
}

Result<RunContext> ResultsReader::context() {
  RunContext context;
  Statement cwd = TRY(database_.prepare("SELECT cwd FROM contexts"));
  if (!TRY(cwd.step())) return fail("Error loading context: no data");
  context.cwd = cwd.text(0);
  Statement variables = TRY(database_.prepare("SELECT var_name, var_value FROM env_vars"));
  while (TRY(variables.step())) context.environment[variables.text(0)] = variables.text(1);
  return context;
}

std::string ResultsReader::state() {
  if (!has_our_tables_) return "";
  auto s = database_.prepare("SELECT value FROM wh_run WHERE name = 'state'");
  return s && s->step().value_or(false) ? s->text(0) : "";
}

Result<Metadata> ResultsReader::metadata(int64_t id) {
  static const auto defaults = Metadata{}.with_defaults();
  Metadata all;
  Statement s = TRY(database_.prepare(
      "SELECT property_name, property_value FROM metadatas WHERE metadata_id = ?"));
  s.bind(1, id);
  while (TRY(s.step())) {
    // Kyua stores every default too, where it would hide what the program says.
    const auto fallback = defaults.find(s.text(0));
    const bool is_default = fallback != defaults.end() && fallback->second == s.text(1);
    if (is_default && !has_our_tables_) continue;
    // A property of a later Kyua is shown by nobody, but no reason to refuse the file.
    (void)all.set(s.text(0), s.text(1));
  }
  return all;
}

Result<void> ResultsReader::each_case(const std::function<Result<void>(const ReadCase&)>& action) {
  std::string sql =
      "SELECT test_cases.test_case_id, interface, root, relative_path, test_suite_name, "
      "test_programs.metadata_id, test_cases.name, test_cases.metadata_id, result_type, "
      "result_reason, start_time, end_time";
  sql += has_our_tables_ ? ", user_us, system_us, peak_bytes, attempts" : ", 0, 0, 0, 1";
  sql +=
      " FROM test_programs JOIN test_cases USING (test_program_id) JOIN test_results USING "
      "(test_case_id)";
  if (has_our_tables_) sql += " LEFT JOIN wh_usage USING (test_case_id)";
  sql += " ORDER BY absolute_path, test_cases.name, test_case_id";
  Statement s = TRY(database_.prepare(sql));
  while (TRY(s.step())) {
    ReadCase read;
    read.id = s.integer(0);
    read.program = {s.text(1), s.text(2), s.text(3), s.text(4), TRY(metadata(s.integer(5)))};
    read.name = s.text(6);
    read.metadata = read.program.metadata.under(TRY(metadata(s.integer(7))));
    const auto verdict = verdict_of(s.text(8));
    if (!verdict) return fail("Unknown test result type {}", s.text(8));
    read.result = {*verdict, s.text(9)};
    read.start = {s.integer(10)};
    read.end = {s.integer(11)};
    read.usage = {std::chrono::microseconds(s.integer(12)),
                  std::chrono::microseconds(s.integer(13)), Bytes(s.integer(14))};
    read.attempts = static_cast<int>(s.integer(15));
    TRY(action(read));
  }
  return {};
}

Result<std::string> case_file(Database& database, int64_t test_case, std::string_view name) {
  Statement s = TRY(database.prepare(
      "SELECT contents FROM test_case_files JOIN files USING (file_id) WHERE test_case_id = ? AND "
      "file_name = ?"));
  s.bind(1, test_case);
  s.bind(2, name);
  if (!TRY(s.step())) return std::string();
  return s.text(0);
}

Result<std::string> ResultsReader::output(const ReadCase& read) {
  return case_file(database_, read.id, "__STDOUT__");
}
Result<std::string> ResultsReader::errors(const ReadCase& read) {
  return case_file(database_, read.id, "__STDERR__");
}

}  // namespace wh::kyua
