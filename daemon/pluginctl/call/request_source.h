// The requests of a call as the user gives them: JSON documents in an argument, a file or standard
// input. One thread reads; Interrupt may be called by another.
#pragma once

#include <memory>
#include <string>

#include "daemon/base/status.h"
#include "daemon/base/unique_fd.h"
#include "daemon/pluginctl/call/json_stream.h"

namespace plugind::pluginctl {

class RequestSource {
 public:
  enum class Got {
    kDocument,
    kEnd,
    kBroken,  // see error()
    kInterrupted,
  };

  // `data`: "-" for standard input, "@FILE", or the documents themselves.
  static absl::StatusOr<std::unique_ptr<RequestSource>> Open(const std::string& data);

  // Blocks until the next document is whole.
  Got Next(JsonDocument* document);

  // Where a document is, to stand before what is wrong with it.
  std::string Place(const JsonDocument& document) const;
  const std::string& error() const { return error_; }

  // Next returns at once from now on.
  void Interrupt();

 private:
  explicit RequestSource(std::string name) : name_(std::move(name)) {}

  // Whether to go on.
  bool Read();

  const std::string name_;
  UniqueFd owned_;
  int fd_ = -1;  // none once everything was read
  UniqueFd interrupted_;
  JsonStream stream_;
  std::string error_;
};

}  // namespace plugind::pluginctl
