// The files google/protobuf/*.proto as this program has them compiled in. A plugin's own are never
// used: protobuf's JSON treats their types in ways of their own and takes their shape for granted.
#pragma once

#include <google/protobuf/descriptor_database.h>

#include <string>

namespace plugind::pluginctl {

class WellKnownTypes final : public google::protobuf::DescriptorDatabase {
 public:
  bool FindFileByName(const std::string& name,
                      google::protobuf::FileDescriptorProto* file) override;
  bool FindFileContainingSymbol(const std::string& symbol,
                                google::protobuf::FileDescriptorProto* file) override;
  bool FindFileContainingExtension(const std::string&, int,
                                   google::protobuf::FileDescriptorProto*) override {
    return false;
  }
};

// Whether the package is protobuf's own.
bool IsWellKnownPackage(const std::string& package);

}  // namespace plugind::pluginctl
