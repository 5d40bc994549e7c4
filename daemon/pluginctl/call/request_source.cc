#include "daemon/pluginctl/call/request_source.h"

#include <fcntl.h>
#include <poll.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <cstring>

namespace plugind::pluginctl {

absl::StatusOr<std::unique_ptr<RequestSource>> RequestSource::Open(const std::string& data) {
  const bool from_file = data.starts_with('@');
  const std::string file = from_file ? data.substr(1) : "";
  const std::string name = data == "-" ? "standard input" : from_file ? file : "--data";
  std::unique_ptr<RequestSource> source(new RequestSource(name));
  source->interrupted_.reset(eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK));
  if (!source->interrupted_.valid()) return ErrnoError(errno, "eventfd");
  if (data == "-") {
    source->fd_ = STDIN_FILENO;
  } else if (from_file) {
    source->owned_.reset(open(file.c_str(), O_RDONLY | O_CLOEXEC));
    if (!source->owned_.valid()) return ErrnoError(errno, file);
    source->fd_ = source->owned_.get();
  } else {
    source->stream_.Feed(data);
    source->stream_.End();
  }
  return source;
}

RequestSource::Got RequestSource::Next(JsonDocument* document) {
  for (;;) {
    if (std::optional<JsonDocument> next = stream_.Next()) {
      *document = std::move(*next);
      return Got::kDocument;
    }
    if (!stream_.error().empty()) error_ = fmt::format("{}: {}", name_, stream_.error());
    if (!error_.empty()) return Got::kBroken;
    if (fd_ < 0) return Got::kEnd;
    if (!Read()) return Got::kInterrupted;
  }
}

bool RequestSource::Read() {
  std::array<pollfd, 2> ready = {{{fd_, POLLIN, 0}, {interrupted_.get(), POLLIN, 0}}};
  if (poll(ready.data(), ready.size(), -1) < 0) return true;  // EINTR: again
  if (ready[1].revents != 0) return false;

  std::array<char, 64 * 1024> bytes;
  const ssize_t count = read(fd_, bytes.data(), bytes.size());
  if (count > 0) {
    stream_.Feed({bytes.data(), static_cast<size_t>(count)});
  } else if (count == 0) {
    stream_.End();
    fd_ = -1;
  } else if (errno != EINTR && errno != EAGAIN) {
    error_ = fmt::format("{}: {}", name_, std::strerror(errno));
  }
  return true;
}

std::string RequestSource::Place(const JsonDocument& document) const {
  return fmt::format("{}: the document of line {}: ", name_, document.line);
}

void RequestSource::Interrupt() {
  const uint64_t one = 1;
  // It cannot fail: the counter is far from full.
  (void)!write(interrupted_.get(), &one, sizeof(one));
}

}  // namespace plugind::pluginctl
