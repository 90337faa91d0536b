#include "kyua/stack_trace.h"

#include <elf.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cstring>
#include <filesystem>

#include "host/fd.h"

namespace wh::kyua {
namespace {

// An ELF file's type; ET_NONE: it is no such file.
unsigned elf_type(const std::string& path) {
  // Not through a link, nor from a pipe, that the test may have put there.
  const host::Fd file(::open(path.c_str(), O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC));
  struct stat info {};
  if (!file || ::fstat(file.raw(), &info) != 0 || !S_ISREG(info.st_mode)) return ET_NONE;
  Elf64_Ehdr header{};  // That of 32 bits has its type in the same place.
  const bool is_elf =
      ::read(file.raw(), &header, sizeof header) == static_cast<ssize_t>(sizeof header) &&
      std::memcmp(header.e_ident, ELFMAG, SELFMAG) == 0;
  return is_elf ? header.e_type : unsigned{ET_NONE};
}

}  // namespace

std::optional<std::string> find_core(const std::string& folder) {
  std::error_code error;
  for (std::filesystem::directory_iterator it(folder, error), end; !error && it != end;
       it.increment(error)) {
    if (elf_type(it->path().string()) == ET_CORE) return it->path().string();
  }
  return std::nullopt;
}

Command trace_command(const std::string& program, const std::string& core) {
  Command command{{"gdb", "-nx", "-q", "-batch", "-ex", "thread apply all backtrace", "-c", core}};
  // A script's core dump is its interpreter's, which gdb finds by itself if it can.
  if (elf_type(program) != ET_NONE) command.arguments.push_back(program);
  return command;
}

}  // namespace wh::kyua
