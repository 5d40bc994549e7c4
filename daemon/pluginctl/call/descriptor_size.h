// How large descriptors become once they are built: every full name repeats the names around it, so
// that a small file can have names of many gigabytes.
#pragma once

#include <google/protobuf/descriptor.pb.h>

#include <cstddef>

namespace plugind::pluginctl {

// The bytes of all full names of a file together.
size_t FullNameBytes(const google::protobuf::FileDescriptorProto& file);

}  // namespace plugind::pluginctl
