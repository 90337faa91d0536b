#include "dev/fuse/shared_object_loader.h"

#include <dlfcn.h>
#include <fcntl.h>
#include <link.h>
#include <sys/mman.h>
#include <sys/sendfile.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>

namespace wh::dev {
namespace {

class SharedObject final : public Image {
 public:
  SharedObject(void* handle, const ::wh_driver_image& driver, std::string path)
      : handle_(handle), driver_(driver), path_(std::move(path)) {
    ::link_map* map = nullptr;
    CHECK_EQ(::dlinfo(handle, RTLD_DI_LINKMAP, &map), 0);
    base_ = map->l_addr;
    ::dl_iterate_phdr(
        [](::dl_phdr_info* info, size_t, void* self) {
          auto& object = *static_cast<SharedObject*>(self);
          if (info->dlpi_addr != object.base_) return 0;
          for (int i = 0; i < info->dlpi_phnum; ++i) {
            const auto& segment = info->dlpi_phdr[i];
            if (segment.p_type != PT_LOAD) continue;
            object.end_ = std::max(object.end_, object.base_ + segment.p_vaddr + segment.p_memsz);
          }
          return 1;
        },
        this);
  }
  ~SharedObject() override { ::dlclose(handle_); }
  const ::wh_driver_image& driver() const override { return driver_; }
  const std::string& path() const override { return path_; }
  // Addresses to compare with, never to read through.
  const void* begin() const override { return reinterpret_cast<const void*>(base_); }
  const void* end() const override { return reinterpret_cast<const void*>(end_); }

 private:
  void* handle_;
  const ::wh_driver_image& driver_;
  const std::string path_;
  uintptr_t base_ = 0, end_ = 0;
};

// A copy of the file in memory, under a name that the dynamic linker has not seen.
Result<void*> open_copy(const std::string& path) {
  const int from = ::open(path.c_str(), O_RDONLY | O_CLOEXEC);
  if (from < 0) return fail_with(static_cast<std::errc>(errno), "open " + path);
  const int to = ::memfd_create("driver", MFD_CLOEXEC);
  struct stat st {};
  bool copied = to >= 0 && ::fstat(from, &st) == 0;
  off_t at = 0;
  while (copied && at < st.st_size) {
    copied = ::sendfile(to, from, &at, static_cast<size_t>(st.st_size - at)) > 0;
  }
  const int error = errno;
  ::close(from);
  if (!copied) {
    if (to >= 0) ::close(to);
    return fail_with(static_cast<std::errc>(error), "copy " + path);
  }
  void* handle = ::dlopen(fmt::format("/proc/self/fd/{}", to).c_str(), RTLD_NOW | RTLD_LOCAL);
  ::close(to);
  if (handle == nullptr) return fail("{}", ::dlerror());
  return handle;
}

}  // namespace

Result<std::string> SharedObjectLoader::find(const std::string& path_or_name) const {
  if (path_or_name.find('/') != std::string::npos) {
    if (::access(path_or_name.c_str(), R_OK) == 0) return path_or_name;
    return fail_with(static_cast<std::errc>(errno), "kldload: " + path_or_name);
  }
  for (const std::string& directory : directories_) {
    for (const char* suffix : {"", ".so"}) {
      std::string path = directory + "/" + path_or_name + suffix;
      struct stat st {};
      if (::stat(path.c_str(), &st) == 0 && S_ISREG(st.st_mode)) return path;
    }
  }
  return tl::unexpected(
      Error{std::errc::no_such_file_or_directory,
            fmt::format("kldload: no driver {0} (looked for {0} and {0}.so in {1}; "
                        "a path with a slash is taken as it is)",
                        path_or_name, fmt::join(directories_, ", "))});
}

Result<std::unique_ptr<Image>> SharedObjectLoader::load(const std::string& path_or_name) {
  const std::string path = TRY(find(path_or_name));
  void* handle = nullptr;
  if (void* other = ::dlopen(path.c_str(), RTLD_NOW | RTLD_NOLOAD); other != nullptr) {
    ::dlclose(other);
    handle = TRY(open_copy(path));
  } else {
    handle = ::dlopen(path.c_str(), RTLD_NOW | RTLD_LOCAL);
    if (handle == nullptr) return fail("kldload: {}", ::dlerror());
  }
  const void* image = ::dlsym(handle, "wh_driver_image");
  if (image == nullptr) {
    ::dlclose(handle);
    return fail("kldload: {}: not a driver (it has no DEV_MODULE)", path);
  }
  return std::make_unique<SharedObject>(handle, *static_cast<const ::wh_driver_image*>(image),
                                        path);
}

}  // namespace wh::dev
