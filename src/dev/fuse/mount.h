// A mounted devfs with all that stands behind it: threads, a kernel, drivers, the FUSE server.
//
//   auto mount = TRY(Mount::make({.directory = "/mnt/dev", .drivers = {"echo"}}));
//   const std::vector<std::string> stuck = mount->run();   // until SIGINT, SIGTERM or `umount`
//
// run() returns once the last request has been answered, or once the grace has passed; then it
// names what never came back. When is_finished() is false after that, threads of this process are
// still inside a driver, or a program still has a device open: the process can only leave
// (std::_Exit).
#pragma once

#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "core/result.h"
#include "core/units.h"

namespace wh::dev {

class Network;

// What a directory has on it: nothing of ours; a mount that is served; one whose server has died.
enum class Standing { Nothing, Served, Dead };
Standing standing_on(const std::string& directory);
// Unmounts what a dead server left. Errors: somebody else's, or no fusermount3.
Result<void> take_away_dead(const std::string& directory);

class Mount {
 public:
  enum class CtrlC : bool { Ends, Ignored };  // Ignored: it is for a program beside this one.
  struct Options {
    std::string directory;                  // Where; it exists and is a directory.
    std::string backdrop = {};              // See Server::Place.
    std::vector<std::string> drivers = {};  // Loaded in this order, before anybody can look.
    std::vector<std::string> driver_path = {};
    CtrlC ctrl_c = CtrlC::Ends;
    std::function<void(const std::string&)> console = {};  // What the kernel prints.
    std::shared_ptr<Network> network = {};  // Of drivers' interfaces; shared with what stays stuck.
    Duration grace = 4s;                    // For drivers to return, at the end.
    Duration farewell = 500ms;              // For programs to close, after that.
  };
  // Blocks SIGINT, SIGTERM and SIGHUP in the calling thread, and so in those made later. REQUIRES:
  // one mount a process, no other thread yet. Errors: the machine has no FUSE, a bad directory, a
  // driver that does not load.
  static Result<std::unique_ptr<Mount>> make(Options options);
  ~Mount();
  Mount(const Mount&) = delete;
  Mount& operator=(const Mount&) = delete;

  // Serves until somebody ends it. Returns what is still inside a driver; empty when all is well.
  std::vector<std::string> run();
  bool is_finished() const;

 private:
  struct Parts;
  explicit Mount(Options options);
  const Options options_;
  std::shared_ptr<Parts> parts_;  // Shared with the serving thread.
};

}  // namespace wh::dev
