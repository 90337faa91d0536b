// kldstat(8): what is loaded, as a table for people and as lines between programs.
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <vector>

namespace wh::dev {

struct ModuleRow {
  int id = 0;
  uint64_t address = 0;
  size_t size = 0;
  std::string name;                       // Of the file: "echo.so".
  std::vector<std::string> modules = {};  // "echodev"
};

enum class Detail : bool { Files, Modules };
std::string format_rows(std::span<const ModuleRow> rows, Detail detail);
// A module by its name, as `kldstat -m` shows it; empty when there is none.
std::string format_module(std::span<const ModuleRow> rows, const std::string& name);

// One line a row, and back. What is no such line is left out.
std::string to_lines(std::span<const ModuleRow> rows);
std::vector<ModuleRow> parse_rows(const std::string& lines);

}  // namespace wh::dev
