#include "host/output_file.h"

#include <fcntl.h>
#include <sys/stat.h>

#include <filesystem>

#include "host/system.h"

namespace wh::host {
namespace {

// The file that a path's symbolic links lead to, which may not be there yet.
std::string without_links(const std::string& path) {
  namespace fs = std::filesystem;
  constexpr int kMostLinks = 40;  // As Linux follows (path_resolution(7)).
  fs::path file = path;
  std::error_code error;
  for (int i = 0; i < kMostLinks && fs::is_symlink(file, error); ++i) {
    const fs::path target = fs::read_symlink(file, error);
    if (error) return path;
    file = file.parent_path() / target;  // An absolute one stands for itself.
  }
  return file.string();
}

// That the file has its name now lasts as well. Where it cannot be done, the file is there anyhow.
void sync_folder_of(const std::string& path) {
  const auto folder = std::filesystem::path(path).parent_path();
  const auto fd = open_file(folder.empty() ? "." : folder.string(), O_RDONLY | O_DIRECTORY);
  if (fd) ::fsync(fd->raw());
}

Result<Fd> standard_output() {
  const int fd = ::fcntl(STDOUT_FILENO, F_DUPFD_CLOEXEC, 0);
  if (fd < 0) return os_error("standard output");
  return Fd(fd);
}

}  // namespace

Result<OutputFile> OutputFile::create(const std::string& path) {
  if (path == "-") return OutputFile(path, "", TRY(standard_output()));
  struct stat status;
  const bool is_there = ::stat(path.c_str(), &status) == 0;
  if (is_there && !S_ISREG(status.st_mode)) {
    return OutputFile(path, "", TRY(open_file(path, O_WRONLY)));
  }
  const std::string file = without_links(path);
  std::string temporary = fmt::format("{}.{}.part", file, ::getpid());
  auto fd = open_file(temporary, O_WRONLY | O_CREAT | O_TRUNC);
  if (!fd) return fail_with(fd.error().code, fmt::format("write {}", path));
  OutputFile made(file, std::move(temporary), std::move(*fd));
  // Who might read the old one may read the new one, and nobody else. Where it cannot be done, the
  // file system has no such rights, or this user none to give it to another.
  if (is_there) {
    (void)!::fchown(made.fd_.raw(), status.st_uid, status.st_gid);
    ::fchmod(made.fd_.raw(), status.st_mode & 0777);
  }
  return made;
}

OutputFile::OutputFile(OutputFile&& o) noexcept
    : path_(std::move(o.path_)), temporary_(std::move(o.temporary_)), fd_(std::move(o.fd_)) {
  o.temporary_.clear();
}

OutputFile::~OutputFile() {
  if (!temporary_.empty()) ::unlink(temporary_.c_str());
}

Result<void> OutputFile::finish(std::string_view text) {
  if (auto written = write_all(fd_.raw(), text); !written) {
    return tl::unexpected(std::move(written.error()).within(path_));
  }
  if (temporary_.empty()) return {};
  // Else a power cut may leave the name with nothing behind it.
  if (::fsync(fd_.raw()) != 0) return os_error("write {}", path_);
  if (::rename(temporary_.c_str(), path_.c_str()) != 0) return os_error("write {}", path_);
  temporary_.clear();
  sync_folder_of(path_);
  return {};
}

Result<std::unique_ptr<LineFile>> LineFile::create(std::string path) {
  Fd fd = TRY(path == "-" ? standard_output() : open_file(path, O_WRONLY | O_CREAT | O_TRUNC));
  return std::unique_ptr<LineFile>(new LineFile(std::move(path), std::move(fd)));
}

void LineFile::flush() {
  if (written_ && !gathered_.empty()) {
    written_ = write_all(fd_.raw(), gathered_);
    if (!written_) written_ = tl::unexpected(std::move(written_.error()).within(path_));
  }
  gathered_.clear();
}

Result<void> LineFile::close() {
  flush();
  return written_;
}

}  // namespace wh::host
