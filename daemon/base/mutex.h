// std::mutex with Clang's thread-safety annotations. For leaf utilities only: state has one thread, not a lock.
#pragma once

#include <mutex>

#if defined(__clang__)
#define PLUGIND_THREAD_ANNOTATION(x) __attribute__((x))
#else
#define PLUGIND_THREAD_ANNOTATION(x)
#endif
#define CAPABILITY(x) PLUGIND_THREAD_ANNOTATION(capability(x))
#define SCOPED_CAPABILITY PLUGIND_THREAD_ANNOTATION(scoped_lockable)
#define GUARDED_BY(x) PLUGIND_THREAD_ANNOTATION(guarded_by(x))
#define EXCLUDES(...) PLUGIND_THREAD_ANNOTATION(locks_excluded(__VA_ARGS__))
#define ACQUIRE(...) PLUGIND_THREAD_ANNOTATION(acquire_capability(__VA_ARGS__))
#define RELEASE(...) PLUGIND_THREAD_ANNOTATION(release_capability(__VA_ARGS__))

namespace plugind {

class CAPABILITY("mutex") Mutex {
 public:
  void Lock() ACQUIRE() { mutex_.lock(); }
  void Unlock() RELEASE() { mutex_.unlock(); }

 private:
  std::mutex mutex_;
};

class SCOPED_CAPABILITY MutexLock {
 public:
  explicit MutexLock(Mutex& mutex) ACQUIRE(mutex) : mutex_(mutex) { mutex_.Lock(); }
  ~MutexLock() RELEASE() { mutex_.Unlock(); }
  MutexLock(const MutexLock&) = delete;
  MutexLock& operator=(const MutexLock&) = delete;

 private:
  Mutex& mutex_;
};

}  // namespace plugind
