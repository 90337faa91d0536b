#include "dev/devfs.h"

#include <cerrno>
#include <utility>

#include "dev/kernel.h"

namespace wh::dev {

// FreeBSD's rules: leading and doubled slashes vanish; "." and ".." and an empty name are refused.
int Devfs::check_name(std::string_view name, std::string& clean) const {
  clean.clear();
  while (!name.empty()) {
    const size_t slash = std::min(name.find('/'), name.size());
    const std::string_view part = name.substr(0, slash);
    name.remove_prefix(std::min(slash + 1, name.size()));
    if (part.empty()) continue;
    if (part == "." || part == "..") return EINVAL;
    if (!clean.empty()) clean += '/';
    clean += part;
  }
  if (clean.empty()) return EINVAL;
  return clean.size() > SPECNAMELEN ? ENAMETOOLONG : 0;
}

// By a device or a directory, or below a device.
bool Devfs::is_taken(std::string_view name) const {
  const std::string as_directory = std::string(name) + "/";
  const auto below = names_.lower_bound(as_directory);
  if (names_.contains(name)) return true;
  if (below != names_.end() && below->first.starts_with(as_directory)) return true;
  for (size_t at = name.find('/'); at != std::string_view::npos; at = name.find('/', at + 1)) {
    if (names_.contains(name.substr(0, at))) return true;
  }
  return false;
}

// `alias` is null for the device's own name.
int Devfs::insert(std::string_view name, std::shared_ptr<Device> device,
                  std::unique_ptr<::cdev> alias) {
  if (is_taken(name)) return EEXIST;
  if (names_.size() >= kMaxDevices) return ENOMEM;
  if (device->inode == 0) device->inode = next_inode_++;
  const ::cdev* node = device.get();
  if (alias != nullptr) device->aliases_.push_back(node = alias.get());
  const auto at = names_.emplace(std::string(name), std::move(device)).first;
  nodes_.emplace(node, Node{at, std::move(alias)});
  return 0;
}

void Devfs::forget(const ::cdev* node) {
  const auto it = nodes_.find(node);
  names_.erase(it->second.name);
  nodes_.erase(it);
}

int Devfs::make(const ::make_dev_args& args, const std::string& name, ::cdev** out) {
  *out = nullptr;
  if (args.mda_devsw == nullptr) return ENXIO;
  if (args.mda_devsw->d_version != D_VERSION) return EINVAL;
  std::string clean;
  if (const int error = check_name(name, clean); error != 0) return error;
  if ((args.mda_flags & MAKEDEV_NOWAIT) != 0 && kernel_.injection() != nullptr &&
      kernel_.injection()->no_memory()) {
    return ENOMEM;
  }
  auto device = std::make_shared<Device>(kernel_, args, clean);
  // A driver may be called before make_dev_s returns; it finds its si_drv1 set.
  *out = device.get();
  const MachineLock guard(kernel_.machine());
  const int error = insert(clean, std::move(device), nullptr);
  if (error != 0) *out = nullptr;
  if (error == EEXIST && (args.mda_flags & MAKEDEV_CHECKNAME) == 0) {
    kernel_.reports().blame(Misdeed::NameExists,
                            fmt::format("make_dev_s {} without MAKEDEV_CHECKNAME", clean));
  }
  return error;
}

int Devfs::make_alias(::cdev& target, const std::string& name, ::cdev** out) {
  *out = nullptr;
  std::string clean;
  if (const int error = check_name(name, clean); error != 0) return error;
  auto alias = std::make_unique<::cdev>(target);
  clean.copy(alias->si_name, SPECNAMELEN);
  alias->si_name[clean.size()] = '\0';
  ::cdev* const made = alias.get();
  const MachineLock guard(kernel_.machine());
  const auto node = nodes_.find(&target);
  if (node == nodes_.end()) return ENXIO;
  const int error = insert(clean, node->second.name->second, std::move(alias));
  if (error == 0) *out = made;
  return error;
}

void Devfs::destroy(::cdev& dev) {
  kernel_.machine().point();
  ::thread& td = kernel_.machine().current();
  kernel_.locks().may_sleep(td, "destroy_dev");
  kernel_.machine().lock();
  const auto node = nodes_.find(&dev);
  if (node == nodes_.end()) {
    kernel_.machine().unlock();
    kernel_.reports().blame(Misdeed::DoubleDestroy, "destroy_dev of a device that is gone");
    return;
  }
  const std::shared_ptr<Device> device = node->second.name->second;
  const bool is_alias = node->second.alias != nullptr;
  if (!is_alias && td.device == device.get()) {
    kernel_.machine().unlock();
    kernel_.reports().blame(
        Misdeed::DoubleDestroy,
        fmt::format("destroy_dev of {} from its own {}, which would wait for itself; scheduled",
                    device->name(), td.method.load()));
    schedule_destroy(dev, nullptr);
    return;
  }
  if (is_alias) {
    std::erase(device->aliases_, &dev);
  } else {
    for (const ::cdev* alias : std::exchange(device->aliases_, {})) forget(alias);
  }
  forget(&dev);
  kernel_.machine().unlock();
  if (is_alias) return;
  device->is_gone_ = true;
  device->purge();
  device->wait_until_empty(td);
  kernel_.device_gone(*device);
  device->wait_until_empty(td);  // For the destructors that others have begun.
}

bool Devfs::schedule_destroy(::cdev& dev, std::function<void()> done) {
  {
    const MachineLock guard(kernel_.machine());
    if (!doomed_.insert(&dev).second) return false;
    ++scheduled_;
  }
  const std::string name = dev.si_name;
  kernel_.machine().spawn("devdtr", [this, &dev, name, done = std::move(done)] {
    destroy(dev);
    {
      const MachineLock guard(kernel_.machine());
      doomed_.erase(&dev);  // Its address may be another's now.
    }
    kernel_.guard("destroy_dev_sched_cb", name, [&] {
      if (done) done();
      return 0;
    });
    const MachineLock guard(kernel_.machine());
    if (--scheduled_ == 0) kernel_.sleepq().wakeup(&scheduled_);
  });
  return true;
}

void Devfs::drain() {
  ::thread& td = kernel_.machine().current();
  const MachineLock guard(kernel_.machine());
  while (scheduled_ != 0) {
    kernel_.sleepq().enqueue(td, &scheduled_, "devdtr");
    kernel_.sleepq().wait(td, kNever, false);
  }
}

std::shared_ptr<Device> Devfs::find(std::string_view name) const {
  const MachineLock guard(kernel_.machine());
  const auto it = names_.find(name);
  return it == names_.end() ? nullptr : it->second;
}

std::vector<std::shared_ptr<Device>> Devfs::devices() const {
  const MachineLock guard(kernel_.machine());
  std::vector<std::shared_ptr<Device>> all;
  for (const auto& [name, device] : names_) {
    if (name == device->name()) all.push_back(device);
  }
  return all;
}

Devfs::Names Devfs::names() const {
  const MachineLock guard(kernel_.machine());
  return names_;
}

std::vector<std::string> Devfs::list(std::string_view directory) const {
  const MachineLock guard(kernel_.machine());
  std::vector<std::string> out;
  const std::string prefix = directory.empty() ? "" : std::string(directory) + "/";
  for (auto it = names_.lower_bound(prefix); it != names_.end() && it->first.starts_with(prefix);
       ++it) {
    const std::string_view rest = std::string_view(it->first).substr(prefix.size());
    const size_t slash = rest.find('/');
    std::string name(rest.substr(0, slash == std::string_view::npos ? slash : slash + 1));
    if (out.empty() || out.back() != name) out.push_back(std::move(name));
  }
  return out;
}

std::string list_devices(const Devfs& devfs) {
  const auto owner = [](uint32_t id, bool is_group) -> std::string {
    switch (id) {
      case UID_ROOT: return is_group ? "wheel" : "root";
      case GID_OPERATOR: return "operator";
      case UID_NOBODY: return is_group ? "nogroup" : "nobody";
      default: return std::to_string(id);
    }
  };
  std::string out;
  for (const auto& [name, device] : devfs.names()) {
    if (name != device->name()) {  // An alias, which is a symbolic link there.
      std::string up;
      for (const char c : name) up += c == '/' ? "../" : "";
      out += fmt::format("lrwxr-xr-x 1 root wheel {:#x} {} -> {}{}\n", device->inode, name, up,
                         device->name());
      continue;
    }
    std::string mode = "c";
    for (int bit = 8; bit >= 0; --bit) {
      mode += ((device->mode >> bit) & 1) != 0 ? "xwr"[bit % 3] : '-';
    }
    out += fmt::format("{} 1 {} {} {:#x} {}\n", mode, owner(device->uid, false),
                       owner(device->gid, true), device->inode, name);
  }
  return out;
}

}  // namespace wh::dev
