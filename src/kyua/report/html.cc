#include "kyua/report/html.h"

#include <algorithm>
#include <nlohmann/json.hpp>
#include <set>

#include "core/json_text.h"

namespace wh::kyua {
namespace {

using Json = nlohmann::ordered_json;

constexpr std::string_view kCss =
    "body{font:15px sans-serif;margin:2em;max-width:70em}pre{background:#f4f4f4;padding:1em;"
    "overflow:auto}td{padding-right:2em;vertical-align:top}\n";

std::string page(std::string_view title, std::string_view body) {
  return fmt::format(
      "<!DOCTYPE html>\n<html><head><meta charset=\"utf-8\"><title>{}</title><link "
      "rel=\"stylesheet\" href=\"report.css\"></head>\n<body><p><a href=\"index.html\">All "
      "results</a></p>\n<h1>{}</h1>\n{}</body></html>\n",
      escape_markup(title), escape_markup(title), body);
}

std::string table(const std::map<std::string, std::string>& rows) {
  std::string text = "<table>\n";
  for (const auto& [name, value] : rows) {
    text +=
        fmt::format("<tr><td>{}</td><td>{}</td></tr>\n", escape_markup(name), escape_markup(value));
  }
  return text + "</table>\n";
}

std::string cut(std::string text) {
  const auto limit = static_cast<size_t>(kHtmlOutputLimit.count());
  if (text.size() <= limit) return text;
  const size_t left_out = text.size() - limit;
  return text.substr(0, limit / 2) +
         fmt::format("\n[... {} bytes left out; kyua report --verbose has them ...]\n", left_out) +
         text.substr(text.size() - limit / 2);
}

// "sub_prog_case.html"; two ids that look alike get a number, and a long one keeps its end only.
std::string page_name(const std::string& id, std::set<std::string>& taken) {
  constexpr size_t kLongest = 200;  // Of the 255 bytes that a file's name may have.
  std::string name = id.size() <= kLongest ? id : id.substr(id.size() - kLongest);
  std::replace_if(
      name.begin(), name.end(), [](char c) { return c == '/' || c == ':'; }, '_');
  std::string free = name;
  for (int i = 2; !taken.insert(free).second; ++i) free = fmt::format("{}_{}", name, i);
  return free + ".html";
}

HtmlFile case_page(const std::string& name, const std::string& id, const ReadCase& read,
                   const std::string& out, const std::string& err) {
  std::string body = fmt::format("<p>{} in {}</p>\n", escape_markup(to_string(read.result)),
                                 to_seconds_text(read.duration()));
  body += table({{"Start", to_iso8601(read.start)}, {"End", to_iso8601(read.end)}});
  body += "<h2>Metadata</h2>\n" + table(read.metadata.with_defaults());
  if (!out.empty()) body += "<h2>Standard output</h2>\n<pre>" + escape_markup(out) + "</pre>\n";
  if (!err.empty()) body += "<h2>Standard error</h2>\n<pre>" + escape_markup(err) + "</pre>\n";
  return {name, page(id, body)};
}

Json case_json(const std::string& id, const ReadCase& read) {
  return {{"id", id},
          {"suite", read.program.suite},
          {"result", to_word(read.result.verdict)},
          {"reason", read.result.reason},
          {"start", read.start.us},
          {"end", read.end.us},
          {"cpu", to_seconds(read.usage.user + read.usage.system)},
          {"peak", read.usage.peak_memory.count()},
          {"attempts", read.attempts}};
}

}  // namespace

Result<void> html_report(ResultsReader& reader, const ReportOptions& options,
                         const std::function<Result<void>(const HtmlFile&)>& write) {
  const RunContext context = TRY(reader.context());
  TRY(write({"context.html",
             page("Execution context", fmt::format("<p>In {}</p>\n", escape_markup(context.cwd)) +
                                           table(context.environment))}));
  Json cases = Json::array();
  std::set<std::string> taken = {"index", "context"};
  TRY(reader.each_case([&](const ReadCase& read) -> Result<void> {
    const std::string id = case_id(read.program, read.name);
    Json json = case_json(id, read);
    if (std::find(options.shown.begin(), options.shown.end(), read.result.verdict) !=
        options.shown.end()) {
      const std::string out = cut(TRY(reader.output(read))), err = cut(TRY(reader.errors(read)));
      const std::string name = page_name(id, taken);
      json["out"] = out;
      json["err"] = err;
      json["page"] = name;
      json["metadata"] = read.metadata.set_values();
      TRY(write(case_page(name, id, read, out, err)));
    }
    cases.push_back(std::move(json));
    return {};
  }));
  TRY(write({"report.css", std::string(kCss)}));
  const Json all = {{"file", options.results_path},
                    {"cwd", context.cwd},
                    {"state", reader.state()},
                    {"cases", std::move(cases)}};
  const std::string text = json_text(all);
  // Whatever a test printed: within a script, "</script" would end it, and after "<!--" and
  // "<script" nothing would.
  std::string safe;
  for (const char c : text) c == '<' ? safe += "\\u003c" : safe += c;
  return write({"index.html", html_page(safe)});
}

}  // namespace wh::kyua
