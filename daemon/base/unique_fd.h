// UniqueFd owns one file descriptor and closes it. Every fd in this program lives in one.
// Thread safety: none; move it between threads, do not share it.
#pragma once

#include <utility>

namespace plugind {

class UniqueFd {
 public:
  UniqueFd() = default;
  explicit UniqueFd(int fd) : fd_(fd) {}
  UniqueFd(UniqueFd&& other) noexcept : fd_(std::exchange(other.fd_, -1)) {}
  UniqueFd& operator=(UniqueFd&& other) noexcept {
    if (this != &other) reset(std::exchange(other.fd_, -1));
    return *this;
  }
  UniqueFd(const UniqueFd&) = delete;
  UniqueFd& operator=(const UniqueFd&) = delete;
  ~UniqueFd() { reset(); }

  int get() const { return fd_; }
  bool valid() const { return fd_ >= 0; }
  int release() { return std::exchange(fd_, -1); }
  void reset(int fd = -1);

  // A second descriptor for the same open file, close-on-exec. Invalid, with errno set, on failure.
  UniqueFd Duplicate() const;

 private:
  int fd_ = -1;
};

}  // namespace plugind
