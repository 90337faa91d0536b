// Which jails there are: a folder for each, below its parent's.
//
//   /run/wheelhouse/            root's jails on the machine; somebody else's are in
//                               $XDG_RUNTIME_DIR/wheelhouse or /tmp/wheelhouse-UID
//     jails/router/             one jail
//       params                  its parameters, a word a line ("\n" for a line end within)
//       lock                    locked by the jail's init for as long as it lives
//       control                 a socket of init's; its credentials tell init's process id
//       jails/client/           a jail made inside router
//
// A jail lives while its lock is held: no process id in a file can mislead, and whatever is not
// locked is swept away. Inside a jail the same program finds the jails below its own in the current
// folder of process 1, and no others; names need to be unique only below one parent. Its own
// folder, which says what its limits are, it can read but not write (kOwnAt). Limits hold for every
// ancestor: init also holds their folders, from descriptor kAncestorsAt on, and makers count in
// each.
#pragma once

#include <functional>
#include <string>
#include <vector>

#include "core/result.h"
#include "host/fd.h"
#include "jail/params.h"

namespace wh::jail {

// Init's descriptors: of its own folder, and the first of its ancestors' folders.
constexpr int kOwnAt = 19, kAncestorsAt = 20;
constexpr const char* kInitName = "jail-init";
constexpr int64_t kHostChildrenMax = 999'999;  // Of prison0, as on FreeBSD.

struct Entry {
  std::string name;  // With its parents' below this registry: "router.client".
  std::string folder;
  int64_t jid = 0;
  JailParams params;
};

// A jail in the making: its lock, which init inherits and its maker lets go of.
struct Made {
  Entry entry;
  host::Fd lock;
};

class Registry {
 public:
  // Of the jail that this process is in; of the machine outside of any.
  static Result<Registry> open();
  static Result<Registry> open_at(std::string folder);
  // Where this user's jails of the machine are.
  static std::string machine_folder();
  // Where what is made here is noted, beside the jails: a folder of the jail that this process is
  // in, which goes with it; machine_folder() outside of any. May not exist yet.
  static std::string own_folder();

  // Living jails below this one, parents before children. Sweeps the dead.
  Result<std::vector<Entry>> list();
  // By name or jid. Errors: no such jail, with the nearest name.
  Result<Entry> find(std::string_view name_or_jid);

  int64_t children_max() const { return children_max_; }
  // May a jail made here have so many below it?
  Result<void> check_children_max(int64_t wanted) const;
  Result<int64_t> children_cur();

  // Makes the folder of a new jail, if its name is free and every ancestor has room for one more.
  // Serialised with others' attempts. `params` gets its jid, and a name if it had none.
  Result<Made> add(JailParams params);
  // Rewrites what is recorded of a jail.
  static Result<void> save(const Entry& entry);
  static Result<void> forget(const Entry& entry);
  // What a jail made here must keep: the folders of this jail and of those above, nearest first;
  // empty on the machine itself.
  std::vector<std::string> ancestors() const;
  bool is_inside_jail() const { return is_inside_; }

 private:
  enum class Place : uint8_t { Machine, Jail };
  Registry(std::string own, std::string jails, Place place)
      : own_(std::move(own)), jails_(std::move(jails)), is_inside_(place == Place::Jail) {}
  std::string own_, jails_;  // This jail's folder; the one of the jails below.
  bool is_inside_;
  int64_t children_max_ = kHostChildrenMax;
  int64_t own_jid_ = 0;  // Of the jail that this process is in.
};

// Is the lock of a jail's folder held?
bool is_alive(const std::string& folder);

}  // namespace wh::jail
