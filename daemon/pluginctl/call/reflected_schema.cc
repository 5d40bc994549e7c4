#include "daemon/pluginctl/call/reflected_schema.h"

#include <fmt/format.h>

#include <utility>

#include "daemon/pluginctl/text.h"

namespace plugind::pluginctl {
namespace {

// The first few: one wrong name can bring about hundreds.
constexpr size_t kMostProblems = 5;

class Problems final : public google::protobuf::DescriptorPool::ErrorCollector {
 public:
  void AddError(const std::string& file, const std::string& element,
                const google::protobuf::Message*, ErrorLocation,
                const std::string& message) override {
    if (++count_ > kMostProblems) return;
    text_ += fmt::format("{}: {}: {}\n", Printable(file), Printable(element), Printable(message));
  }

  std::string text() const {
    if (count_ <= kMostProblems) return text_;
    return text_ + fmt::format("… and {} more\n", count_ - kMostProblems);
  }

 private:
  size_t count_ = 0;
  std::string text_;
};

class ReflectedSchema final : public Schema {
 public:
  ReflectedSchema(Connection& connection, std::shared_ptr<grpc::Channel> channel, Metadata metadata,
                  Deadline deadline)
      : reflection_(connection, std::move(channel), std::move(metadata), deadline) {}

  const google::protobuf::DescriptorPool& pool() const override { return pool_; }
  grpc::Status ListServices(std::vector<std::string>* names) override {
    return reflection_.ListServices(names);
  }
  const grpc::Status& failure() const override { return reflection_.failure(); }
  std::string problems() const override { return problems_.text(); }

 private:
  Reflection reflection_;
  Problems problems_;
  const google::protobuf::DescriptorPool pool_{&reflection_, &problems_};
};

}  // namespace

std::unique_ptr<Schema> ReflectSchema(Connection& connection,
                                      std::shared_ptr<grpc::Channel> channel, Metadata metadata,
                                      Deadline deadline) {
  return std::make_unique<ReflectedSchema>(connection, std::move(channel), std::move(metadata),
                                           deadline);
}

}  // namespace plugind::pluginctl
