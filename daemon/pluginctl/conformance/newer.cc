#include "daemon/pluginctl/conformance/newer.h"

#include <google/protobuf/unknown_field_set.h>

namespace plugind::pluginctl::conformance {
namespace {

// One of each wire type, at a number near those in use and at a high one.
void AddUnknownFields(google::protobuf::Message* message) {
  google::protobuf::UnknownFieldSet* unknown =
      message->GetReflection()->MutableUnknownFields(message);
  for (const int number : {90, 20'000}) {
    unknown->AddVarint(number, 7);
    unknown->AddFixed32(number + 1, 7);
    unknown->AddFixed64(number + 2, 7);
    unknown->AddLengthDelimited(number + 3, "from the future");
  }
}

}  // namespace

void MakeNewer(plugin::v1::NegotiateRequest* request) {
  for (plugin::v1::Capability& each : *request->mutable_capabilities()) {
    each.clear_versions();
    each.add_versions("1.7");
    each.add_versions("2.3");
    AddUnknownFields(&each);
  }
  plugin::v1::Capability* unheard_of = request->add_capabilities();
  unheard_of->set_name("plugin-test.unheard-of");
  unheard_of->add_versions("9.9");
  plugin::v1::Capability* required = request->add_capabilities();
  required->set_name("plugin-test.required");
  required->add_versions("1.0");
  required->set_required(true);
  request->set_host_version("99.0.0");
  AddUnknownFields(request);
}

void MakeNewer(plugin::v1::ConfigureRequest* request) {
  (*request->mutable_capabilities())["plugin-test.unheard-of"] = "9.9";
  AddUnknownFields(request);
}

}  // namespace plugind::pluginctl::conformance
