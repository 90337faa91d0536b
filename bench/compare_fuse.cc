// Devices through FUSE, beside a bare libfuse pass-through file, in one run.
//
// Two servers in children, mounted side by side: a low-level libfuse server that answers with pread
// and pwrite on a file in memory, and ours with the drivers md and zero. Rounds alternate between
// them, so that what the machine does meanwhile hits both; each figure is the median of the rounds'
// ratios. Goals: 64 KiB transfers at 90 % of the bare file's rate, one byte in 1.15 times its time.
#define FUSE_USE_VERSION 312
#include <fcntl.h>
#include <fuse3/fuse_lowlevel.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <string>
#include <vector>

#include "dev/fuse/mount.h"

namespace {

using Clock = std::chrono::steady_clock;

// ---- The bare server: inode 2, "file", is a memfd.

int backing = -1;
constexpr off_t kSize = 4 << 20;

bool describe(fuse_ino_t inode, struct stat& st) {
  st = {};
  st.st_ino = inode;
  st.st_nlink = 1;
  st.st_mode = inode == 1 ? S_IFDIR | 0755 : S_IFREG | 0666;
  st.st_size = inode == 1 ? 0 : kSize;
  return inode <= 2;
}
void bare_lookup(fuse_req_t req, fuse_ino_t, const char* name) {
  fuse_entry_param entry{};
  entry.ino = 2;
  describe(2, entry.attr);
  if (std::strcmp(name, "file") != 0) {
    fuse_reply_err(req, ENOENT);
  } else {
    fuse_reply_entry(req, &entry);
  }
}
void bare_getattr(fuse_req_t req, fuse_ino_t inode, fuse_file_info*) {
  struct stat st;
  describe(inode, st);
  fuse_reply_attr(req, &st, 0);
}
void bare_open(fuse_req_t req, fuse_ino_t, fuse_file_info* fi) {
  fi->direct_io = 1;
  fuse_reply_open(req, fi);
}
void bare_read(fuse_req_t req, fuse_ino_t, size_t size, off_t at, fuse_file_info*) {
  thread_local std::vector<char> buffer;
  if (buffer.size() < size) buffer.resize(size);
  const ssize_t n = ::pread(backing, buffer.data(), size, at);
  fuse_reply_buf(req, buffer.data(), static_cast<size_t>(std::max<ssize_t>(n, 0)));
}
void bare_write(fuse_req_t req, fuse_ino_t, const char* data, size_t size, off_t at,
                fuse_file_info*) {
  fuse_reply_write(req,
                   static_cast<size_t>(std::max<ssize_t>(::pwrite(backing, data, size, at), 0)));
}

int serve_bare(const std::string& directory) {
  backing = ::memfd_create("bare", 0);
  if (::ftruncate(backing, kSize) != 0) return 1;
  fuse_lowlevel_ops ops{};
  ops.lookup = bare_lookup;
  ops.getattr = bare_getattr;
  ops.open = bare_open;
  ops.read = bare_read;
  ops.write = bare_write;
  std::string program = "bare";
  char* argv[] = {program.data()};
  fuse_args args = FUSE_ARGS_INIT(1, argv);
  fuse_session* session = fuse_session_new(&args, &ops, sizeof ops, nullptr);
  if (session == nullptr || fuse_session_mount(session, directory.c_str()) != 0) return 1;
  fuse_loop_config* config = fuse_loop_cfg_create();
  fuse_loop_cfg_set_clone_fd(config, 0);
  fuse_session_loop_mt(session, config);
  return 0;
}

int serve_ours(const std::string& directory, const std::string& drivers) {
  auto mount = wh::dev::Mount::make(
      {.directory = directory, .drivers = {"md", "zero"}, .driver_path = {drivers}});
  if (!mount) {
    std::fprintf(stderr, "%s\n", mount.error().text.c_str());
    return 1;
  }
  (*mount)->run();
  return 0;
}

// ---- The program that uses both.

struct Server {
  std::string directory;
  pid_t pid = -1;
};

template <class Serve>
Server start(const char* witness, Serve serve) {
  std::string directory = "/tmp/wh-compare-XXXXXX";
  if (::mkdtemp(directory.data()) == nullptr) std::exit(2);
  const pid_t pid = ::fork();
  if (pid == 0) ::_exit(serve(directory));
  for (int i = 0; i < 1000 && ::access((directory + "/" + witness).c_str(), R_OK) != 0; ++i) {
    ::usleep(5000);
  }
  return {directory, pid};
}

// Seconds that `count` transfers of `size` bytes take.
double time_of(const std::string& path, bool reads, size_t size, int count) {
  const int fd = ::open(path.c_str(), O_RDWR);
  std::vector<char> buffer(size, 'x');
  const auto begin = Clock::now();
  for (int i = 0; i < count; ++i) {
    const off_t at = size == 1 ? 0 : static_cast<off_t>(static_cast<size_t>(i) * size) % kSize;
    const ssize_t n =
        reads ? ::pread(fd, buffer.data(), size, at) : ::pwrite(fd, buffer.data(), size, at);
    if (n != static_cast<ssize_t>(size)) {
      std::perror(path.c_str());
      std::exit(1);
    }
  }
  const double seconds = std::chrono::duration<double>(Clock::now() - begin).count();
  ::close(fd);
  return seconds;
}

double median(std::vector<double> v) {
  std::sort(v.begin(), v.end());
  return v[v.size() / 2];
}

struct Figure {
  const char* name;
  const char* device;
  bool reads;
  size_t size;
  int count;
};

void compare(const Figure& f, const Server& bare, const Server& ours) {
  std::vector<double> ratios, bare_times, our_times;
  for (int round = 0; round < 15; ++round) {
    const double b = time_of(bare.directory + "/file", f.reads, f.size, f.count);
    const double o = time_of(ours.directory + "/" + f.device, f.reads, f.size, f.count);
    bare_times.push_back(b / f.count * 1e6);
    our_times.push_back(o / f.count * 1e6);
    ratios.push_back(o / b);
  }
  const double ratio = median(ratios);
  if (f.size == 1) {
    std::printf("%-22s bare %6.2f us, ours %6.2f us: %.3f times (goal: at most 1.15)\n", f.name,
                median(bare_times), median(our_times), ratio);
  } else {
    const double mb = static_cast<double>(f.size) / 1e6;
    std::printf("%-22s bare %6.0f MB/s, ours %6.0f MB/s: %.1f %% (goal: at least 90 %%)\n", f.name,
                mb / (median(bare_times) * 1e-6), mb / (median(our_times) * 1e-6), 100 / ratio);
  }
}

}  // namespace

int main() {
  if (::access("/dev/fuse", R_OK | W_OK) != 0) {
    std::printf("skipped: no access to /dev/fuse\n");
    return 0;
  }
  const Server bare = start("file", serve_bare);
  const Server ours =
      start("md0", [](const std::string& d) { return serve_ours(d, WH_DRIVER_DIR); });
  constexpr Figure kFigures[] = {{"read of 64 KiB", "md0", true, 65536, 1000},
                                 {"write of 64 KiB", "md0", false, 65536, 1000},
                                 {"read of 1 byte", "zero", true, 1, 4000},
                                 {"write of 1 byte", "zero", false, 1, 4000}};
  for (const Figure& f : kFigures) compare(f, bare, ours);
  for (const Server& s : {bare, ours}) {
    ::kill(s.pid, SIGTERM);
    ::waitpid(s.pid, nullptr, 0);
    ::umount2(s.directory.c_str(), MNT_DETACH);  // The bare one leaves its mount behind.
    ::rmdir(s.directory.c_str());
  }
  return 0;
}
