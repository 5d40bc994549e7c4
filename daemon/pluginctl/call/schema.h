// Where the types of a call come from: a plugin's reflection (reflected_schema.h) or .proto files
// (proto_files.h).
#pragma once

#include <google/protobuf/descriptor.h>
#include <grpcpp/grpcpp.h>

#include <string>
#include <vector>

namespace plugind::pluginctl {

class Schema {
 public:
  Schema() = default;
  Schema(const Schema&) = delete;
  Schema& operator=(const Schema&) = delete;
  virtual ~Schema() = default;

  // Looks things up where they come from when they are first asked for.
  virtual const google::protobuf::DescriptorPool& pool() const = 0;

  // Full names, sorted.
  virtual grpc::Status ListServices(std::vector<std::string>* names) = 0;

  // Why the pool may lack what there is: the plugin could not be asked, …
  virtual const grpc::Status& failure() const = 0;
  // … or what it said makes no sense: a line for each thing that is wrong.
  virtual std::string problems() const = 0;
};

}  // namespace plugind::pluginctl
