#include "daemon/observe/shared_memory.h"

#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "daemon/base/status.h"

namespace plugind::observe {
namespace {

constexpr int kSeals = F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_SEAL;

}  // namespace

absl::StatusOr<SharedMemory> SharedMemory::Create(const std::string& name, size_t size) {
  UniqueFd fd(::memfd_create(name.c_str(), MFD_CLOEXEC | MFD_ALLOW_SEALING));
  if (!fd.valid()) return ErrnoError(errno, "creating the memory " + name);
  if (::ftruncate(fd.get(), static_cast<off_t>(size)) != 0) {
    return ErrnoError(errno, "sizing the memory " + name);
  }
  if (::fcntl(fd.get(), F_ADD_SEALS, kSeals) != 0) {
    return ErrnoError(errno, "sealing the memory " + name);
  }
  return Map(std::move(fd), size);
}

absl::StatusOr<SharedMemory> SharedMemory::Reopen(UniqueFd fd) {
  const int seals = ::fcntl(fd.get(), F_GET_SEALS);
  if (seals < 0 || (seals & kSeals) != kSeals) {
    return Error(absl::StatusCode::kDataLoss, "the kept fd is not a sealed memory");
  }
  struct stat status;
  if (::fstat(fd.get(), &status) != 0) return ErrnoError(errno, "fstat of a kept memory");
  if (status.st_size <= 0) return Error(absl::StatusCode::kDataLoss, "the kept memory is empty");
  return Map(std::move(fd), static_cast<size_t>(status.st_size));
}

absl::StatusOr<SharedMemory> SharedMemory::Map(UniqueFd fd, size_t size) {
  void* const at = ::mmap(nullptr, size, PROT_READ | PROT_WRITE, MAP_SHARED, fd.get(), 0);
  if (at == MAP_FAILED) return ErrnoError(errno, "mapping a shared memory");
  return SharedMemory(std::move(fd), {static_cast<std::byte*>(at), size});
}

SharedMemory::~SharedMemory() {
  if (!bytes_.empty()) ::munmap(bytes_.data(), bytes_.size());
}

}  // namespace plugind::observe
