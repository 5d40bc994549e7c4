// pluginctl call: one call of any kind to a plugin, JSON in and out; or what there is to call.
#include <fmt/format.h>

#include <cstdio>
#include <thread>

#include "daemon/pluginctl/call/call_status.h"
#include "daemon/pluginctl/call/describe.h"
#include "daemon/pluginctl/call/generic_call.h"
#include "daemon/pluginctl/call/message_json.h"
#include "daemon/pluginctl/call/proto_files.h"
#include "daemon/pluginctl/call/reflected_schema.h"
#include "daemon/pluginctl/call/request_source.h"
#include "daemon/pluginctl/error.h"
#include "daemon/pluginctl/text.h"
#include "daemon/pluginctl/verbs/verbs.h"

namespace plugind::pluginctl {
namespace {

using google::protobuf::MethodDescriptor;
using google::protobuf::ServiceDescriptor;
using Got = RequestSource::Got;

std::string Find(const std::multimap<grpc::string_ref, grpc::string_ref>& metadata,
                 const char* key) {
  const auto found = metadata.find(key);
  return found == metadata.end() ? "" : std::string(found->second.data(), found->second.size());
}

Metadata WithPlugin(Metadata headers, const std::string& plugin) {
  headers.emplace_back(kPluginKey, plugin);
  return headers;
}

class Calling {
 public:
  Calling(Context& context, const CallOptions& options)
      : connection_(context.connection),
        out_(context.out),
        options_(options),
        plugin_(options.target.plugin),
        style_{.indented = options.format == Format::kText && context.out_terminal.is_terminal,
               .defaults = options.emit_defaults},
        deadline_(DeadlineAfter(options.timeout)),
        metadata_(WithPlugin(options.headers, plugin_)),
        channel_(connection_.OpenChannel(static_cast<int>(options.max_message))),
        schema_(options.proto_files.empty()
                    ? ReflectSchema(connection_, channel_, metadata_, deadline_)
                    : ReadProtoFiles(options.proto_files, options.proto_folders)),
        json_(schema_->pool()) {}

  ExitCode Run() {
    if (!options_.proto_files.empty() && !schema_->problems().empty()) return FailToKnow();
    if (options_.target.symbol.empty()) return ShowServices();
    if (options_.target.method.empty()) return ShowSymbol();
    const ServiceDescriptor* service = schema_->pool().FindServiceByName(options_.target.symbol);
    if (service == nullptr) return FailToKnow();
    const MethodDescriptor* method = service->FindMethodByName(options_.target.method);
    if (method == nullptr) {
      Complain(NoSuchMethod(*service, options_.target.method));
      return ExitCode::kFailed;
    }
    return Call(*method);
  }

 private:
  ExitCode ShowServices() {
    std::vector<std::string> services;
    const grpc::Status status = schema_->ListServices(&services);
    if (!status.ok()) return FailToReflect(status);
    if (options_.format == Format::kJson) {
      out_.Write(ServicesAsJson(services));
    } else {
      for (const std::string& service : services) out_.Write(Printable(service) + '\n');
    }
    return ExitCode::kDone;
  }

  ExitCode ShowSymbol() {
    const std::string& symbol = options_.target.symbol;
    if (options_.data) {
      Complain(fmt::format("--data needs a method: {}/SERVICE/METHOD", plugin_));
      return ExitCode::kUsage;
    }
    const std::string text = Describe(schema_->pool(), symbol);
    if (text.empty()) return FailToKnow();
    out_.Write(options_.format == Format::kJson ? DescribeAsJson(schema_->pool(), symbol) : text);
    return ExitCode::kDone;
  }

  // The pool does not have the symbol.
  ExitCode FailToKnow() {
    if (!schema_->failure().ok()) return FailToReflect(schema_->failure());
    if (const std::string problems = schema_->problems(); !problems.empty()) {
      fmt::print(stderr, "{}", problems);
      Complain(
          options_.proto_files.empty()
              ? fmt::format("{} describes its types wrongly; --proto does without that", plugin_)
              : std::string("the .proto files have errors"));
      return ExitCode::kFailed;
    }
    std::vector<std::string> services;
    const grpc::Status status = schema_->ListServices(&services);
    if (!status.ok()) return FailToReflect(status);
    Complain(NoSuchService(plugin_, options_.target.symbol, services));
    return ExitCode::kFailed;
  }

  ExitCode FailToReflect(const grpc::Status& status) {
    const ExitCode code = ReportCall(connection_, status, plugin_);
    if (status.error_code() == grpc::StatusCode::UNIMPLEMENTED)
      fmt::print(stderr, "  {} offers no reflection; --proto FILE does without it\n", plugin_);
    return code;
  }

