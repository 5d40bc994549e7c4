#include "daemon/observe/audit_log.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <filesystem>

#include "daemon/observe/rfc3339.h"
#include "daemon/observe/text.h"

namespace plugind::observe {
namespace {

// Bytes of what others choose, before it is escaped. A method's path that the gateway lets through
// has 512 at most.
constexpr size_t kMaxName = 512;
constexpr size_t kMaxText = 1024;
constexpr std::string_view kCut = "…";

void AppendKey(std::string& line, std::string_view key) {
  line.append(",\"").append(key).append("\":");
}
void AppendText(std::string& line, std::string_view key, std::string_view value, size_t limit) {
  AppendKey(line, key);
  if (value.size() <= limit) return AppendJsonString(line, value);
  AppendJsonString(line, std::string(value.substr(0, Utf8Prefix(value, limit))).append(kCut));
}

absl::Status SyncDirectoryOf(const std::string& path) {
  const std::string directory = std::filesystem::path(path).parent_path().string();
  const UniqueFd fd(::open(directory.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  if (!fd.valid() || ::fsync(fd.get()) < 0) return ErrnoError(errno, "cannot sync " + directory);
  return absl::OkStatus();
}

}  // namespace

AuditLog::AuditLog(std::string path, const Clock& clock,
                   std::function<void(const std::string&)> trouble)
    : path_(std::move(path)),
      clock_(clock),
      trouble_(std::move(trouble)),
      prefix_(fmt::format("{:x}-", clock.WallNow().time_since_epoch().count())) {}

absl::Status AuditLog::Reopen() {
  // Not to be led elsewhere by a link, nor held up by a FIFO.
  UniqueFd file(::open(path_.c_str(),
                       O_RDWR | O_APPEND | O_CREAT | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK | O_NOCTTY,
                       0600));
  if (!file.valid()) return ErrnoError(errno, "cannot open " + path_);
  struct stat status {};
  if (::fstat(file.get(), &status) < 0) return ErrnoError(errno, "cannot look at " + path_);
  if (!S_ISREG(status.st_mode) || status.st_nlink != 1 || status.st_uid != ::geteuid()) {
    return Error(absl::StatusCode::kFailedPrecondition,
                 "{} is not a plain file of plugind's user with one name", path_);
  }
  // Also one that somebody made beforehand.
  if ((status.st_mode & 07777) != 0600 && ::fchmod(file.get(), 0600) < 0)
    return ErrnoError(errno, "cannot set the mode of " + path_);
  RETURN_IF_ERROR(SyncDirectoryOf(path_));
  char last = '\n';
  if (status.st_size > 0 && ::pread(file.get(), &last, 1, status.st_size - 1) != 1)
    return ErrnoError(errno, "cannot read the end of " + path_);
  torn_ = last != '\n';
  file_ = std::move(file);
  return absl::OkStatus();
}

std::string AuditLog::Head(std::string_view kind, const Subject& subject) {
  std::string line =
      fmt::format("{{\"time\":\"{}\",\"kind\":\"{}\"", Rfc3339(clock_.WallNow()), kind);
  AppendText(line, "caller", subject.caller, kMaxName);
  AppendKey(line, "pid");
  line.append(std::to_string(subject.pid));
  AppendText(line, "method", subject.method, kMaxName);
  AppendText(line, "plugin", subject.plugin, kMaxName);
  return line;
}

absl::StatusOr<AuditLog::Change> AuditLog::Begin(Subject subject) {
  Change change{prefix_ + std::to_string(++changes_), std::move(subject), clock_.Now()};
  std::string line = Head("intent", change.subject);
  AppendText(line, "id", change.id, kMaxName);
  RETURN_IF_ERROR(Append(line + "}\n"));
  if (::fdatasync(file_.get()) < 0) return ErrnoError(errno, "cannot sync " + path_);
  return change;
}

void AuditLog::End(const Change& change, std::string_view code, std::string_view message) {
  std::string line = Head("outcome", change.subject);
  AppendText(line, "id", change.id, kMaxName);
  AppendText(line, "code", code, kMaxName);
  AppendText(line, "message", message, kMaxText);
  const std::chrono::duration<double, std::milli> took = clock_.Now() - change.began;
  line.append(fmt::format(",\"durationMs\":{:.3f}}}\n", took.count()));
  Lose(Append(line));
}

void AuditLog::Denied(const DenialTally::Line& denied) {
  const Denial& denial = denied.denial;
  std::string line = Head("denied", {denial.caller, denial.pid, denial.method, denial.plugin});
  AppendText(line, "reason", denial.reason, kMaxText);
  if (denied.repeated > 0) line.append(fmt::format(",\"repeated\":{}", denied.repeated));
  Lose(Append(line + "}\n"));
}

void AuditLog::Lose(const absl::Status& why) {
  if (why.ok()) return;
  ++lost_;
  trouble_(fmt::format("a line of the audit log is lost: {}", Message(why)));
}

absl::Status AuditLog::Append(std::string_view line) {
  struct stat status {};
  // What is written to a file without a name is no record.
  const bool gone = !file_.valid() || ::fstat(file_.get(), &status) < 0 || status.st_nlink == 0;
  if (gone) RETURN_IF_ERROR(Reopen());
  if (lost_ > 0) {
    RETURN_IF_ERROR(Write(fmt::format("{{\"time\":\"{}\",\"kind\":\"lost\",\"lines\":{}}}\n",
                                      Rfc3339(clock_.WallNow()), lost_)));
    lost_ = 0;
  }
  return Write(line);
}

absl::Status AuditLog::Write(std::string_view line) {
  const std::string bytes = (torn_ ? "\n" : "") + std::string(line);
  // One write for a line, so that other writers' lines come before or after it.
  for (size_t done = 0; done < bytes.size();) {
    const ssize_t written = ::write(file_.get(), bytes.data() + done, bytes.size() - done);
    if (written < 0 && errno == EINTR) continue;
    if (written <= 0) {
      const int error = written < 0 ? errno : ENOSPC;
      if (done > 0) torn_ = bytes[done - 1] != '\n';
      return ErrnoError(error, "cannot write to " + path_);
    }
    done += static_cast<size_t>(written);
  }
  torn_ = false;
  return absl::OkStatus();
}

}  // namespace plugind::observe
