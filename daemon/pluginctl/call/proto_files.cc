#include "daemon/pluginctl/call/proto_files.h"

#include <fmt/format.h>
#include <google/protobuf/compiler/importer.h>

#include <algorithm>
#include <filesystem>

#include "daemon/pluginctl/call/well_known.h"

namespace plugind::pluginctl {
namespace {

class Problems final : public google::protobuf::compiler::MultiFileErrorCollector {
 public:
  explicit Problems(google::protobuf::compiler::DiskSourceTree& tree) : tree_(tree) {}

  void AddError(const std::string& file, int line, int column,
                const std::string& message) override {
    std::string place = file;
    tree_.VirtualFileToDiskFile(file, &place);
    if (line >= 0) place += fmt::format(":{}:{}", line + 1, column + 1);
    text_ += fmt::format("{}: {}\n", place, message);
  }

  const std::string& text() const { return text_; }

 private:
  google::protobuf::compiler::DiskSourceTree& tree_;
  std::string text_;
};

class ProtoFiles final : public Schema {
 public:
  ProtoFiles(const std::vector<std::string>& files, const std::vector<std::string>& folders) {
    database_.RecordErrorsTo(&problems_);
    for (const std::string& folder : folders) tree_.MapPath("", folder);
    for (const std::string& file : files) Read(file);
    std::ranges::sort(services_);
  }

  const google::protobuf::DescriptorPool& pool() const override { return pool_; }
  grpc::Status ListServices(std::vector<std::string>* names) override {
    *names = services_;
    return grpc::Status::OK;
  }
  const grpc::Status& failure() const override { return grpc::Status::OK; }
  std::string problems() const override { return problems_.text(); }

 private:
  using Tree = google::protobuf::compiler::DiskSourceTree;

  void Read(const std::string& file) {
    const std::string path = std::filesystem::path(file).lexically_normal().string();
    std::string name, shadowing;
    if (tree_.DiskFileToVirtualFile(path, &name, &shadowing) != Tree::SUCCESS) {
      const std::filesystem::path folder = std::filesystem::path(path).parent_path();
      tree_.MapPath("", folder.empty() ? "." : folder.string());
      name = std::filesystem::path(path).filename().string();
    }
    const google::protobuf::FileDescriptor* found = pool_.FindFileByName(name);
    if (found == nullptr) return;  // problems_ knows why
    for (int i = 0; i < found->service_count(); ++i)
      services_.push_back(found->service(i)->full_name());
  }

  Tree tree_;
  Problems problems_{tree_};
  WellKnownTypes well_known_;
  google::protobuf::compiler::SourceTreeDescriptorDatabase database_{&tree_, &well_known_};
  const google::protobuf::DescriptorPool pool_{&database_, database_.GetValidationErrorCollector()};
  std::vector<std::string> services_;
};

}  // namespace

std::unique_ptr<Schema> ReadProtoFiles(const std::vector<std::string>& files,
                                       const std::vector<std::string>& folders) {
  return std::make_unique<ProtoFiles>(files, folders);
}

}  // namespace plugind::pluginctl
