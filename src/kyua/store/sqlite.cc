#include "kyua/store/sqlite.h"

namespace wh::kyua {
namespace {

tl::unexpected<Error> sqlite_error(sqlite3* db, std::string_view operation,
                                   const std::string& path) {
  return fail("SQLite error: {} (sqlite op: {}) (sqlite db: {})", sqlite3_errmsg(db), operation,
              path);
}

}  // namespace

void Statement::bind(int at, int64_t value) {
  CHECK_EQ(sqlite3_bind_int64(raw_.get(), at, value), SQLITE_OK);
}

void Statement::bind(int at, std::string_view text) {
  CHECK_EQ(
      sqlite3_bind_text64(raw_.get(), at, text.data(), text.size(), SQLITE_STATIC, SQLITE_UTF8),
      SQLITE_OK);
}

void Statement::bind_blob(int at, std::string_view bytes) {
  CHECK_EQ(sqlite3_bind_blob64(raw_.get(), at, bytes.data(), bytes.size(), SQLITE_STATIC),
           SQLITE_OK);
}

void Statement::bind_null(int at) {
  CHECK_EQ(sqlite3_bind_null(raw_.get(), at), SQLITE_OK);
}

Result<bool> Statement::step() {
  const int status = sqlite3_step(raw_.get());
  if (status == SQLITE_ROW) return true;
  if (status == SQLITE_DONE) return false;
  sqlite3* db = sqlite3_db_handle(raw_.get());
  const char* path = sqlite3_db_filename(db, "main");
  return sqlite_error(db, "sqlite3_step", path != nullptr ? path : "");
}

Result<void> Statement::run() {
  const auto done = step();
  reset();
  if (!done) return tl::unexpected(done.error());
  return {};
}

void Statement::reset() {
  sqlite3_reset(raw_.get());
}  // Repeats step()'s error, which was seen.

int Statement::columns() const {
  return sqlite3_column_count(raw_.get());
}

std::string Statement::column_name(int at) const {
  return sqlite3_column_name(raw_.get(), at);
}

bool Statement::is_null(int at) const {
  return sqlite3_column_type(raw_.get(), at) == SQLITE_NULL;
}

int64_t Statement::integer(int at) const {
  return sqlite3_column_int64(raw_.get(), at);
}

std::string Statement::text(int at) const {
  const void* bytes = sqlite3_column_blob(raw_.get(), at);
  const int size = sqlite3_column_bytes(raw_.get(), at);
  if (bytes == nullptr) return {};
  return std::string(static_cast<const char*>(bytes), static_cast<size_t>(size));
}

std::string Statement::shown(int at) const {
  switch (sqlite3_column_type(raw_.get(), at)) {
    case SQLITE_NULL: return "NULL";
    case SQLITE_BLOB: return fmt::format("BLOB of {} bytes", sqlite3_column_bytes(raw_.get(), at));
    default: {
      // As text, whatever it is; numbers are converted by SQLite.
      const unsigned char* text = sqlite3_column_text(raw_.get(), at);
      return reinterpret_cast<const char*>(text);  // SQLite's texts are unsigned char.
    }
  }
}

Result<Database> Database::open(const std::string& path, Mode mode) {
  const int flags = mode == Mode::ReadOnly    ? SQLITE_OPEN_READONLY
                    : mode == Mode::ReadWrite ? SQLITE_OPEN_READWRITE
                                              : SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE;
  sqlite3* raw = nullptr;
  const int status = sqlite3_open_v2(path.c_str(), &raw, flags, nullptr);
  Database database(raw, path);
  if (status != SQLITE_OK) return sqlite_error(raw, "sqlite3_open_v2", path);
  sqlite3_busy_timeout(raw, 10'000);  // Milliseconds that another process may hold the file.
  return database;
}

Result<Statement> Database::prepare(std::string_view sql) {
  sqlite3_stmt* raw = nullptr;
  if (sqlite3_prepare_v2(raw_.get(), sql.data(), static_cast<int>(sql.size()), &raw, nullptr) !=
      SQLITE_OK) {
    return sqlite_error(raw_.get(), "sqlite3_prepare_v2", path_);
  }
  if (raw == nullptr) {
    return fail(
        "SQLite error: no statement in '{}' (sqlite op: sqlite3_prepare_v2) (sqlite db: {})", sql,
        path_);
  }
  return Statement(raw);
}

Result<void> Database::execute(const std::string& sql) {
  if (sqlite3_exec(raw_.get(), sql.c_str(), nullptr, nullptr, nullptr) != SQLITE_OK) {
    return sqlite_error(raw_.get(), "sqlite3_exec", path_);
  }
  return {};
}

Result<void> Database::transaction(const std::function<Result<void>()>& action) {
  if (!begin_) begin_ = TRY(prepare("BEGIN IMMEDIATE"));
  if (!commit_) commit_ = TRY(prepare("COMMIT"));
  TRY(begin_->run());
  auto done = action();
  if (done) done = commit_->run();
  // The first error is the one to report.
  if (!done) (void)execute("ROLLBACK");
  return done;
}

}  // namespace wh::kyua
