#include "kyua/store/writer.h"

namespace wh::kyua {

const std::string& schema_v3() {
  static const std::string sql = R"(
    CREATE TABLE metadata (schema_version INTEGER PRIMARY KEY CHECK (schema_version >= 1),
                           timestamp TIMESTAMP NOT NULL CHECK (timestamp >= 0));
    CREATE TABLE contexts (cwd TEXT NOT NULL);
    CREATE TABLE env_vars (var_name TEXT PRIMARY KEY, var_value TEXT NOT NULL);
    CREATE TABLE metadatas (metadata_id INTEGER NOT NULL, property_name TEXT NOT NULL,
                            property_value TEXT, PRIMARY KEY (metadata_id, property_name));
    CREATE INDEX index_metadatas_by_id ON metadatas (metadata_id);
    CREATE TABLE test_programs (test_program_id INTEGER PRIMARY KEY AUTOINCREMENT,
                                absolute_path TEXT NOT NULL, root TEXT NOT NULL,
                                relative_path TEXT NOT NULL, test_suite_name TEXT NOT NULL,
                                metadata_id INTEGER, interface TEXT NOT NULL);
    CREATE TABLE test_cases (test_case_id INTEGER PRIMARY KEY AUTOINCREMENT,
                             test_program_id INTEGER REFERENCES test_programs,
                             name TEXT NOT NULL, metadata_id INTEGER);
    CREATE INDEX index_test_cases_by_test_programs_id ON test_cases (test_program_id);
    CREATE TABLE test_results (test_case_id INTEGER PRIMARY KEY REFERENCES test_cases,
                               result_type TEXT NOT NULL, result_reason TEXT,
                               start_time TIMESTAMP NOT NULL, end_time TIMESTAMP NOT NULL);
    CREATE TABLE files (file_id INTEGER PRIMARY KEY, contents BLOB NOT NULL);
    CREATE TABLE test_case_files (test_case_id INTEGER NOT NULL REFERENCES test_cases,
                                  file_name TEXT NOT NULL,
                                  file_id INTEGER NOT NULL REFERENCES files,
                                  PRIMARY KEY (test_case_id, file_name));
    INSERT INTO metadata (timestamp, schema_version) VALUES (strftime('%s', 'now'), 3);
  )";
  return sql;
}

namespace {

constexpr const char* kOurTables = R"(
    CREATE TABLE wh_run (name TEXT PRIMARY KEY, value TEXT NOT NULL);
    CREATE TABLE wh_usage (test_case_id INTEGER PRIMARY KEY REFERENCES test_cases,
                           user_us INTEGER NOT NULL, system_us INTEGER NOT NULL,
                           peak_bytes INTEGER NOT NULL, attempts INTEGER NOT NULL);
    INSERT INTO wh_run VALUES ('state', 'running');
  )";

}  // namespace

Result<ResultsWriter> ResultsWriter::create(const std::string& path, const RunContext& context) {
  ResultsWriter writer(TRY(Database::open(path, Database::Mode::Create)));
  Database& db = writer.database_;
  // What is committed is in the file system's hands, which a killed process cannot take back; only
  // a machine that loses power could lose it, and Kyua would have lost it all.
  TRY(db.execute("PRAGMA journal_mode = WAL; PRAGMA synchronous = OFF; PRAGMA foreign_keys = ON"));
  TRY(db.transaction([&]() -> Result<void> {
    TRY(db.execute(schema_v3()));
    TRY(db.execute(kOurTables));
    Statement cwd = TRY(db.prepare("INSERT INTO contexts (cwd) VALUES (?)"));
    cwd.bind(1, context.cwd);
    TRY(cwd.run());
    Statement variable = TRY(db.prepare("INSERT INTO env_vars VALUES (?, ?)"));
    for (const auto& [name, value] : context.environment) {
      variable.bind(1, name);
      variable.bind(2, value);
      TRY(variable.run());
    }
    return {};
  }));
  TRY(writer.prepare());
  return writer;
}

