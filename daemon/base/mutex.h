// std::mutex with Clang's thread-safety annotations. For leaf utilities only: state has one thread,
// not a lock.
#pragma once

#include <mutex>

#if defined(__clang__)
#define PLUGIND_THREAD_ANNOTATION(x) __attribute__((x))
#else
#define PLUGIND_THREAD_ANNOTATION(x)
#endif
#define PLUGIND_CAPABILITY(x) PLUGIND_THREAD_ANNOTATION(capability(x))
#define PLUGIND_SCOPED_CAPABILITY PLUGIND_THREAD_ANNOTATION(scoped_lockable)
#define PLUGIND_GUARDED_BY(x) PLUGIND_THREAD_ANNOTATION(guarded_by(x))
#define PLUGIND_EXCLUDES(...) PLUGIND_THREAD_ANNOTATION(locks_excluded(__VA_ARGS__))
#define PLUGIND_ACQUIRE(...) PLUGIND_THREAD_ANNOTATION(acquire_capability(__VA_ARGS__))
#define PLUGIND_RELEASE(...) PLUGIND_THREAD_ANNOTATION(release_capability(__VA_ARGS__))

namespace plugind {

class PLUGIND_CAPABILITY("mutex") Mutex {
 public:
  void Lock() PLUGIND_ACQUIRE() { mutex_.lock(); }
  void Unlock() PLUGIND_RELEASE() { mutex_.unlock(); }

 private:
  std::mutex mutex_;
};

class PLUGIND_SCOPED_CAPABILITY MutexLock {
 public:
  explicit MutexLock(Mutex& mutex) PLUGIND_ACQUIRE(mutex) : mutex_(mutex) { mutex_.Lock(); }
  ~MutexLock() PLUGIND_RELEASE() { mutex_.Unlock(); }
  MutexLock(const MutexLock&) = delete;
  MutexLock& operator=(const MutexLock&) = delete;

 private:
  Mutex& mutex_;
};

}  // namespace plugind
