#include "daemon/rpc/reflection.h"

#include <google/protobuf/unknown_field_set.h>

#include <algorithm>

namespace plugind::rpc {
namespace {

using google::protobuf::UnknownField;
using google::protobuf::UnknownFieldSet;

// Field numbers of grpc/reflection/v1alpha/reflection.proto.
constexpr int kRequestListServices = 7;
constexpr int kResponseListServices = 6;
constexpr int kResponseError = 7;
constexpr int kListService = 1;
constexpr int kServiceName = 1;

constexpr size_t kMaxServices = 256;
constexpr size_t kMaxName = 256;
constexpr size_t kMaxBytes = size_t{16} * 1024;  // in all: a plugin's record has to hold them

// Every plugin has these; a call to them says by name which plugin it means.
bool IsPlumbing(std::string_view service) {
  return service.starts_with("grpc.health.") || service.starts_with("grpc.reflection.") ||
         service.starts_with("plugin.GRPC") || service.starts_with("plugind.");
}

template <typename Visit>
void EachField(const UnknownFieldSet& fields, int number, const Visit& visit) {
  for (int i = 0; i < fields.field_count(); ++i) {
    const UnknownField& field = fields.field(i);
    if (field.number() == number && field.type() == UnknownField::TYPE_LENGTH_DELIMITED) {
      visit(field.length_delimited());
    }
  }
}

}  // namespace

std::string ListServicesRequest() {
  UnknownFieldSet request;
  request.AddLengthDelimited(kRequestListServices, "*");
  std::string bytes;
  request.SerializeToString(&bytes);
  return bytes;
}

absl::StatusOr<std::vector<std::string>> ParseListServicesResponse(const std::string& bytes) {
  UnknownFieldSet response;
  if (!response.ParseFromString(bytes)) return absl::InternalError("reflection: not its message");
  bool refused = false;
  EachField(response, kResponseError, [&](const std::string&) { refused = true; });
  if (refused) return absl::UnimplementedError("reflection: it does not list its services");
  std::vector<std::string> names;
  size_t total = 0;
  EachField(response, kResponseListServices, [&](const std::string& list_bytes) {
    UnknownFieldSet list;
    if (!list.ParseFromString(list_bytes)) return;
    EachField(list, kListService, [&](const std::string& service_bytes) {
      UnknownFieldSet service;
      if (!service.ParseFromString(service_bytes)) return;
      EachField(service, kServiceName, [&](const std::string& name) {
        total += name.size();
        if (names.size() < kMaxServices && name.size() <= kMaxName && total <= kMaxBytes &&
            !IsPlumbing(name)) {
          names.push_back(name);
        }
      });
    });
  });
  std::sort(names.begin(), names.end());
  names.erase(std::unique(names.begin(), names.end()), names.end());
  return names;
}

}  // namespace plugind::rpc
