#include "kyua/store/migrate.h"

#include <filesystem>

#include "kyua/store/layout.h"

namespace wh::kyua {
namespace {

namespace fs = std::filesystem;

// An old store, which held every run there had been. Schema 1 had a table for each interface's
// properties; schema 2 has the table of today.
class OldStore {
 public:
  OldStore(Database& database, int64_t version) : database_(database), version_(version) {}

  Result<std::vector<int64_t>> actions() {
    std::vector<int64_t> all;
    Statement s = TRY(database_.prepare("SELECT action_id FROM actions ORDER BY action_id"));
    while (TRY(s.step())) all.push_back(s.integer(0));
    return all;
  }

  Result<RunContext> context(int64_t action) {
    RunContext context;
    Statement cwd = TRY(database_.prepare(
        "SELECT cwd FROM actions JOIN contexts USING (context_id) WHERE action_id = ?"));
    cwd.bind(1, action);
    if (TRY(cwd.step())) context.cwd = cwd.text(0);
    Statement variables =
        TRY(database_.prepare("SELECT var_name, var_value FROM actions JOIN env_vars USING "
                              "(context_id) WHERE action_id = "
                              "?"));
    variables.bind(1, action);
    while (TRY(variables.step())) context.environment[variables.text(0)] = variables.text(1);
    return context;
  }

  // The root of a run's suite and when it began; nothing for a run without results.
  Result<std::optional<std::pair<std::string, WallTime>>> beginning(int64_t action) {
    Statement s = TRY(database_.prepare(
        "SELECT root, start_time FROM test_programs JOIN test_cases USING (test_program_id) JOIN "
        "test_results USING (test_case_id) WHERE action_id = ? ORDER BY start_time LIMIT 1"));
    s.bind(1, action);
    if (!TRY(s.step())) return std::nullopt;
    return std::pair(s.text(0), WallTime{s.integer(1)});
  }

  Result<void> copy(int64_t action, ResultsWriter& writer) {
    const char* metadata =
        version_ == 1 ? "0, 0" : "test_programs.metadata_id, test_cases.metadata_id";
    Statement s = TRY(database_.prepare(fmt::format(
        "SELECT test_case_id, interface, root, relative_path, test_suite_name, name, result_type, "
        "result_reason, start_time, end_time, test_program_id, {} FROM test_programs JOIN "
        "test_cases "
        "USING (test_program_id) JOIN test_results USING (test_case_id) WHERE action_id = ? ORDER "
        "BY "
        "test_case_id",
        metadata)));
    s.bind(1, action);
    while (TRY(s.step())) {
      TestProgram program{s.text(1), s.text(2), s.text(3), s.text(4), {}};
      Metadata of_case;
      if (version_ == 1) {
        TRY(read_v1(s.integer(0), s.integer(10), program, of_case));
      } else {
        program.metadata = TRY(read_v2(s.integer(11)));
        of_case = TRY(read_v2(s.integer(12)));
      }
      const auto verdict = verdict_of(s.text(6));
      if (!verdict) return fail("Unknown test result type {}", s.text(6));
      const std::string out = TRY(case_file(database_, s.integer(0), "__STDOUT__")),
                        err = TRY(case_file(database_, s.integer(0), "__STDERR__"));
      TRY(writer.add(program, s.text(5), of_case,
                     {{*verdict, s.text(7)}, {s.integer(8)}, {s.integer(9)}, {}, out, err, 1}));
    }
    return {};
  }

 private:
  Result<Metadata> read_v2(int64_t id) {
    const auto defaults = Metadata{}.with_defaults();
    Metadata all;
    Statement s = TRY(database_.prepare(
        "SELECT property_name, property_value FROM metadatas WHERE metadata_id = ?"));
    s.bind(1, id);
    while (TRY(s.step())) {
      const auto fallback = defaults.find(s.text(0));
      if (fallback != defaults.end() && fallback->second == s.text(1)) continue;
      TRY(all.set(s.text(0), s.text(1)));
    }
    return all;
  }

  Result<void> set_timeout(Metadata& metadata, int64_t us) {
    if (us == 300'000'000) return {};
    return metadata.set("timeout", fmt::format("{}", us / 1'000'000));
  }

  Result<void> read_v1(int64_t case_id, int64_t program_id, TestProgram& program,
                       Metadata& of_case) {
    Statement plain =
        TRY(database_.prepare("SELECT timeout FROM plain_test_programs WHERE test_program_id = ?"));
    plain.bind(1, program_id);
    if (TRY(plain.step())) TRY(set_timeout(program.metadata, plain.integer(0)));
    Statement atf =
        TRY(database_.prepare("SELECT description, has_cleanup, timeout, required_memory, "
                              "required_user FROM atf_test_cases "
                              "WHERE test_case_id = ?"));
    atf.bind(1, case_id);
    if (!TRY(atf.step())) return {};
    if (!atf.is_null(0)) TRY(of_case.set("description", atf.text(0)));
    if (atf.text(1) == "true") TRY(of_case.set("has_cleanup", "true"));
    TRY(set_timeout(of_case, atf.integer(2)));
    if (atf.integer(3) != 0) TRY(of_case.set("required_memory", fmt::format("{}", atf.integer(3))));
    if (!atf.is_null(4)) TRY(of_case.set("required_user", atf.text(4)));
    Statement words =
        TRY(database_.prepare("SELECT property_name, group_concat(property_value, ' ') FROM "
                              "atf_test_cases_multivalues WHERE "
                              "test_case_id = ? GROUP BY property_name"));
    words.bind(1, case_id);
    while (TRY(words.step())) TRY(of_case.set_atf(words.text(0), words.text(1)));
    return {};
  }

  Database& database_;
  int64_t version_;
};

// The files are noted in `made` as they begin.
Result<void> split_runs(Database& database, int64_t version, const std::string& folder,
                        std::vector<std::string>& made) {
  OldStore old(database, version);
  for (const int64_t action : TRY(old.actions())) {
    const auto beginning = TRY(old.beginning(action));
    if (!beginning) continue;
    const auto file =
        TRY(new_results_file({folder, "/"}, "NEW", beginning->first, beginning->second));
    made.push_back(file.path);
    auto writer = TRY(ResultsWriter::create(file.path, TRY(old.context(action))));
    TRY(old.copy(action, writer));
    TRY(writer.finish("finished"));
  }
  return {};
}

}  // namespace

Result<std::vector<std::string>> migrate(const std::string& path, const std::string& store_folder) {
  int64_t version = 0;
  std::vector<std::string> made;
  std::error_code error;
  {
    Database database = TRY(Database::open(path, Database::Mode::ReadOnly));
    version = TRY(schema_version(database));
    if (version >= ResultsWriter::kSchemaVersion) {
      return fail("Migration failed: Database already at schema version {}; migration not needed",
                  version);
    }
    if (const auto done = split_runs(database, version, store_folder, made); !done) {
      for (const std::string& file : made) fs::remove(file, error);
      return fail("Migration failed: {}", done.error().text);
    }
  }
  fs::rename(path, fmt::format("{}.v{}.backup", path, version), error);
  if (error) return fail("Migration failed: keep {} as a backup: {}", path, error.message());
  return made;
}

}  // namespace wh::kyua
