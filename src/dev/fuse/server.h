// devfs on a mount point: every request of the host's kernel becomes a system call of one Process.
//
//   cat /mnt/echo --> Linux VFS --> FUSE_READ --> a worker thread --> Process::read --> driver
//
// A device is a regular file to Linux, read and written directly (no page cache), so offsets, short
// reads and EOF are the driver's. A worker that sleeps in a driver stays occupied; kMaxBusy of them
// may, the next request is refused with EAGAIN and counted. So do files (ENFILE) and knotes
// (ENOMEM) have bounds. FUSE_INTERRUPT becomes the thread's
// signal, poll(2)'s wait a Selector. O_NONBLOCK set by fcntl shows in the next request and is then
// put to the driver.
//
// stop(): drivers are unloaded (theirs is to wake their sleepers), then sleepers are interrupted,
// first those who catch signals, then the rest; whoever still has not returned is named and left
// behind.
#pragma once

#include <map>
#include <memory>
#include <mutex>
#include <span>
#include <string>

#include "dev/fuse/message_log.h"
#include "dev/fuse/thread_machine.h"
#include "dev/kernel.h"
#include "dev/process.h"

struct fuse_session;

namespace wh::dev {

class Server {
 public:
  // What users other than root have together. A twentieth of the workers and descriptors is left
  // for root, as FreeBSD leaves of kern.maxfiles: to look at what they have used up, and to end it.
  struct Bounds {
    uint32_t users_busy = 950;      // Requests inside drivers at one time; EAGAIN.
    size_t users_files = 62'000;    // Open; ENFILE.
    size_t users_knotes = 262'144;  // Of all their queues; ENOMEM.
  };
  static constexpr uint32_t kMaxBusy = 1000;  // Requests inside drivers at one time; EAGAIN.
  static constexpr Duration kGrace = 4s;      // For drivers to return, when all ends.

  struct Place {
    std::string directory;      // Where it is mounted.
    std::string backdrop = {};  // A folder whose names are links here, where no device has them.
  };
  // `log` is what the kernel's console writes to.
  Server(Kernel& kernel, ThreadMachine& machine, MessageLog& log, Place place)
      : Server(kernel, machine, log, std::move(place), Bounds{}) {}
  Server(Kernel& kernel, ThreadMachine& machine, MessageLog& log, Place place, Bounds bounds);
  ~Server();
  Server(const Server&) = delete;
  Server& operator=(const Server&) = delete;

  // Errors say what is missing: /dev/fuse, fusermount3, the directory.
  Result<void> mount();
  // Without a mount: requests come from memory, answers go nowhere. For tests.
  Result<void> attach_to_memory();
  // One raw request as the kernel would send it, header and all. REQUIRES: attach_to_memory().
  void answer(std::span<const std::byte> request);
  uint64_t answers() const { return answers_.load(); }   // Sent to memory.
  int last_error() const { return last_error_.load(); }  // Of those: 0, or an errno.
  // Serves until somebody unmounts. Call it once, on a thread of its own.
  void serve();
  // Ends the drivers, the first time it is called. Returns what never came back ("d_read of echo,
  // running"); empty when all did.
  std::vector<std::string> stop(Duration grace);
  void unmount();

 private:
  friend struct Operations;
  class Request;
  class Watch;
  struct Handle {
    std::shared_ptr<Watch> watch;  // Shared with polls in progress.
    uint32_t uid;
    std::string rest = {};  // Of the answer to the last command.
  };

  // Whoever mounts is root to the drivers: numbers of users and groups as the host and as the
  // kernel here have them.
  static uint32_t user_inside(uint32_t uid);
  static uint32_t user_outside(uint32_t uid);
  static uint32_t group_inside(uint32_t gid);
  static uint32_t group_outside(uint32_t gid);
  Result<void> make_session();
  std::string path_of(uint64_t inode);
  uint64_t inode_of(const std::string& path);
  // What the backdrop has for a path of the root; empty for none.
  std::string behind(const std::string& path) const;
  void add_backdrop(std::vector<std::string>& names) const;
  off_t mapped_size(Device& device);
  bool attributes(const std::string& path, uint64_t inode, struct stat& st);
  // Who asks: the host's user and process.
  struct Caller {
    uint32_t uid;
    pid_t pid;
  };
  static bool may_command(const Caller& caller);
  std::string sums();
  std::string command(const std::string& line, const Caller& caller, int& code);
  std::string link(const std::string& verb, const std::string& name, int& code);
  std::vector<std::string> end_drivers(Duration grace);
  void end_if_asked();
  bool may_watch(uint64_t descriptor, uint32_t uid);
  bool take_file(uint32_t uid);  // False: users have theirs. What is taken is given back.
  void give_file(uint32_t uid);

  Kernel& kernel_;
  ThreadMachine& machine_;
  MessageLog& log_;
  const Place place_;
  const Bounds bounds_;
  event::Allowance users_knotes_;  // Under the machine's lock.
  Process process_;
  ::fuse_session* session_ = nullptr;
  std::atomic<uint32_t> busy_{0};
  std::atomic<uint64_t> refused_busy_{0};
  std::atomic<uint64_t> answers_{0};
  std::atomic<int> last_error_{0};
  std::atomic<int> owed_{0};  // Watches that are owed something.
  std::atomic<bool> is_ending_{false};
  std::once_flag stopped_;
  std::vector<std::string> stuck_;  // What stop() said.

  std::mutex mutex_;  // Of what follows.
  std::map<std::string, uint64_t> inodes_;
  std::map<uint64_t, std::string> paths_;
  uint64_t next_inode_ = 3;             // 1 is the root, 2 the control file.
  std::map<uint64_t, Handle> handles_;  // By descriptor.
  size_t users_files_ = 0;
  uint64_t refused_files_ = 0;
};

}  // namespace wh::dev
