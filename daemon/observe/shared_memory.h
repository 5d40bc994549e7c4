// A piece of memory that outlives the process: a sealed memfd, mapped shared. Whoever else holds
// the fd (the keeper) keeps the bytes alive across `kill -9`; a successor maps them again.
//
// The size is sealed, so touching the mapping can never fault because somebody shrank the file.
// Pages cost nothing until they are touched. Thread safety: none needed by itself.
#pragma once

#include <absl/status/statusor.h>

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <utility>

#include "daemon/base/unique_fd.h"

namespace plugind::observe {

class SharedMemory {
 public:
  // `name` is for people who look at /proc. The bytes are zero.
  static absl::StatusOr<SharedMemory> Create(const std::string& name, size_t size);
  // DATA_LOSS when `fd` is not such a memory.
  static absl::StatusOr<SharedMemory> Reopen(UniqueFd fd);

  SharedMemory(SharedMemory&& other) noexcept
      : fd_(std::move(other.fd_)), bytes_(std::exchange(other.bytes_, {})) {}
  SharedMemory& operator=(SharedMemory&&) = delete;
  ~SharedMemory();

  const UniqueFd& fd() const { return fd_; }
  std::span<std::byte> bytes() const { return bytes_; }

 private:
  SharedMemory(UniqueFd fd, std::span<std::byte> bytes) : fd_(std::move(fd)), bytes_(bytes) {}
  static absl::StatusOr<SharedMemory> Map(UniqueFd fd, size_t size);

  UniqueFd fd_;
  std::span<std::byte> bytes_;
};

// Stores `value` so that, whenever the process is killed, a successor that sees it also sees every
// store before it, and one that does not see it sees none of the stores after it. Against the death
// of a process (not of the machine) the order of instructions is enough: the fences bind the
// compiler, and cost nothing at run time.
inline void Publish(uint64_t& word, uint64_t value) {
  std::atomic_signal_fence(std::memory_order_seq_cst);
  std::atomic_ref<uint64_t>(word).store(value, std::memory_order_release);
  std::atomic_signal_fence(std::memory_order_seq_cst);
}

}  // namespace plugind::observe
