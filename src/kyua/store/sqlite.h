// SQLite as Results: a database, and statements that bind by position and read by column.
#pragma once

#include <sqlite3.h>

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>

#include "core/result.h"

namespace wh::kyua {

class Statement {
 public:
  // Parameters count from 1. Views must live until the statement is run.
  void bind(int at, int64_t value);
  void bind(int at, std::string_view text);
  void bind_blob(int at, std::string_view bytes);
  void bind_null(int at);

  // True: a row is there. Errors: the database's.
  Result<bool> step();
  // Runs a statement that yields no row, and makes it ready to run again.
  Result<void> run();
  void reset();

  // Of the current row; columns count from 0.
  int columns() const;
  std::string column_name(int at) const;
  bool is_null(int at) const;
  int64_t integer(int at) const;
  std::string text(int at) const;
  std::string shown(int at) const;  // As `kyua db-exec` prints it.

 private:
  friend class Database;
  struct Finalize {
    void operator()(sqlite3_stmt* s) const { sqlite3_finalize(s); }
  };
  explicit Statement(sqlite3_stmt* raw) : raw_(raw) {}
  std::unique_ptr<sqlite3_stmt, Finalize> raw_;
};

class Database {
 public:
  enum class Mode : uint8_t { ReadOnly, ReadWrite, Create };
  // Errors: no such file; not a database.
  static Result<Database> open(const std::string& path, Mode mode);

  Result<Statement> prepare(std::string_view sql);
  // Any number of statements whose rows are of no interest.
  Result<void> execute(const std::string& sql);
  // Undone as a whole when `action` fails.
  Result<void> transaction(const std::function<Result<void>()>& action);
  int64_t last_row() const { return sqlite3_last_insert_rowid(raw_.get()); }
  const std::string& path() const { return path_; }

 private:
  struct Close {
    void operator()(sqlite3* db) const { sqlite3_close_v2(db); }
  };
  Database(sqlite3* raw, std::string path) : raw_(raw), path_(std::move(path)) {}
  std::unique_ptr<sqlite3, Close> raw_;
  std::optional<Statement> begin_, commit_;
  std::string path_;
};

}  // namespace wh::kyua
