#include "dev/kldstat.h"

#include <fmt/format.h>

#include <sstream>

namespace wh::dev {

std::string format_rows(std::span<const ModuleRow> rows, Detail detail) {
  std::string out =
      fmt::format("{:>2} {:>4} {:<18} {:>8} {}\n", "Id", "Refs", "Address", "Size", "Name");
  int module_id = 0;
  for (const ModuleRow& row : rows) {
    out +=
        fmt::format("{:>2} {:>4} {:#018x} {:>8x} {}\n", row.id, 1, row.address, row.size, row.name);
    if (detail == Detail::Files) continue;
    out += "\tContains modules:\n\t\t Id Name\n";
    for (const std::string& module : row.modules) {
      out += fmt::format("\t\t{:>3} {}\n", ++module_id, module);
    }
  }
  return out;
}

std::string format_module(std::span<const ModuleRow> rows, const std::string& name) {
  int id = 0;
  for (const ModuleRow& row : rows) {
    for (const std::string& module : row.modules) {
      ++id;
      if (module == name) return fmt::format("Id  Refs Name\n{:>3} {:>4} {}\n", id, 1, name);
    }
  }
  return "";
}

std::string to_lines(std::span<const ModuleRow> rows) {
  std::string out;
  for (const ModuleRow& row : rows) {
    out += fmt::format("{}\t{}\t{}\t{}\t{}\n", row.id, row.address, row.size, row.name,
                       fmt::join(row.modules, "\t"));
  }
  return out;
}

std::vector<ModuleRow> parse_rows(const std::string& lines) {
  std::vector<ModuleRow> rows;
  std::istringstream in(lines);
  for (std::string line; std::getline(in, line);) {
    std::istringstream fields(line);
    ModuleRow row;
    if (!(fields >> row.id >> row.address >> row.size)) continue;
    fields.ignore(1);
    if (!std::getline(fields, row.name, '\t')) continue;
    for (std::string module; std::getline(fields, module, '\t');) row.modules.push_back(module);
    rows.push_back(std::move(row));
  }
  return rows;
}

}  // namespace wh::dev
