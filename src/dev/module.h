// The kernel linker: drivers come and go as files (kldload, kldunload), with their modules, malloc
// types, locks.
//
// Loading links a shared object to this kernel, runs its SYSINITs and sends MOD_LOAD to its
// modules. Unloading asks (MOD_QUIESCE), then tells (MOD_UNLOAD); a module that refuses stays.
// After that nothing of the driver may be left: devices, knotes and memory that outlived it are
// taken away and reported, where FreeBSD would later panic.
#pragma once

#include <list>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "core/result.h"
#include "dev/kldstat.h"
#include "dev/kpi.h"

namespace wh::dev {

class Kernel;

// A driver's file in memory; destroying it takes it out.
class Image {
 public:
  virtual ~Image() = default;
  virtual const ::wh_driver_image& driver() const = 0;
  virtual const std::string& path() const = 0;  // Of the file it came from.
  virtual const void* begin() const = 0;        // The addresses it occupies.
  virtual const void* end() const = 0;
};

class ModuleLoader {
 public:
  virtual ~ModuleLoader() = default;
  // A path, or a name to look for ("echo"). Errors say where it was looked for, or what is wrong
  // with the file.
  virtual Result<std::unique_ptr<Image>> load(const std::string& path_or_name) = 0;
};

class Modules {
 public:
  enum class Force : uint8_t { No, Yes };  // Yes: a module's MOD_QUIESCE is not heard.

  Modules(Kernel& kernel, ModuleLoader& loader);
  ~Modules();

  // Returns the file's id. Errors: already loaded (file_exists), the loader's, the driver's
  // MOD_LOAD.
  Result<int> load(const std::string& path_or_name);
  // By file name ("echo.so", "echo"), path, module name or id. Waits as long as the driver does.
  // Errors: not loaded, or a module that refuses (with its errno).
  Result<void> unload(const std::string& name, Force force = Force::No);
  void unload_all();

  std::vector<ModuleRow> rows() const;

 private:
  struct LinkerFile;
  using Iterator = std::list<LinkerFile>::iterator;
  int start(LinkerFile& file);
  int call(LinkerFile& file, const ::wh_meta& meta, const char* what);
  int stop(LinkerFile& file, Force force);
  void sweep(LinkerFile& file);
  void settle(LinkerFile& file);
  void forget(LinkerFile& file);
  Iterator find(const std::string& name);

  Kernel& kernel_;
  ModuleLoader& loader_;
  // Under the machine's lock, but for a file being loaded or unloaded.
  std::list<LinkerFile> files_;
  int next_id_ = 2;  // 1 is the kernel.
};

}  // namespace wh::dev
