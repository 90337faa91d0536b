#include "dev/module.h"

#include <cerrno>
#include <cstring>

#include "dev/kernel.h"

namespace wh::dev {

struct Modules::LinkerFile {
  int id = 0;
  std::string path;
  std::unique_ptr<Image> image;
  bool is_busy = false;  // Being loaded or unloaded.
  std::vector<const ::moduledata_t*> modules;

  std::string name() const { return path.substr(path.rfind('/') + 1); }
  bool contains(const void* p) const {
    const auto at = reinterpret_cast<uintptr_t>(p);  // Compared as a number only.
    return at >= reinterpret_cast<uintptr_t>(image->begin()) &&
           at < reinterpret_cast<uintptr_t>(image->end());
  }
  static const ::moduledata_t* module_of(const ::wh_meta& meta) {
    return static_cast<const ::moduledata_t*>(meta.what);
  }
  template <class F>
  void each(::wh_meta_kind kind, F&& f) const {
    const ::wh_driver_image& driver = image->driver();
    for (::wh_meta** m = driver.meta_begin; m != driver.meta_end; ++m) {
      if ((*m)->kind == kind) f(**m);
    }
  }
};

namespace {

// Sends a module its event.
int send(Kernel& kernel, const ::moduledata_t& module, int event, const char* what) {
  if (module.evhand == nullptr) return 0;
  // The opaque module_t: its data, which is all that identifies a module here.
  auto* handle = reinterpret_cast<::module_t>(const_cast<::moduledata_t*>(&module));
  return kernel.guard(what, module.name, [&] { return module.evhand(handle, event, module.priv); });
}

tl::unexpected<Error> refused(int code, const std::string& text) {
  return fail_with(static_cast<std::errc>(code), text);
}

}  // namespace

Modules::Modules(Kernel& kernel, ModuleLoader& loader) : kernel_(kernel), loader_(loader) {}
Modules::~Modules() {
  CHECK(files_.empty());
}

Result<int> Modules::load(const std::string& path_or_name) {
  {
    const MachineLock guard(kernel_.machine());
    if (find(path_or_name) != files_.end()) {
      return refused(EEXIST, fmt::format("kldload: can't load {}: already loaded", path_or_name));
    }
  }
  LinkerFile file;
  file.image = TRY(loader_.load(path_or_name));
  file.path = file.image->path();
  const ::wh_driver_image& driver = file.image->driver();
  if (driver.version != WH_KPI_VERSION) {
    return fail("kldload: {}: built for driver interface {}; this kernel has {}", path_or_name,
                driver.version, WH_KPI_VERSION);
  }
  *driver.kernel = &kernel_.table();
  file.is_busy = true;
  LinkerFile* loaded = nullptr;
  {
    const MachineLock guard(kernel_.machine());
    // Whatever it was called by.
    if (std::any_of(files_.begin(), files_.end(),
                    [&](const auto& f) { return f.name() == file.name(); })) {
      return refused(EEXIST, fmt::format("kldload: can't load {}: already loaded", path_or_name));
    }
    file.id = next_id_++;
    loaded = &files_.emplace_back(std::move(file));
  }
  const int code = start(*loaded);
  const std::string name = loaded->name();
  const int id = loaded->id;
  if (code != 0) {
    sweep(*loaded);
    forget(*loaded);
    return refused(code, fmt::format("kldload: can't load {}", name));
  }
  settle(*loaded);
  return id;
}

int Modules::start(LinkerFile& file) {
  file.each(WH_META_MALLOC,
            [&](::wh_meta& m) { kernel_.memory().add_type(*static_cast<::malloc_type*>(m.what)); });
  int code = 0;
  file.each(WH_META_SYSINIT, [&](::wh_meta& m) {
    if (code == 0) code = call(file, m, "SYSINIT");
  });
  file.each(WH_META_MODULE, [&](::wh_meta& m) {
    if (code != 0) return;
    const ::moduledata_t* module = LinkerFile::module_of(m);
    code = send(kernel_, *module, MOD_LOAD, "MOD_LOAD");
    const MachineLock guard(kernel_.machine());
    if (code == 0) file.modules.push_back(module);
  });
  if (code != 0) stop(file, Force::Yes);
  return code;
}

int Modules::call(LinkerFile& file, const ::wh_meta& meta, const char* what) {
  return kernel_.guard(what, file.name(), [&] {
    meta.call(meta.arg);
    return 0;
  });
}

int Modules::stop(LinkerFile& file, Force force) {
  if (force == Force::No) {
    for (const ::moduledata_t* module : file.modules) {
      const int code = send(kernel_, *module, MOD_QUIESCE, "MOD_QUIESCE");
      if (code != 0 && code != EOPNOTSUPP && code != EINVAL) return code;
    }
  }
  while (!file.modules.empty()) {
    const int code = send(kernel_, *file.modules.back(), MOD_UNLOAD, "MOD_UNLOAD");
    if (code != 0) return code;
    const MachineLock guard(kernel_.machine());
    file.modules.pop_back();
  }
  return 0;
}

// Nothing of the driver may stay behind.
void Modules::sweep(LinkerFile& file) {
  kernel_.devfs().drain();
  for (const auto& device : kernel_.devfs().devices()) {
    if (!file.contains(device->origin()) || device->is_gone()) continue;
    kernel_.reports().blame(Misdeed::DeviceOutlivedDriver,
                            fmt::format("/dev/{} of {}", device->name(), file.name()));
    kernel_.devfs().destroy(*device);
  }
  if (kernel_.interfaces().sweep(file.image->begin(), file.image->end()) != 0) {
    kernel_.reports().blame(Misdeed::DeviceOutlivedDriver,
                            fmt::format("a network interface of {}", file.name()));
  }
  const size_t knotes = kernel_.detach_knotes(file.image->begin(), file.image->end());
  if (knotes != 0) {
    kernel_.reports().blame(Misdeed::KnotesLeft,
                            fmt::format("{} of {}; see knlist_clear", knotes, file.name()));
  }
  file.each(WH_META_SYSUNINIT, [&](::wh_meta& m) { call(file, m, "SYSUNINIT"); });
  file.each(WH_META_MALLOC, [&](::wh_meta& m) {
    kernel_.memory().remove_type(*static_cast<::malloc_type*>(m.what));
  });
}

Result<void> Modules::unload(const std::string& name, Force force) {
  LinkerFile* file = nullptr;
  {
    const MachineLock guard(kernel_.machine());
    const auto it = find(name);
    if (it == files_.end()) {
      return refused(ENOENT, fmt::format("kldunload: can't find file {}", name));
    }
    if (it->is_busy) return refused(EBUSY, fmt::format("kldunload: {}", name));
    it->is_busy = true;
    file = &*it;
  }
  const int code = stop(*file, force);
  if (code != 0) {
    const std::string refusal = fmt::format("kldunload: can't unload {}", file->name());
    settle(*file);
    return refused(code, refusal);
  }
  sweep(*file);
  forget(*file);
  return {};
}

// The kernel ends: a driver that refuses is taken out all the same.
void Modules::unload_all() {
  for (;;) {
    LinkerFile* file = nullptr;
    {
      const MachineLock guard(kernel_.machine());
      if (files_.empty()) return;
      file = &files_.back();
      if (file->is_busy) {  // Another thread loads or unloads it.
        ::thread& td = kernel_.machine().current();
        kernel_.sleepq().enqueue(td, &files_, "kldbusy");
        kernel_.sleepq().wait(td, kNever, false);
        continue;
      }
      file->is_busy = true;
    }
    for (const ::moduledata_t* module : file->modules) {
      send(kernel_, *module, MOD_SHUTDOWN, "MOD_SHUTDOWN");
    }
    static_cast<void>(stop(*file, Force::Yes));
    sweep(*file);
    forget(*file);
  }
}

// The file stays, and is nobody's work any more.
void Modules::settle(LinkerFile& file) {
  const MachineLock guard(kernel_.machine());
  file.is_busy = false;
  kernel_.sleepq().wakeup(&files_);
}

// The file goes, and whoever waits for it is told.
void Modules::forget(LinkerFile& file) {
  std::list<LinkerFile> gone;  // Taken out of memory without the lock.
  const MachineLock guard(kernel_.machine());
  const auto it =
      std::find_if(files_.begin(), files_.end(), [&](const auto& f) { return &f == &file; });
  gone.splice(gone.begin(), files_, it);
  kernel_.sleepq().wakeup(&files_);
}

// With the machine's lock held.
Modules::Iterator Modules::find(const std::string& name) {
  return std::find_if(files_.begin(), files_.end(), [&](const LinkerFile& f) {
    const std::string base = f.name();
    const bool is_module = std::any_of(f.modules.begin(), f.modules.end(),
                                       [&](const auto* m) { return name == m->name; });
    return name == f.path || name == base || name + ".so" == base || is_module ||
           name == std::to_string(f.id);
  });
}

std::vector<ModuleRow> Modules::rows() const {
  const MachineLock guard(kernel_.machine());
  std::vector<ModuleRow> rows;
  for (const LinkerFile& f : files_) {
    // Addresses to show, and to subtract as numbers.
    const auto begin = reinterpret_cast<uintptr_t>(f.image->begin());
    const auto end = reinterpret_cast<uintptr_t>(f.image->end());
    ModuleRow row{f.id, begin, end - begin, f.name(), {}};
    for (const ::moduledata_t* m : f.modules) row.modules.emplace_back(m->name);
    rows.push_back(std::move(row));
  }
  return rows;
}

}  // namespace wh::dev
