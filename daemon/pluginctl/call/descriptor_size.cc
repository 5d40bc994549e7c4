#include "daemon/pluginctl/call/descriptor_size.h"

namespace plugind::pluginctl {
namespace {

// `scope`: the length of the full name around it.
template <typename Elements>
size_t Names(const Elements& elements, size_t scope) {
  size_t bytes = 0;
  for (const auto& each : elements) bytes += scope + each.name().size();
  return bytes;
}

size_t Of(const google::protobuf::EnumDescriptorProto& type, size_t scope) {
  return scope + type.name().size() + Names(type.value(), scope);
}

size_t Of(const google::protobuf::DescriptorProto& type, size_t scope) {
  const size_t inside = scope + type.name().size() + 1;
  size_t bytes = inside + Names(type.field(), inside) + Names(type.extension(), inside) +
                 Names(type.oneof_decl(), inside);
  for (const auto& each : type.enum_type()) bytes += Of(each, inside);
  // Parsing has bounded how deep they lie.
  for (const auto& each : type.nested_type()) bytes += Of(each, inside);
  return bytes;
}

size_t Of(const google::protobuf::ServiceDescriptorProto& service, size_t scope) {
  const size_t inside = scope + service.name().size() + 1;
  return inside + Names(service.method(), inside);
}

}  // namespace

size_t FullNameBytes(const google::protobuf::FileDescriptorProto& file) {
  const size_t scope = file.package().size() + 1;
  size_t bytes = Names(file.extension(), scope);
  for (const auto& each : file.message_type()) bytes += Of(each, scope);
  for (const auto& each : file.enum_type()) bytes += Of(each, scope);
  for (const auto& each : file.service()) bytes += Of(each, scope);
  return bytes;
}

}  // namespace plugind::pluginctl
