// The service of both programs.
#pragma once

#include "hello.grpc.pb.h"

class Hello final : public hello::v1::Hello::Service {
 public:
  grpc::Status Say(grpc::ServerContext* /*context*/, const google::protobuf::StringValue* request,
                   google::protobuf::StringValue* response) override {
    response->set_value("hello " + request->value());
    return grpc::Status::OK;
  }
};
