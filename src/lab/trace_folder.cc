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
  TRY(host::make_folder(path));
  return std::unique_ptr<TraceFolder>(new TraceFolder(std::move(path), origin));
}

void TraceFolder::trace(tcp::Connection& connection, size_t flow_number, std::string_view flow,
                        std::string_view host, uint64_t number) {
  const std::string path =
      fmt::format("{}/{}-{}-{}.jsonl", path_, flow_number, plain(flow), plain(host));
  auto at = files_.find(path);
  if (at == files_.end()) {
    auto file = host::LineFile::create(path);
    if (!file) {
      if (opened_) opened_ = tl::unexpected(std::move(file.error()));
      return;
    }
    at = files_.emplace(path, std::move(*file)).first;
  }
  connection.set_black_box(std::make_unique<tcp::BlackBox>(
      [&lines = *at->second](std::string_view line) { lines.append(line); }, origin_, number));
}

Result<void> TraceFolder::close() {
  TRY(std::move(opened_));
  for (auto& [path, file] : files_) TRY(file->close());
  return {};
}

}  // namespace wh::lab
