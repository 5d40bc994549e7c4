// What a plugin serves, for people who want to call it. Pure functions of its descriptors.
#pragma once

#include <google/protobuf/descriptor.h>

#include <string>
#include <vector>

namespace plugind::pluginctl {

// Whatever has this full name, as a .proto file has it; a service with the messages of its methods.
// Empty: there is none.
std::string Describe(const google::protobuf::DescriptorPool& pool, const std::string& symbol);

// The same for programs, a document on one line. `symbol` is there.
std::string DescribeAsJson(const google::protobuf::DescriptorPool& pool, const std::string& symbol);
std::string ServicesAsJson(const std::vector<std::string>& services);

// Why a call cannot be made, with what could be called instead.
std::string NoSuchService(const std::string& plugin, const std::string& symbol,
                          const std::vector<std::string>& services);
std::string NoSuchMethod(const google::protobuf::ServiceDescriptor& service,
                         const std::string& method);

}  // namespace plugind::pluginctl
