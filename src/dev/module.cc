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
  template <class F>
  void each(::wh_meta_kind kind, F&& f) const {
    const ::wh_driver_image& driver = image->driver();
    for (::wh_meta** m = driver.meta_begin; m != driver.meta_end; ++m) {
      if ((*m)->kind == kind) f(**m);
    }
  }
};

namespace {

// Sends a module its event, and stands between us and what its handler throws.
int send(Kernel& kernel, const ::moduledata_t& module, int event, const char* what) {
  ::thread& td = kernel.machine().current();
  const size_t held = td.held_count;
  td.method = what;
  int code = EIO;
  bool threw = false;
  try {
    // The opaque module_t: its data, which is all that identifies a module here.
    auto* handle = reinterpret_cast<::module_t>(const_cast<::moduledata_t*>(&module));
    code = module.evhand == nullptr ? 0 : module.evhand(handle, event, module.priv);
  } catch (const DriverAbort& abort) {
    code = abort.code;
  } catch (...) {
    threw = true;
  }
  td.method = nullptr;
  if (threw) {
    kernel.reports().blame(Misdeed::Threw, fmt::format("{} of {}", what, module.name));
  }
  if (td.held_count > held) {
    kernel.reports().blame(Misdeed::LockHeldOnReturn, fmt::format("{} of {}", what, module.name));
    kernel.locks().release_beyond(td, held);
  }
  return code;
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
      return refused(EEXIST, fmt::format("kldload: {}: already loaded", path_or_name));
    }
  }
  LinkerFile file;
  file.path = path_or_name;
  file.image = TRY(loader_.load(path_or_name));
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
    file.id = next_id_++;
    loaded = &files_.emplace_back(std::move(file));
  }
  const int code = start(*loaded);
  const std::string name = loaded->name();
  const int id = loaded->id;
  if (code != 0) sweep(*loaded);
  {
    const MachineLock guard(kernel_.machine());
    loaded->is_busy = false;
    if (code != 0) files_.remove_if([&](const LinkerFile& f) { return f.id == id; });
  }
  if (code != 0) return refused(code, fmt::format("kldload: {}: MOD_LOAD", name));
  return id;
}

int Modules::start(LinkerFile& file) {
  file.each(WH_META_MALLOC,
            [&](::wh_meta& m) { kernel_.memory().add_type(*static_cast<::malloc_type*>(m.what)); });
  file.each(WH_META_SYSINIT, [&](::wh_meta& m) { m.call(m.arg); });
  int code = 0;
  file.each(WH_META_MODULE, [&](::wh_meta& m) {
    if (code != 0) return;
    const auto* module = static_cast<const ::moduledata_t*>(m.what);
    code = send(kernel_, *module, MOD_LOAD, "MOD_LOAD");
    if (code == 0) file.modules.push_back(module);
  });
  if (code != 0) stop(file, Force::Yes);
  return code;
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
    file.modules.pop_back();
  }
  return 0;
}

// Nothing of the driver may stay behind.
void Modules::sweep(LinkerFile& file) {
  kernel_.devfs().drain();
  for (const auto& device : kernel_.devfs().devices()) {
    if (!file.contains(device->driver()) || device->is_gone()) continue;
    kernel_.reports().blame(Misdeed::DeviceOutlivedDriver,
                            fmt::format("/dev/{} of {}", device->name(), file.name()));
    kernel_.devfs().destroy(*device);
  }
  const size_t knotes = kernel_.detach_knotes(file.image->begin(), file.image->end());
  if (knotes != 0) {
    kernel_.reports().blame(Misdeed::KnotesLeft,
                            fmt::format("{} of {}; see knlist_clear", knotes, file.name()));
  }
  file.each(WH_META_SYSUNINIT, [&](::wh_meta& m) { m.call(m.arg); });
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
      return refused(ENOENT, fmt::format("kldunload: {}: not loaded", name));
    }
    if (it->is_busy) return refused(EBUSY, fmt::format("kldunload: {}", name));
    it->is_busy = true;
    file = &*it;
  }
  const int code = stop(*file, force);
  if (code == 0) sweep(*file);
  const MachineLock guard(kernel_.machine());
  file->is_busy = false;
  if (code != 0) return refused(code, fmt::format("kldunload: {}: MOD_UNLOAD", file->name()));
  files_.remove_if([&](const LinkerFile& f) { return &f == file; });
  return {};
}

void Modules::unload_all() {
  std::vector<std::string> ids;
  for (const Row& row : rows()) ids.push_back(std::to_string(row.id));
  for (auto id = ids.rbegin(); id != ids.rend(); ++id) {
    const auto done = unload(*id, Force::Yes);
    if (done) continue;
    // It refuses, but the kernel ends: what is left of it is taken away.
    const auto it = find(*id);
    if (it == files_.end()) continue;
    sweep(*it);
    files_.erase(it);
  }
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

bool Modules::has_module(std::string_view name) const {
  for (const Row& row : rows()) {
    for (const std::string& module : row.modules) {
      if (module == name) return true;
    }
  }
  return false;
}

std::vector<Modules::Row> Modules::rows() const {
  const MachineLock guard(kernel_.machine());
  std::vector<Row> rows;
  for (const LinkerFile& f : files_) {
    const auto size =
        static_cast<const char*>(f.image->end()) - static_cast<const char*>(f.image->begin());
    Row row{f.id, f.image->begin(), static_cast<size_t>(size), f.name(), {}};
    for (const ::moduledata_t* m : f.modules) row.modules.emplace_back(m->name);
    rows.push_back(std::move(row));
  }
  return rows;
}

std::string Modules::kldstat() const {
  std::string out =
      fmt::format("{:>2} {:>4} {:<18} {:>8} {}\n", "Id", "Refs", "Address", "Size", "Name");
  for (const Row& row : rows()) {
    out += fmt::format("{:>2} {:>4} {:#018x} {:>8x} {}\n", row.id, 1,
                       reinterpret_cast<uintptr_t>(row.address), row.size, row.name);
  }
  return out;
}

}  // namespace wh::dev
