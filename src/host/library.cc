#include "host/library.h"

#include <dlfcn.h>

namespace wh::host {

Result<std::shared_ptr<Library>> Library::open(const std::string& path) {
  void* handle = ::dlopen(path.c_str(), RTLD_NOW | RTLD_LOCAL);
  if (handle == nullptr) {
    const char* why = ::dlerror();
    return fail("load {}: {}", path, why != nullptr ? why : "refused");
  }
  return std::shared_ptr<Library>(new Library(path, handle));
}

Library::~Library() {
  ::dlclose(handle_);
}

void* Library::symbol(const char* name) const {
  return ::dlsym(handle_, name);
}

}  // namespace wh::host
