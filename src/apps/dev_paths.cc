#include <filesystem>

#include "apps/dev.h"

namespace wh::apps {

std::vector<std::string> driver_path(const std::vector<std::string>& given) {
  std::vector<std::string> path = given;
  std::error_code failed;
  const auto self = std::filesystem::read_symlink("/proc/self/exe", failed);
  if (!failed) {
    path.push_back((self.parent_path().parent_path() / "lib/wheelhouse/dev").string());
  }
  return path;
}

std::string absolute_driver(const std::string& path_or_name) {
  if (path_or_name.find('/') == std::string::npos) return path_or_name;
  std::error_code failed;
  const auto absolute = std::filesystem::absolute(path_or_name, failed);
  return failed ? path_or_name : absolute.lexically_normal().string();
}

}  // namespace wh::apps
