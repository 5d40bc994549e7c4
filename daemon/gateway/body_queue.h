// The part of a message body that has come in on one connection and not yet gone out on the other.
// Bytes are borrowed from the thread's receive buffer while they can go out in the same round, and
// copied only when they cannot (Settle).
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace plugind::gateway {

class BodyQueue {
 public:
  size_t size() const { return size_; }
  bool empty() const { return size_ == 0; }

  // `bytes` must stay until they are taken or Settle() is called.
  void Borrow(std::string_view bytes) {
    if (bytes.empty()) return;
    borrowed_.push_back(bytes);
    size_ += bytes.size();
  }

  // The longest piece at the front, `limit` bytes at most; stays valid until the next call of
  // anything but size(). `owned`: it does not outlive that call. Not when empty.
  std::string_view Take(size_t limit, bool* owned) {
    std::string_view piece;
    *owned = kept_at_ < kept_.size();
    if (*owned) {
      piece = std::string_view(kept_).substr(kept_at_, limit);
      kept_at_ += piece.size();
    } else {
      std::string_view& front = borrowed_[front_];
      piece = front.substr(0, limit);
      front.remove_prefix(piece.size());
      if (front.empty() && ++front_ == borrowed_.size()) {
        borrowed_.clear();
        front_ = 0;
      }
    }
    size_ -= piece.size();
    return piece;
  }

  // What is held in memory of its own.
  size_t kept() const { return kept_.size() - kept_at_; }

  // Copies what is borrowed.
  void Settle() {
    if (borrowed_.empty()) return;
    if (kept_at_ > kept_.size() / 2) {
      kept_.erase(0, kept_at_);
      kept_at_ = 0;
    }
    for (; front_ < borrowed_.size(); ++front_) kept_.append(borrowed_[front_]);
    borrowed_.clear();
    front_ = 0;
  }

  // Gives back memory of which nothing waits any more. Nothing that was taken is in use.
  void Trim() {
    if (kept_at_ < kept_.size()) return;
    if (kept_.capacity() > kWorthKeeping) {
      kept_ = std::string();
    } else {
      kept_.clear();
    }
    kept_at_ = 0;
  }

  void Clear() {
    kept_at_ = kept_.size();
    Trim();
    borrowed_.clear();
    front_ = 0;
    size_ = 0;
  }

 private:
  static constexpr size_t kWorthKeeping = size_t{16} * 1024;

  std::string kept_;  // goes out first
  size_t kept_at_ = 0;
  std::vector<std::string_view> borrowed_;
  size_t front_ = 0;
  size_t size_ = 0;
};

}  // namespace plugind::gateway
