#define FUSE_USE_VERSION 312
#include "dev/fuse/server.h"

#include <fcntl.h>
#include <fuse3/fuse_lowlevel.h>
#include <signal.h>
#include <unistd.h>

#include <cerrno>
#include <chrono>
#include <cstring>
#include <filesystem>
#include <thread>

#include "dev/fuse/control.h"
#include "dev/fuse/operations.h"
#include "dev/fuse/shared_mappings.h"

namespace wh::dev {

Server::Server(Kernel& kernel, ThreadMachine& machine, MessageLog& log, Place place, Bounds bounds)
    : kernel_(kernel),
      machine_(machine),
      log_(log),
      place_(std::move(place)),
      bounds_(bounds),
      users_knotes_{.knotes = bounds.users_knotes},
      process_(kernel) {}

Server::~Server() {
  handles_.clear();
  if (session_ != nullptr) ::fuse_session_destroy(session_);
}

Result<void> Server::make_session() {
  // Modes and owners are checked by Linux; as root, everybody may come in, as in /dev.
  const std::string options = ::geteuid() == 0
                                  ? "fsname=devfs,subtype=wh,default_permissions,allow_other"
                                  : "fsname=devfs,subtype=wh,default_permissions";
  std::string program = "wh", flag = "-o", value = options;
  char* argv[] = {program.data(), flag.data(), value.data()};
  ::fuse_args args = FUSE_ARGS_INIT(3, argv);
  session_ = ::fuse_session_new(&args, &kOperations, sizeof kOperations, this);
  ::fuse_opt_free_args(&args);
  if (session_ == nullptr)
    return fail("mount on {}: libfuse refused the options", place_.directory);
  return {};
}

Result<void> Server::attach_to_memory() {
  TRY(make_session());
  ::fuse_custom_io io{};
  io.writev = [](int, ::iovec* iov, int count, void* self) {
    ssize_t n = 0;
    for (const ::iovec& part : std::span(iov, static_cast<size_t>(count))) {
      n += static_cast<ssize_t>(part.iov_len);
    }
    // fuse_out_header: length, error, and whose answer it is; a notice is nobody's.
    struct {
      uint32_t length;
      int32_t error;
      uint64_t unique;
    } header;
    std::memcpy(&header, iov->iov_base, sizeof header);
    Server& server = *static_cast<Server*>(self);
    if (header.unique != 0) server.last_error_ = -header.error, ++server.answers_;
    return n;
  };
  io.read = [](int, void*, size_t, void*) { return ssize_t{0}; };
  const int fd = ::open("/dev/null", O_RDWR | O_CLOEXEC);
  if (fd < 0 || ::fuse_session_custom_io(session_, &io, fd) != 0) {
    return fail_with(static_cast<std::errc>(errno), "attach to memory");
  }
  return {};
}

void Server::answer(std::span<const std::byte> request) {
  // libfuse writes into the buffer it is given.
  std::vector<std::byte> copy(request.begin(), request.end());
  ::fuse_buf buffer{};
  buffer.size = copy.size();
  buffer.mem = copy.data();
  ::fuse_session_process_buf(session_, &buffer);
}

Result<void> Server::mount() {
  if (::access("/dev/fuse", R_OK | W_OK) != 0) {
    return fail_with(static_cast<std::errc>(errno),
                     "open /dev/fuse (without it, use the in-process interface)");
  }
  struct stat st {};
  if (::stat(place_.directory.c_str(), &st) != 0) {
    return fail_with(static_cast<std::errc>(errno), "mount on " + place_.directory);
  }
  if (!S_ISDIR(st.st_mode)) return fail("mount on {}: not a directory", place_.directory);
  TRY(make_session());
  if (::fuse_session_mount(session_, place_.directory.c_str()) != 0) {
    ::fuse_session_destroy(session_);
    session_ = nullptr;
    return fail("mount on {}: refused (see above; as a user, fusermount3 must be installed)",
                place_.directory);
  }
  return begin_session(session_);
}

void Server::serve() {
  ::fuse_loop_config* config = ::fuse_loop_cfg_create();
  ::fuse_loop_cfg_set_clone_fd(config, 0);
  ::fuse_loop_cfg_set_max_threads(config, kMaxBusy + 24);
  ::fuse_loop_cfg_set_idle_threads(config, 16);
  ::fuse_session_loop_mt(session_, config);
  ::fuse_loop_cfg_destroy(config);
}

void Server::unmount() {
  ::fuse_session_unmount(session_);
}

std::vector<std::string> Server::stop(Duration grace) {
  std::call_once(stopped_, [&] { stuck_ = end_drivers(grace); });
  return stuck_;
}

// The unloading is a thread's own work: a driver that never returns must not take us with it.
std::vector<std::string> Server::end_drivers(Duration grace) {
  auto is_unloaded = std::make_shared<std::atomic<bool>>(false);
  std::thread([this, is_unloaded] {
    kernel_.modules().unload_all();
    *is_unloaded = true;
  }).detach();
  const Instant end = machine_.now() + grace;
  const Instant signals = machine_.now() + grace / 2, aborts = machine_.now() + grace * 3 / 4;
  std::vector<std::string> inside;
  for (;;) {
    inside.clear();
    const Instant now = machine_.now();
    machine_.lock();
    machine_.each_thread([&](::thread& td) {
      if (now >= signals) kernel_.sleepq().interrupt(td);
      if (now >= aborts) kernel_.sleepq().abort(td);
      const char* method = td.method.load();
      const Device* device = td.device.load();
      const char* wmesg = td.wmesg.load();
      if (method == nullptr) return;
      inside.push_back(fmt::format(
          "{}{}{}, {}", method, device != nullptr ? " of " : "",
          device != nullptr ? device->name() : "",
          wmesg != nullptr ? fmt::format("asleep on \"{}\"", wmesg) : std::string("running")));
    });
    machine_.unlock();
    if (*is_unloaded) return {};
    if (now >= end) break;
    std::this_thread::sleep_for(10ms);
  }
  if (inside.empty()) inside.push_back("a module's MOD_UNLOAD");
  return inside;
}

uint32_t Server::user_inside(uint32_t uid) {
  return uid == ::geteuid() ? 0 : uid;
}
uint32_t Server::user_outside(uint32_t uid) {
  return uid == 0 ? ::geteuid() : uid;
}
uint32_t Server::group_inside(uint32_t gid) {
  return gid == ::getegid() ? 0 : gid;
}
uint32_t Server::group_outside(uint32_t gid) {
  return gid == 0 ? ::getegid() : gid;
}

// ---- Names. An inode number is given to a path when it is first looked up, and stays.

std::string Server::path_of(uint64_t inode) {
  const std::lock_guard guard(mutex_);
  const auto it = paths_.find(inode);
  return it == paths_.end() ? std::string() : it->second;
}

uint64_t Server::inode_of(const std::string& path) {
  const std::lock_guard guard(mutex_);
  const auto [it, is_new] = inodes_.try_emplace(path, next_inode_);
  if (is_new) paths_.emplace(next_inode_++, path);
  return it->second;
}

std::string Server::behind(const std::string& path) const {
  struct stat st {};
  if (place_.backdrop.empty() || path.empty() || path.find('/') != std::string::npos) return "";
  std::string target = place_.backdrop + "/" + path;
  return ::lstat(target.c_str(), &st) == 0 ? target : "";
}

void Server::add_backdrop(std::vector<std::string>& names) const {
  if (place_.backdrop.empty()) return;
  std::error_code failed;
  for (const auto& entry : std::filesystem::directory_iterator(place_.backdrop, failed)) {
    const std::string name = entry.path().filename();
    const bool is_taken = std::any_of(names.begin(), names.end(), [&](const std::string& taken) {
      return taken == name || taken == name + "/";
    });
    if (!is_taken) names.push_back(name);
  }
}

// How far a device can be mapped, which Linux wants to know as the file's size; 0 when not at all.
off_t Server::mapped_size(Device& device) {
  const auto method = device.driver()->d_mmap;
  if (method == nullptr) return 0;
  ::thread& td = machine_.current();
  constexpr off_t kPage = 4096, kMost = off_t{1} << 28;
  const auto has = [&](off_t page) {
    return device.call(td, "d_mmap", [&] {
      ::vm_paddr_t address = 0;
      ::vm_memattr_t attributes = 0;
      return method(&device, page * kPage, &address, 1, &attributes) == 0 ? 0 : EINVAL;
    }) == 0;
  };
  if (!has(0)) return 0;
  off_t there = 1, missing = 2;  // Pages below `there` are; where `missing` pages would end is not.
  while (missing < kMost && has(missing - 1)) there = std::exchange(missing, missing * 2);
  while (missing - there > 1) {
    const off_t middle = there + (missing - there) / 2;
    (has(middle - 1) ? there : missing) = middle;
  }
  return there * kPage;
}

// What ls(1) shows of a path; false when there is nothing.
bool Server::attributes(const std::string& path, uint64_t inode, struct stat& st) {
  st = {};
  st.st_ino = inode;
  st.st_nlink = 1;
  st.st_blksize = 4096;
  const auto device = inode > 2 ? kernel_.devfs().find(path) : nullptr;
  if (device != nullptr) {
    st.st_mode = S_IFREG | device->mode;
    st.st_size = mapped_size(*device);
    st.st_uid = user_outside(device->uid);
    st.st_gid = group_outside(device->gid);
    const auto age = machine_.now() - device->created;
    const auto made = std::chrono::system_clock::now() - age;
    st.st_mtim.tv_sec = std::chrono::system_clock::to_time_t(
        std::chrono::time_point_cast<std::chrono::seconds>(made));
    st.st_atim = st.st_ctim = st.st_mtim;
    return true;
  }
  st.st_uid = ::geteuid();
  st.st_gid = ::getegid();
  if (inode == 2) {
    st.st_mode = S_IFREG | 0666;
    return true;
  }
  if (inode != 1 && kernel_.devfs().list(path).empty()) {
    st.st_mode = S_IFLNK | 0777;
    st.st_size = static_cast<off_t>(behind(path).size());
    return st.st_size != 0;
  }
  st.st_mode = S_IFDIR | 0755;
  st.st_nlink = 2;
  return true;
}

// ---- The control file.

// Root and the user who mounted it; not a jail's root, who is in a user namespace of its own: a
// driver is code that runs out here.
bool Server::may_command(const Caller& caller) {
  if (caller.uid != 0 && caller.uid != ::geteuid()) return false;
  struct stat ours {
  }, theirs{};
  const std::string path = fmt::format("/proc/{}/ns/user", caller.pid);
  return ::stat("/proc/self/ns/user", &ours) == 0 && ::stat(path.c_str(), &theirs) == 0 &&
         ours.st_ino == theirs.st_ino;
}

// As vmstat -s shows them.
std::string Server::sums() {
  uint64_t refused_files = 0, refused_knotes = 0;
  {
    const std::lock_guard guard(mutex_);
    refused_files = refused_files_;
  }
  {
    const MachineLock guard(machine_);
    refused_knotes = users_knotes_.refused;
  }
  return fmt::format(
      "{:9} requests refused, with {} inside drivers\n"
      "{:9} files refused, with {} of users open\n"
      "{:9} knotes refused, with {} of users\n"
      "{:9} polls answered at once, with {} waiting\n"
      "{:9} lines of messages forgotten\n",
      refused_busy_.load(), kMaxBusy, refused_files, bounds_.users_files, refused_knotes,
      bounds_.users_knotes, kernel_.selects().overflows(), Selects::kMaxWaiters, log_.forgotten());
}

std::string Server::command(const std::string& line, const Caller& caller, int& code) {
  const size_t space = std::min(line.find(' '), line.size());
  const std::string verb = line.substr(0, space);
  const std::string rest = space < line.size() ? line.substr(space + 1) : "";
  code = 0;
  if (verb == "kldstat") return to_lines(kernel_.modules().rows());
  if (verb == "dmesg") return log_.text();
  if (verb == "vmstat") return kernel_.memory().vmstat();
  if (verb == "sums") return sums();
  if (verb == "ls") return list_devices(kernel_.devfs());
  if (!may_command(caller)) {
    code = EPERM;
    return fmt::format("{}: only root and the user who mounted it may, and not from a jail", verb);
  }
  if (verb == "kldload" || verb == "kldunload" || verb == "kldunload-force") {
    return link(verb, rest, code);
  }
  if (verb == "umount") {
    const std::vector<std::string> stuck = stop(kGrace);
    is_ending_ = true;
    code = stuck.empty() ? 0 : EBUSY;
    return fmt::format("{}", fmt::join(stuck, "\n"));
  }
  code = EINVAL;
  return fmt::format("{}: no such command", verb);
}

// kldload and kldunload may take as long as a driver does. They run on a thread of their own, so
// that a signal frees the program that asked; what it asked for goes on.
std::string Server::link(const std::string& verb, const std::string& name, int& code) {
  struct Job {
    bool is_done = false;
    Result<std::string> result;
  };
  const auto job = std::make_shared<Job>();
  machine_.spawn(verb, [this, verb, name, job] {
    Modules& modules = kernel_.modules();
    Result<std::string> result;
    if (verb == "kldload") {
      result = modules.load(name).map([](int id) { return std::to_string(id); });
    } else {
      const auto force = verb == "kldunload" ? Modules::Force::No : Modules::Force::Yes;
      result = modules.unload(name, force).map([] { return std::string(); });
    }
    const MachineLock guard(machine_);
    job->result = std::move(result);
    job->is_done = true;
    kernel_.sleepq().wakeup(job.get());
  });
  ::thread& td = machine_.current();
  const MachineLock guard(machine_);
  while (!job->is_done) {
    kernel_.sleepq().enqueue(td, job.get(), "kldwait");
    if (kernel_.sleepq().wait(td, kNever, true) == SleepQueues::Wake::Interrupted) {
      code = EINTR;
      return fmt::format("{}: interrupted; it goes on without you", verb);
    }
  }
  if (job->result) return *job->result;
  code = static_cast<int>(job->result.error().code);
  return job->result.error().text;
}

// Once the answer to `umount` has been sent: the main thread waits for the signal, and then takes
// away what answers go through.
void Server::end_if_asked() {
  if (is_ending_.exchange(false)) ::kill(::getpid(), SIGTERM);
}

bool Server::take_file(uint32_t uid) {
  if (user_inside(uid) == 0) return true;
  const std::lock_guard guard(mutex_);
  if (users_files_ >= bounds_.users_files) {
    ++refused_files_;
    return false;
  }
  ++users_files_;
  return true;
}

void Server::give_file(uint32_t uid) {
  if (user_inside(uid) == 0) return;
  const std::lock_guard guard(mutex_);
  --users_files_;
}

bool Server::may_watch(uint64_t descriptor, uint32_t uid) {
  const std::lock_guard guard(mutex_);
  const auto it = handles_.find(descriptor);
  return it != handles_.end() && (uid == 0 || it->second.uid == uid);
}

}  // namespace wh::dev
