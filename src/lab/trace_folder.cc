#include "lab/trace_folder.h"

#include <algorithm>

#include "host/system.h"
#include "tcp/black_box.h"

namespace wh::lab {
namespace {

// A flow's name as a part of a file's: whatever could mean something to a shell becomes '_'.
std::string plain(std::string_view name) {
  std::string text(name);
  const auto is_odd = [](unsigned char c) { return std::isalnum(c) == 0 && c != '.' && c != '-'; };
  std::replace_if(text.begin(), text.end(), is_odd, '_');
  return text;
}

}  // namespace

Result<std::unique_ptr<TraceFolder>> TraceFolder::make(std::string path, Instant origin) {
  TRY_VOID(host::make_folder(path));
  return std::unique_ptr<TraceFolder>(new TraceFolder(std::move(path), origin));
}

void TraceFolder::trace(tcp::Connection& connection, size_t flow_number, std::string_view flow,
                        std::string_view host) {
  auto file = host::LineFile::create(
      fmt::format("{}/{}-{}-{}.jsonl", path_, flow_number, plain(flow), plain(host)));
  if (!file) {
    if (opened_) opened_ = tl::unexpected(std::move(file.error()));
    return;
  }
  host::LineFile& lines = **file;
  files_.push_back(std::move(*file));
  connection.set_black_box(std::make_unique<tcp::BlackBox>(
      [&lines](std::string_view line) { lines.append(line); }, origin_));
}

Result<void> TraceFolder::close() {
  TRY_VOID(std::move(opened_));
  for (auto& file : files_) TRY_VOID(file->close());
  return {};
}

}  // namespace wh::lab
