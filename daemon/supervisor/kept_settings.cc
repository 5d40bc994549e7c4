#include "daemon/supervisor/kept_settings.h"

#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "daemon/base/fingerprint.h"

namespace plugind::supervisor {

std::string SettingsFdName(std::string_view plugin) {
  return kSettingsFdPrefix + std::string(plugin);
}

UniqueFd KeepSettings(const std::string& json) {
  UniqueFd memory(::memfd_create("plugind-settings", MFD_CLOEXEC | MFD_ALLOW_SEALING));
  if (!memory.valid()) return memory;
  size_t written = 0;
  while (written < json.size()) {
    const ssize_t size = ::write(memory.get(), json.data() + written, json.size() - written);
    if (size < 0) return UniqueFd();
    written += static_cast<size_t>(size);
  }
  if (::fcntl(memory.get(), F_ADD_SEALS, F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_WRITE) < 0) {
    return UniqueFd();
  }
  return memory;
}

std::string ReadKeptSettings(const UniqueFd& memory) {
  struct stat file {};
  if (::fstat(memory.get(), &file) < 0) return "";
  std::string json(static_cast<size_t>(file.st_size), '\0');
  const ssize_t size = ::pread(memory.get(), json.data(), json.size(), 0);
  return size == file.st_size ? json : "";
}

uint64_t SettingsFingerprint(std::string_view json) {
  const uint64_t hash = Fingerprint(json);
  return hash == 0 ? 1 : hash;
}

}  // namespace plugind::supervisor