  ExitCode Call(const MethodDescriptor& method) {
    auto source = RequestSource::Open(options_.data.value_or(""));
    if (!source.ok()) return Misuse(std::string(Message(source.status())));
    std::string request;
    if (!method.client_streaming() && !ReadOnly(**source, *method.input_type(), &request))
      return ExitCode::kUsage;
    if (method.server_streaming()) out_.EndWithReader();

    grpc::ClientContext rpc;
    for (const auto& [key, value] : metadata_) rpc.AddMetadata(key, value);
    rpc.set_deadline(ToGrpc(deadline_));
    GenericCall call(channel_, options_.target.path(), &rpc);
    std::thread sender;
    if (method.client_streaming()) {
      sender = std::thread([&] { SendAll(call, rpc, **source, *method.input_type()); });
    } else {
      call.Send(request, Follow::kNothing);
    }
    const size_t received = ReceiveAll(call, rpc, *method.output_type());
    (*source)->Interrupt();
    if (sender.joinable()) sender.join();
    const grpc::Status status = call.Finish();
    if (options_.verbose) ShowMetadata("trailers", rpc.GetServerTrailingMetadata());

    if (!input_error_.empty()) return Misuse(input_error_);
    if (!output_error_.empty()) return Fail(output_error_);
    if (!status.ok())
      return ReportCall(connection_, status, plugin_,
                        Find(rpc.GetServerTrailingMetadata(), kExecutedKey));
    if (!method.server_streaming() && received != 1)
      return Fail(fmt::format("{} answered OK with {} messages instead of one", plugin_, received));
    return ExitCode::kDone;
  }

  // The request of a method that takes one. Without any, it is a message with nothing set.
  bool ReadOnly(RequestSource& source, const google::protobuf::Descriptor& type,
                std::string* request) {
    JsonDocument document, second;
    Got got = source.Next(&document);
    if (got == Got::kDocument && Convert(source, document, type, request)) {
      got = source.Next(&second);
      if (got == Got::kDocument)
        input_error_ = source.Place(second) + "the method takes one message, and this is another";
    }
    if (got == Got::kBroken) input_error_ = source.error();
    if (!input_error_.empty()) Complain(input_error_);
    return input_error_.empty();
  }

  // On a thread of its own, which alone touches input_error_ meanwhile.
  void SendAll(GenericCall& call, grpc::ClientContext& rpc, RequestSource& source,
               const google::protobuf::Descriptor& type) {
    JsonDocument document;
    std::string request;
    Got got = Got::kDocument;
    while ((got = source.Next(&document)) == Got::kDocument) {
      if (!Convert(source, document, type, &request)) break;
      if (!call.Send(request, Follow::kMore)) break;
    }
    if (got == Got::kBroken) input_error_ = source.error();
    if (!input_error_.empty()) rpc.TryCancel();
    call.EndSending();
  }

  bool Convert(const RequestSource& source, const JsonDocument& document,
               const google::protobuf::Descriptor& type, std::string* request) {
    absl::StatusOr<std::string> bytes = json_.ToBytes(type, document.text);
    if (!bytes.ok()) {
      input_error_ =
          fmt::format("{}{}\n  the fields of {}: pluginctl call {}/{}", source.Place(document),
                      Message(bytes.status()), type.full_name(), plugin_, type.full_name());
      return false;
    }
    *request = *std::move(bytes);
    return true;
  }

  // How many messages came.
  size_t ReceiveAll(GenericCall& call, grpc::ClientContext& rpc,
                    const google::protobuf::Descriptor& type) {
    if (options_.verbose) {
      call.AwaitHeaders();
      ShowMetadata("headers", rpc.GetServerInitialMetadata());
    }
    size_t count = 0;
    for (std::string message; call.Receive(&message);) {
      ++count;
      if (!output_error_.empty()) continue;  // cancelled; what was under way is not wanted
      const absl::StatusOr<std::string> json = json_.FromBytes(type, message, style_);
      if (!json.ok()) {
        output_error_ = fmt::format("{} sent {}", plugin_, Message(json.status()));
        rpc.TryCancel();
        continue;
      }
      out_.Write(*json + '\n');
      out_.Flush();
    }
    return count;
  }

  static void ShowMetadata(const std::string& what,
                           const std::multimap<grpc::string_ref, grpc::string_ref>& metadata) {
    fmt::print(stderr, "{}:\n{}", what, Render(metadata, "  "));
  }

  static ExitCode Misuse(const std::string& message) {
    Complain(message);
    return ExitCode::kUsage;
  }

  static ExitCode Fail(const std::string& message) {
    Complain(message);
    return ExitCode::kFailed;
  }

  Connection& connection_;
  Output& out_;
  const CallOptions& options_;
  const std::string& plugin_;
  const JsonStyle style_;
  const Deadline deadline_;
  const Metadata metadata_;
  const std::shared_ptr<grpc::Channel> channel_;
  const std::unique_ptr<Schema> schema_;
  const MessageJson json_;
  std::string input_error_;   // what is wrong with the requests
  std::string output_error_;  // … with a response
};

}  // namespace

ExitCode RunCall(Context& context, const CallOptions& options) {
  return Calling(context, options).Run();
}

}  // namespace plugind::pluginctl
