#include "lab/sweep_store.h"

#include <fcntl.h>
#include <sys/file.h>

#include <nlohmann/json.hpp>

#include "lab/columns.h"

namespace wh::lab {
namespace {

using Json = nlohmann::ordered_json;

// The figures of a flow: their columns, and where a report has them.
struct StoredFigure {
  const char* column;
  const char* path;
  bool is_count = false;  // A whole number, and printed as one.
};
constexpr StoredFigure kFlowFigures[] = {
    {"goodput_bps", "/goodput_bps", true},   {"delivered_bytes", "/delivered_bytes", true},
    {"sent_bytes", "/sent_bytes", true},     {"retransmitted_bytes", "/retransmitted_bytes", true},
    {"rtt_min_ms", "/rtt_ms/min"},           {"rtt_mean_ms", "/rtt_ms/mean"},
    {"rtt_p50_ms", "/rtt_ms/p50"},           {"rtt_p95_ms", "/rtt_ms/p95"},
    {"rtt_p99_ms", "/rtt_ms/p99"},           {"play_delay_ms", "/video/play_delay_ms"},
    {"rebuffers", "/video/rebuffers", true}, {"stalled_ms", "/video/stalled_ms"},
    {"completed", "/web/completed", true},   {"completion_p95_ms", "/web/completion_ms/p95"},
};
constexpr StoredFigure kLinkFigures[] = {
    {"utilization", "/utilization"},   {"queue_mean_ms", "/queue_ms/mean"},
    {"queue_p50_ms", "/queue_ms/p50"}, {"queue_p95_ms", "/queue_ms/p95"},
    {"queue_p99_ms", "/queue_ms/p99"},
};

std::string parameter_columns(const Sweep& sweep, std::string_view with) {
  std::string text;
  for (const SweepParameter& p : sweep.parameters())
    text += fmt::format(", \"p_{}\"{}", p.name, with);
  return text;
}

template <size_t N>
std::string figure_columns(const StoredFigure (&figures)[N], std::string_view with) {
  std::string text;
  for (const StoredFigure& f : figures) text += fmt::format(", {}{}", f.column, with);
  return text;
}

// The figures of a flow as they are read: every number is a REAL in the tables, whole ones too.
std::string chosen_figures() {
  std::string text;
  for (const StoredFigure& f : kFlowFigures) {
    text += f.is_count ? fmt::format(", CAST({0} AS INTEGER) AS {0}", f.column)
                       : fmt::format(", {}", f.column);
  }
  return text;
}

std::string marks(size_t n) {
  std::string text = "?";
  for (size_t i = 1; i < n; ++i) text += ", ?";
  return text;
}

// A number of the document as SQL takes it; texts become numbers in a REAL column.
void bind_figure(kyua::Statement& statement, int at, const Json& from, const char* path,
                 std::string& keep) {
  const Json::json_pointer pointer(path);
  if (!from.contains(pointer) || !from.at(pointer).is_number()) {
    statement.bind_null(at);
    return;
  }
  keep = from.at(pointer).dump();
  statement.bind(at, std::string_view(keep));
}

Result<void> add_row(kyua::Database& db, const std::string& sql, size_t point, const Json& from,
                     const std::vector<std::string>& texts, std::span<const StoredFigure> figures) {
  kyua::Statement statement = TRY(db.prepare(sql));
  std::vector<std::string> keep(figures.size());
  int at = 0;
  statement.bind(++at, static_cast<int64_t>(point));
  for (const std::string& text : texts) statement.bind(++at, std::string_view(text));
  for (size_t i = 0; i < figures.size(); ++i) {
    bind_figure(statement, ++at, from, figures[i].path, keep[i]);
  }
  return statement.run();
}

// The lock on a sweep's database, which goes with the process. Nothing where files have no locks or
// this one cannot be made: opening the database says why.
Result<host::Fd> lock_database(const std::string& path) {
  host::Fd file(::open(path.c_str(), O_RDONLY | O_CREAT | O_NONBLOCK | O_CLOEXEC, 0666));
  if (file && ::flock(file.raw(), LOCK_EX | LOCK_NB) != 0 && errno == EWOULDBLOCK) {
    return fail(
        "{}: another wh sweep is at work on it; accepted: the same command when that has ended, "
        "or another --db",
        path);
  }
  return file;
}

constexpr const char* kFlowsOfPoints = " FROM points JOIN flows USING (point) ";

}  // namespace

Result<SweepStore> SweepStore::open(const std::string& path, const Sweep& sweep) {
  const auto refused = [&](const Error& why) {
    return fail(
        "{}: it cannot hold the results: {}; accepted: a file that wh sweep made, or a new one's "
        "name (--db)",
        path, why.text);
  };
  host::Fd lock = TRY(lock_database(path));
  auto db = kyua::Database::open(path, kyua::Database::Mode::Create);
  if (!db) return refused(db.error());
  SweepStore store(std::move(lock), std::move(*db), sweep);
  const auto is_new = store.is_new();
  if (!is_new) return refused(is_new.error());
  if (*is_new) {
    TRY(store.create());
  } else {
    TRY(store.check_same());
  }
  kyua::Statement points = TRY(store.db_.prepare("SELECT point FROM points"));
  while (TRY(points.step())) store.finished_.insert(static_cast<size_t>(points.integer(0)));
  return store;
}

Result<bool> SweepStore::is_new() {
  kyua::Statement tables =
      TRY(db_.prepare("SELECT count(*) FROM sqlite_master WHERE name = 'sweep'"));
  TRY(tables.step());
  return tables.integer(0) == 0;
}

Result<void> SweepStore::create() {
  return db_.transaction([&]() -> Result<void> {
    TRY(db_.execute(fmt::format(
        "CREATE TABLE sweep (key TEXT PRIMARY KEY, value TEXT);"
        "CREATE TABLE points (point INTEGER PRIMARY KEY, repetition INTEGER, seed TEXT{});"
        "CREATE TABLE flows (point INTEGER, flow TEXT, cc TEXT, profile TEXT{});"
        "CREATE TABLE links (point INTEGER, link TEXT{}, drops INTEGER);"
        "CREATE INDEX flows_of_point ON flows (point);"
        "CREATE INDEX links_of_point ON links (point);",
        parameter_columns(*sweep_, " TEXT"), figure_columns(kFlowFigures, " REAL"),
        figure_columns(kLinkFigures, " REAL"))));
    kyua::Statement insert = TRY(db_.prepare("INSERT INTO sweep VALUES (?, ?)"));
    for (const auto& [key, value] :
         {std::pair<std::string, std::string>{"text", sweep_->text()}, {"version", WH_VERSION}}) {
      insert.bind(1, std::string_view(key));
      insert.bind(2, std::string_view(value));
      TRY(insert.run());
    }
    return {};
  });
}

Result<void> SweepStore::check_same() {
  kyua::Statement text = TRY(db_.prepare("SELECT value FROM sweep WHERE key = 'text'"));
  if (TRY(text.step()) && text.text(0) == sweep_->text()) return {};
  return fail(
      "{}: it has the results of another sweep, or the sweep's file has changed since; "
      "accepted: the same file, another --db, or remove it",
      db_.path());
}

Result<void> SweepStore::add(size_t point, std::string_view text) {
  CHECK(!finished_.contains(point));
  const Json report = Json::parse(text, nullptr, false);
  if (report.is_discarded() || !report.contains("flows")) {
    return fail("point {}: its result is no report", point);
  }
  auto added = db_.transaction([&]() -> Result<void> {
    std::vector<std::string> head = {std::to_string(sweep_->repetition(point)),
                                     report["seed"].dump()};
    for (const std::string& value : sweep_->values(point)) head.push_back(value);
    TRY(add_row(db_, fmt::format("INSERT INTO points VALUES ({})", marks(1 + head.size())), point,
                report, head, {}));
    const std::string flow_sql =
        fmt::format("INSERT INTO flows VALUES ({})", marks(4 + std::size(kFlowFigures)));
    for (const Json& flow : report["flows"]) {
      TRY(add_row(db_, flow_sql, point, flow,
                  {flow["name"].get<std::string>(), flow["cc"].get<std::string>(),
                   flow["profile"].get<std::string>()},
                  kFlowFigures));
    }
    const std::string link_sql =
        fmt::format("INSERT INTO links (point, link, drops{}) VALUES ({})",
                    figure_columns(kLinkFigures, ""), marks(3 + std::size(kLinkFigures)));
    for (const Json& link : report["links"]) {
      uint64_t drops = 0;
      for (const auto& [reason, count] : link["drops"].items()) drops += count.get<uint64_t>();
      TRY(add_row(db_, link_sql, point, link,
                  {link["name"].get<std::string>(), std::to_string(drops)}, kLinkFigures));
    }
    return {};
  });
  if (!added) return added;
  finished_.insert(point);
  return {};
}

Result<std::string> SweepStore::csv() {
  kyua::Statement rows = TRY(db_.prepare(fmt::format(
      "SELECT point, repetition, seed{}, flow, cc, profile{}{}ORDER BY point, flows.rowid",
      parameter_columns(*sweep_, ""), chosen_figures(), kFlowsOfPoints)));
  std::string out;
  for (int i = 0; i < rows.columns(); ++i) {
    const std::string name = rows.column_name(i);
    out += (i > 0 ? "," : "") + (name.starts_with("p_") ? name.substr(2) : name);
  }
  out += '\n';
  while (TRY(rows.step())) {
    for (int i = 0; i < rows.columns(); ++i) {
      out += (i > 0 ? "," : "") + (rows.is_null(i) ? std::string() : csv_field(rows.text(i)));
    }
    out += '\n';
  }
  return out;
}

Result<std::string> SweepStore::json() {
  Json json = {{"parameters", Json::array()},  {"points", sweep_->points()},
               {"finished", finished_.size()}, {"repeat", sweep_->repeat()},
               {"version", WH_VERSION},        {"sweep", sweep_->text()},
               {"rows", Json::array()}};
  for (const SweepParameter& p : sweep_->parameters()) {
    json["parameters"].push_back({{"name", p.name}, {"values", p.values}});
  }
  // The queue of a point is that of its fullest link.
  kyua::Statement rows = TRY(db_.prepare(fmt::format(
      "SELECT flows.point, flow{}{}, (SELECT max(queue_p95_ms) FROM links WHERE links.point = "
      "points.point), (SELECT max(utilization) FROM links WHERE links.point = points.point){}"
      "ORDER BY point, flows.rowid",
      parameter_columns(*sweep_, ""), chosen_figures(), kFlowsOfPoints)));
  const int parameters = static_cast<int>(sweep_->parameters().size());
  while (TRY(rows.step())) {
    Json row = {{"point", rows.integer(0)}, {"flow", rows.text(1)}};
    int at = 2;
    for (int i = 0; i < parameters; ++i, ++at) row["values"].push_back(rows.text(at));
    auto put = [&](const char* name) {
      if (!rows.is_null(at)) row[name] = Json::parse(rows.text(at), nullptr, false);
      ++at;
    };
    for (const StoredFigure& f : kFlowFigures) put(f.column);
    put("queue_p95_ms");
    put("utilization");
    json["rows"].push_back(std::move(row));
  }
  return json.dump() + "\n";
}

Result<std::string> SweepStore::table(size_t most) {
  kyua::Statement rows = TRY(db_.prepare(fmt::format(
      "SELECT point / {} AS combination, flow{}, count(*), avg(goodput_bps) / 1e6, "
      "avg(rtt_p50_ms), avg(rtt_p95_ms), 100 * sum(retransmitted_bytes) / max(1, sum(sent_bytes))"
      "{}GROUP BY combination, flow ORDER BY combination, flows.rowid",
      sweep_->repeat(), parameter_columns(*sweep_, ""), kFlowsOfPoints)));
  Columns table;
  std::vector<std::string> head;
  for (const SweepParameter& p : sweep_->parameters()) head.push_back(p.name);
  for (const char* name : {"flow", "runs", "goodput Mbps", "rtt p50 ms", "p95", "retrans %"}) {
    head.emplace_back(name);
  }
  table.add(head);
  const int parameters = static_cast<int>(sweep_->parameters().size());
  size_t left_out = 0;
  while (TRY(rows.step())) {
    if (table.rows() > most) {
      ++left_out;
      continue;
    }
    std::vector<std::string> row;
    for (int i = 0; i < parameters; ++i) row.push_back(rows.text(2 + i));
    row.push_back(rows.text(1));
    int at = 2 + parameters;
    row.push_back(rows.text(at++));
    for (const int digits : {3, 1, 1, 2}) {
      row.push_back(rows.is_null(at) ? "-"
                                     : fmt::format("{:.{}f}", std::stod(rows.text(at)), digits));
      ++at;
    }
    table.add(row);
  }
  std::string text = table.text();
  if (left_out > 0) text += fmt::format("... and {} more rows: --csv has all\n", left_out);
  return text;
}

}  // namespace wh::lab
