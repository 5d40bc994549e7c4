#include "daemon/pluginctl/conformance/bench.h"

#include <fmt/ranges.h>
#include <sys/stat.h>

#include <cstdlib>
#include <filesystem>

namespace plugind::pluginctl::conformance {

Bench::Bench(const Subject& subject, const Facts& facts, std::string root, std::string folder)
    : subject_(subject), facts_(facts), root_(std::move(root)), folder_(std::move(folder)) {
  mkdir(folder_.c_str(), S_IRWXU);
}

Bench::~Bench() {
  shared_.reset();
  std::error_code ignored;  // what stays goes with the root
  std::filesystem::remove_all(folder_, ignored);
}

std::string Bench::NewDirectory(const std::string& kind) {
  std::string path = fmt::format("{}/{}{}", folder_, kind, ++made_);
  mkdir(path.c_str(), S_IRWXU);
  return path;
}

Launch Bench::Describe(const std::string& directory, const StartOptions& options) {
  Launch launch;
  launch.command = subject_.command;
  launch.folder = root_;
  launch.working_directory = std::filesystem::current_path().string();
  auto& environment = launch.environment;
  for (const char* name : {"PATH", "HOME", "LANG", "TZ"}) {
    const char* value = std::getenv(name);
    if (value != nullptr && (!options.bare || std::string_view(name) == "PATH"))
      environment[name] = value;
  }
  environment[subject_.cookie_key] = subject_.cookie_value;
  const auto& versions = options.versions.empty() ? subject_.protocol_versions : options.versions;
  environment["PLUGIN_PROTOCOL_VERSIONS"] = fmt::format("{}", fmt::join(versions, ","));
  environment["PLUGIN_MIN_PORT"] = "10000";
  environment["PLUGIN_MAX_PORT"] = "25000";
  environment["PLUGIN_UNIX_SOCKET_DIR"] = directory;
  environment["TMPDIR"] = directory;
  environment["PLUGIND_NAME"] = "plugin-test";
  environment["PLUGIND_INSTANCE"] = fmt::format("{}", made_);
  environment["PLUGIND_STATE_DIR"] =
      options.state_directory.empty() ? NewDirectory("s") : options.state_directory;
  return launch;
}

absl::StatusOr<std::unique_ptr<HostProcess>> Bench::Spawn(const Launch& launch) {
  stderr_ = launch.stderr_tail;
  return HostProcess::Start(launch);
}

absl::StatusOr<std::unique_ptr<Instance>> Bench::Begin(const StartOptions& options) {
  const std::string directory = NewDirectory("i");
  const Deadline begun = std::chrono::steady_clock::now();
  ASSIGN_OR_RETURN(auto process, Spawn(Describe(directory, options)));
  return std::make_unique<Instance>(
      subject_, std::move(process), directory,
      options.versions.empty() ? subject_.protocol_versions : options.versions, begun);
}

absl::StatusOr<std::unique_ptr<Instance>> Bench::Start(const StartOptions& options) {
  ASSIGN_OR_RETURN(auto instance, Begin(options));
  if (!instance->has_handshake()) return instance->NoHandshake();
  RETURN_IF_ERROR(instance->Acceptable());
  return instance;
}

absl::StatusOr<std::unique_ptr<Instance>> Bench::StartServing(const StartOptions& options) {
  ASSIGN_OR_RETURN(auto instance, Start(options));
  RETURN_IF_ERROR(instance->Introduce());
  RETURN_IF_ERROR(instance->AwaitServing());
  return instance;
}

absl::StatusOr<Instance*> Bench::First() {
  if (shared_ == nullptr) {
    ASSIGN_OR_RETURN(shared_, Begin());
  }
  return shared_.get();
}

absl::StatusOr<Instance*> Bench::Shared() {
  if (shared_ != nullptr && shared_->process().AwaitEnd(std::chrono::steady_clock::now()))
    shared_.reset();
  if (shared_ == nullptr) {
    ASSIGN_OR_RETURN(shared_, StartServing());
  }
  return shared_.get();
}

absl::StatusOr<std::unique_ptr<HostProcess>> Bench::Run(const std::vector<std::string>& arguments,
                                                        const std::optional<std::string>& cookie,
                                                        const std::string& directory) {
  Launch launch = Describe(directory, {});
  launch.command.insert(launch.command.end(), arguments.begin(), arguments.end());
  launch.environment.erase(subject_.cookie_key);
  if (cookie) launch.environment[subject_.cookie_key] = *cookie;
  return Spawn(launch);
}

Facts Learn(Bench& bench) {
  Facts facts;
  const auto first = bench.First();
  facts.handshake = first.ok() ? (*first)->Acceptable() : first.status();
  if (!facts.handshake.ok()) return facts;
  facts.introduced = (*first)->Introduce();
  facts.negotiates = (*first)->negotiates();
  facts.configures = (*first)->configures();
  facts.negotiated = (*first)->negotiated();
  facts.configured = (*first)->configured();
  if (facts.introduced.ok()) facts.serving = (*first)->AwaitServing();
  return facts;
}

}  // namespace plugind::pluginctl::conformance
