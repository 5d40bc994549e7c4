// Messages of types that are known only at run time: protobuf JSON to bytes and back. Works on the
// descriptors alone, so that no message class has to be made of what a plugin says it is.
// Thread-safe.
#pragma once

#include <google/protobuf/descriptor.h>
#include <google/protobuf/util/type_resolver.h>

#include <memory>
#include <string>

#include "daemon/base/status.h"

namespace plugind::pluginctl {

struct JsonStyle {
  bool indented = false;  // over several lines, for people
  bool defaults = false;  // fields that have their default as well
};

class MessageJson {
 public:
  // `pool` outlives it.
  explicit MessageJson(const google::protobuf::DescriptorPool& pool);

  absl::StatusOr<std::string> ToBytes(const google::protobuf::Descriptor& type,
                                      const std::string& json) const;
  // Without a newline at the end.
  absl::StatusOr<std::string> FromBytes(const google::protobuf::Descriptor& type,
                                        const std::string& bytes, const JsonStyle& style) const;

 private:
  const std::unique_ptr<google::protobuf::util::TypeResolver> types_;
};

}  // namespace plugind::pluginctl
