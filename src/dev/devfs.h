// devfs(5): the names of devices, and their making and destroying.
//
// Names may contain '/', which makes directories; those exist while something is below them. Names
// are bounded by SPECNAMELEN, their number by kMaxDevices. An alias is a second name of a device,
// and goes with it (FreeBSD's si_children).
#pragma once

#include <map>
#include <memory>
#include <set>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "dev/device.h"

namespace wh::dev {

class Devfs {
 public:
  using Names = std::map<std::string, std::shared_ptr<Device>, std::less<>>;
  static constexpr size_t kMaxDevices = 65536;

  explicit Devfs(Kernel& kernel) : kernel_(kernel) {}

  // make_dev_s(9). Returns 0, or EINVAL (name), ENAMETOOLONG, EEXIST, ENOMEM, ENXIO (no driver).
  int make(const ::make_dev_args& args, const std::string& name, ::cdev** out);
  int make_alias(::cdev& target, const std::string& name, ::cdev** out);
  // destroy_dev(9): waits until no thread is inside the driver through this device. Of an alias,
  // takes away that name.
  void destroy(::cdev& dev);
  // destroy_dev_sched(9): the same on another thread; `done` runs after it. False: that has been
  // asked for already.
  bool schedule_destroy(::cdev& dev, std::function<void()> done);
  // Waits until every scheduled destruction is done.
  void drain();

  // Null when there is none.
  std::shared_ptr<Device> find(std::string_view name) const;
  std::vector<std::shared_ptr<Device>> devices() const;
  // Every name, its own and those of aliases.
  Names names() const;
  // Names directly below `directory` ("" for the root); those that are directories end in '/'.
  std::vector<std::string> list(std::string_view directory) const;

 private:
  // What a driver knows as a cdev: a device of its own, or an alias.
  struct Node {
    Names::iterator name;
    std::unique_ptr<::cdev> alias;  // Null when it is the device itself.
  };

  int check_name(std::string_view name, std::string& clean) const;
  // All of these REQUIRE that the machine's lock is held.
  bool is_taken(std::string_view name) const;
  int insert(std::string_view name, std::shared_ptr<Device> device, std::unique_ptr<::cdev> alias);
  void forget(const ::cdev* node);

  Kernel& kernel_;
  Names names_;
  std::unordered_map<const ::cdev*, Node> nodes_;
  uint64_t next_inode_ = 2;
  std::set<const ::cdev*> doomed_;  // To be destroyed by another thread.
  size_t scheduled_ = 0;            // Of those threads, that have not ended.
};

// The devices as `ls -l /dev` shows them on FreeBSD, less the date.
std::string list_devices(const Devfs& devfs);

}  // namespace wh::dev
