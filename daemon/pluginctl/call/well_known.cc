#include "daemon/pluginctl/call/well_known.h"

#include <google/protobuf/any.pb.h>
#include <google/protobuf/api.pb.h>
#include <google/protobuf/descriptor.pb.h>
#include <google/protobuf/duration.pb.h>
#include <google/protobuf/empty.pb.h>
#include <google/protobuf/field_mask.pb.h>
#include <google/protobuf/source_context.pb.h>
#include <google/protobuf/struct.pb.h>
#include <google/protobuf/timestamp.pb.h>
#include <google/protobuf/type.pb.h>
#include <google/protobuf/wrappers.pb.h>

#include <map>

namespace plugind::pluginctl {
namespace {

using google::protobuf::FileDescriptor;
using google::protobuf::FileDescriptorProto;

// Named one by one, so that they are linked in whichever way libprotobuf is.
template <typename... Messages>
std::map<std::string, const FileDescriptor*> FilesOf() {
  std::map<std::string, const FileDescriptor*> files;
  (files.emplace(Messages::descriptor()->file()->name(), Messages::descriptor()->file()), ...);
  return files;
}

const std::map<std::string, const FileDescriptor*>& Files() {
  static const auto files =
      FilesOf<google::protobuf::Any, google::protobuf::Api, google::protobuf::DescriptorProto,
              google::protobuf::Duration, google::protobuf::Empty, google::protobuf::FieldMask,
              google::protobuf::SourceContext, google::protobuf::Struct,
              google::protobuf::Timestamp, google::protobuf::Type, google::protobuf::StringValue>();
  return files;
}

}  // namespace

bool WellKnownTypes::FindFileByName(const std::string& name, FileDescriptorProto* file) {
  const auto found = Files().find(name);
  if (found == Files().end()) return false;
  file->Clear();
  found->second->CopyTo(file);
  return true;
}

bool WellKnownTypes::FindFileContainingSymbol(const std::string& symbol,
                                              FileDescriptorProto* file) {
  if (!IsWellKnownPackage(symbol)) return false;
  const FileDescriptor* found =
      google::protobuf::DescriptorPool::generated_pool()->FindFileContainingSymbol(symbol);
  return found != nullptr && FindFileByName(found->name(), file);
}

bool IsWellKnownPackage(const std::string& package) {
  return package == "google.protobuf" || package.starts_with("google.protobuf.");
}

}  // namespace plugind::pluginctl
