// A disk that takes writes and fails to keep them, for programs that link failing_disk.cc: it
// stands in front of the C library's fsync.
#pragma once

namespace plugind::supervisor {

// While it lives no directory can be synced: EIO. One at a time.
class FailingDisk {
 public:
  FailingDisk();
  FailingDisk(const FailingDisk&) = delete;
  FailingDisk& operator=(const FailingDisk&) = delete;
  ~FailingDisk();
};

}  // namespace plugind::supervisor
