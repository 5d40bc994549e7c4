// A plugin's descriptors, asked for by gRPC server reflection (v1, else v1alpha) when they are
// first needed. What a plugin says is not trusted: files, bytes, names and questions are bounded.
// Used under the lock of the pool that stands on it, or by one thread.
#pragma once

#include <google/protobuf/descriptor_database.h>
#include <grpc/reflection/v1/reflection.pb.h>
#include <grpcpp/grpcpp.h>

#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "daemon/pluginctl/call/metadata.h"
#include "daemon/pluginctl/call/well_known.h"
#include "daemon/pluginctl/connection.h"

namespace plugind::pluginctl {

class Reflection final : public google::protobuf::DescriptorDatabase {
 public:
  // `metadata` goes with every question, of which each must be answered by `deadline` and within
  // half a minute. `connection` outlives it.
  Reflection(Connection& connection, std::shared_ptr<grpc::Channel> channel, Metadata metadata,
             Deadline deadline);

  grpc::Status ListServices(std::vector<std::string>* names);

  // Why the last question had no answer; OK where the plugin knows no more.
  const grpc::Status& failure() const { return failure_; }

  bool FindFileByName(const std::string& name,
                      google::protobuf::FileDescriptorProto* file) override;
  bool FindFileContainingSymbol(const std::string& symbol,
                                google::protobuf::FileDescriptorProto* file) override;
  bool FindFileContainingExtension(const std::string&, int,
                                   google::protobuf::FileDescriptorProto*) override {
    return false;
  }

 private:
  using Request = grpc::reflection::v1::ServerReflectionRequest;
  using Response = grpc::reflection::v1::ServerReflectionResponse;

  grpc::Status Ask(const Request& request, Response* response);
  grpc::Status AskOnce(grpc::ClientContext* context, const Request& request, Response* response);
  // Asks, and keeps the files of the answer; false where nothing is to be made of it.
  bool Learn(const Request& request);
  grpc::Status Keep(const std::string& bytes);

  Connection& connection_;
  const std::shared_ptr<grpc::Channel> channel_;
  const Metadata metadata_;
  const Deadline deadline_;

  WellKnownTypes well_known_;
  google::protobuf::SimpleDescriptorDatabase known_;
  grpc::Status failure_;
  size_t version_ = 0;             // of the service: which of its names the plugin knows
  bool ended_by_plugind_ = false;  // the last question: the plugin was lost
  size_t questions_ = 0;
  size_t files_ = 0;
  size_t bytes_ = 0;
  size_t name_bytes_ = 0;
};

}  // namespace plugind::pluginctl
