#include "daemon/rpc/contract_messages.h"

#include <google/protobuf/util/json_util.h>

#include "daemon/base/status.h"
#include "plugind/plugin/v1/plugin.pb.h"

namespace plugind::rpc {
namespace {

namespace v1 = plugind::plugin::v1;
using supervisor::Capability;

template <typename Message>
std::string WithTimeout(Duration timeout) {
  Message message;
  const auto seconds = std::chrono::floor<std::chrono::seconds>(timeout);
  message.mutable_timeout()->set_seconds(seconds.count());
  message.mutable_timeout()->set_nanos(static_cast<int32_t>((timeout - seconds).count()));
  return message.SerializeAsString();
}

}  // namespace

std::string NegotiateMessage(const supervisor::HostOffer& offer) {
  v1::NegotiateRequest message;
  message.set_host("plugind");
  message.set_host_version(PLUGIND_VERSION);
  message.set_plugin(offer.plugin);
  message.set_instance(offer.instance);
  message.set_protocol_version(offer.protocol_version);
  for (const uint32_t version : offer.offered_protocol_versions) {
    message.add_offered_protocol_versions(version);
  }
  for (const Capability& one : offer.capabilities) {
    v1::Capability* const capability = message.add_capabilities();
    capability->set_name(one.name);
    for (const std::string& version : one.versions) capability->add_versions(version);
    capability->set_required(one.required);
  }
  return message.SerializeAsString();
}

absl::StatusOr<std::string> ConfigureMessage(const supervisor::SettingsOffer& settings) {
  v1::ConfigureRequest message;
  const auto parsed =
      google::protobuf::util::JsonStringToMessage(settings.json, message.mutable_settings());
  if (!parsed.ok()) {
    return Error(absl::StatusCode::kInternal, "the settings cannot be handed over: {}",
                 std::string(parsed.message()));
  }
  for (const auto& [name, version] : settings.capabilities) {
    (*message.mutable_capabilities())[name] = version;
  }
  message.set_generation(settings.generation);
  return message.SerializeAsString();
}

std::string DrainMessage(Duration timeout) { return WithTimeout<v1::DrainRequest>(timeout); }
std::string ShutdownMessage(Duration timeout) { return WithTimeout<v1::ShutdownRequest>(timeout); }

absl::StatusOr<supervisor::PluginAnswer> ParseNegotiateAnswer(const std::string& bytes) {
  v1::NegotiateResponse message;
  if (!message.ParseFromString(bytes)) {
    return absl::InternalError("its answer is not a NegotiateResponse");
  }
  supervisor::PluginAnswer answer;
  answer.name = message.name();
  answer.version = message.version();
  answer.services.assign(message.services().begin(), message.services().end());
  for (const v1::Capability& one : message.capabilities()) {
    answer.capabilities.push_back(
        {one.name(), {one.versions().begin(), one.versions().end()}, one.required()});
  }
  answer.config_schema = message.config_schema();
  answer.sdk_language = message.sdk().language();
  answer.sdk_version = message.sdk().version();
  return answer;
}

absl::StatusOr<std::vector<supervisor::Violation>> ParseConfigureAnswer(const std::string& bytes) {
  v1::ConfigureResponse message;
  if (!message.ParseFromString(bytes)) {
    return absl::InternalError("its answer is not a ConfigureResponse");
  }
  std::vector<supervisor::Violation> violations;
  for (const v1::Violation& one : message.violations()) {
    violations.push_back({one.field(), one.reason()});
  }
  return violations;
}

}  // namespace plugind::rpc
