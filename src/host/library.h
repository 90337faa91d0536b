// A shared object that was loaded by its path (dlopen(3)).
//
// It stays loaded while its Library lives: whatever was made of its code must be gone before that.
#pragma once

#include <memory>
#include <string>

#include "core/result.h"

namespace wh::host {

class Library {
 public:
  // Errors: no such file, not a shared object, a symbol that nobody has; the linker's own words.
  static Result<std::shared_ptr<Library>> open(const std::string& path);
  ~Library();
  Library(const Library&) = delete;
  Library& operator=(const Library&) = delete;

  const std::string& path() const { return path_; }
  // Null when it has no such symbol.
  void* symbol(const char* name) const;

 private:
  Library(std::string path, void* handle) : path_(std::move(path)), handle_(handle) {}
  std::string path_;
  void* handle_;
};

}  // namespace wh::host