Result<void> ResultsWriter::prepare() {
  insert_metadata_ = TRY(database_.prepare("INSERT INTO metadatas VALUES (?, ?, ?)"));
  insert_program_ =
      TRY(database_.prepare("INSERT INTO test_programs (absolute_path, root, relative_path, "
                            "test_suite_name, metadata_id, "
                            "interface) VALUES (?, ?, ?, ?, ?, ?)"));
  insert_case_ = TRY(database_.prepare(
      "INSERT INTO test_cases (test_program_id, name, metadata_id) VALUES (?, ?, ?)"));
  insert_result_ = TRY(database_.prepare("INSERT INTO test_results VALUES (?, ?, ?, ?, ?)"));
  insert_usage_ = TRY(database_.prepare("INSERT INTO wh_usage VALUES (?, ?, ?, ?, ?)"));
  insert_file_ = TRY(database_.prepare("INSERT INTO files (contents) VALUES (?)"));
  insert_case_file_ = TRY(database_.prepare("INSERT INTO test_case_files VALUES (?, ?, ?)"));
  return {};
}

Result<int64_t> ResultsWriter::add_metadata(const Metadata& metadata) {
  // A reader gives the defaults to an id without rows.
  const int64_t id = next_metadata_++;
  for (const auto& [name, value] : metadata.set_values()) {
    insert_metadata_->bind(1, id);
    insert_metadata_->bind(2, name);
    insert_metadata_->bind(3, value);
    TRY(insert_metadata_->run());
  }
  return id;
}

Result<int64_t> ResultsWriter::program_id(const TestProgram& program) {
  std::string key = program.absolute_path() + '\n' + program.interface + '\n' + program.suite;
  for (const auto& [name, value] : program.metadata.set_values()) {
    key += fmt::format("\n{}={}", name, value);
  }
  if (const auto at = programs_.find(key); at != programs_.end()) return at->second;
  const int64_t metadata = TRY(add_metadata(program.metadata));
  const std::string path = program.absolute_path();
  Statement& s = *insert_program_;
  s.bind(1, path);
  s.bind(2, program.root);
  s.bind(3, program.relative_path);
  s.bind(4, program.suite);
  s.bind(5, metadata);
  s.bind(6, program.interface);
  TRY(s.run());
  return programs_[key] = database_.last_row();
}

Result<void> ResultsWriter::add_file(int64_t test_case, std::string_view name,
                                     std::string_view contents) {
  if (contents.empty()) return {};
  insert_file_->bind_blob(1, contents);
  TRY(insert_file_->run());
  insert_case_file_->bind(1, test_case);
  insert_case_file_->bind(2, name);
  insert_case_file_->bind(3, database_.last_row());
  return insert_case_file_->run();
}

Result<void> ResultsWriter::add(const TestProgram& program, const std::string& case_name,
                                const Metadata& case_metadata, const StoredCase& stored) {
  auto done = database_.transaction([&]() -> Result<void> {
    const int64_t program_row = TRY(program_id(program));
    // Kyua reads a case's row as the whole truth, so it carries the program's values too.
    const int64_t metadata = TRY(add_metadata(program.metadata.under(case_metadata)));
    insert_case_->bind(1, program_row);
    insert_case_->bind(2, case_name);
    insert_case_->bind(3, metadata);
    TRY(insert_case_->run());
    const int64_t id = database_.last_row();
    insert_result_->bind(1, id);
    insert_result_->bind(2, to_word(stored.result.verdict));
    // Kyua does not read a file where another verdict has no reason, be it an empty one.
    if (stored.result.verdict == Verdict::Passed) {
      insert_result_->bind_null(3);
    } else {
      insert_result_->bind(3, stored.result.reason);
    }
    insert_result_->bind(4, stored.start.us);
    insert_result_->bind(5, stored.end.us);
    TRY(insert_result_->run());
    insert_usage_->bind(1, id);
    insert_usage_->bind(2, stored.usage.user.count() / 1000);
    insert_usage_->bind(3, stored.usage.system.count() / 1000);
    insert_usage_->bind(4, stored.usage.peak_memory.count());
    insert_usage_->bind(5, int64_t{stored.attempts});
    TRY(insert_usage_->run());
    TRY(add_file(id, "__STDOUT__", stored.out));
    return add_file(id, "__STDERR__", stored.err);
  });
  if (!done) programs_.clear();  // Some of these rows may have been taken back.
  return done;
}

Result<void> ResultsWriter::finish(std::string_view state) {
  // Statements that are still prepared would keep the journal from being folded in.
  for (auto* s : {&insert_metadata_, &insert_program_, &insert_case_, &insert_result_,
                  &insert_usage_, &insert_file_, &insert_case_file_}) {
    s->reset();
  }
  Statement update = TRY(database_.prepare("UPDATE wh_run SET value = ? WHERE name = 'state'"));
  update.bind(1, state);
  TRY(update.run());
  return database_.execute("PRAGMA journal_mode = DELETE");
}

}  // namespace wh::kyua
