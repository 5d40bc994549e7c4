#include "daemon/supervisor/launch.h"

#include <fcntl.h>
#include <fmt/ranges.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include <array>
#include <cstdlib>
#include <filesystem>
#include <random>
#include <system_error>

#include "daemon/base/codec.h"
#include "daemon/base/fingerprint.h"
#include "daemon/supervisor/executable.h"

namespace plugind::supervisor {
namespace {

// The longest name that a plugin gives its socket: go-plugin's is "plugin" and ten digits.
constexpr size_t kSocketNameRoom = 24;
// What of plugind's own environment reaches a plugin.
constexpr std::array<const char*, 4> kPassedOn = {"PATH", "HOME", "LANG", "TZ"};

absl::Status MakeDirectory(const std::string& path, mode_t mode,
                           const config::PluginConfig& config) {
  if (::mkdir(path.c_str(), mode) < 0 && errno != EEXIST) {
    return ErrnoError(errno, fmt::format("cannot make the directory {}", path));
  }
  // mkdir is subject to the umask, and the directory may be older than its configuration.
  const UniqueFd fd(::open(path.c_str(), O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC));
  if (!fd.valid()) return ErrnoError(errno, fmt::format("cannot open the directory {}", path));
  if (config.identity && ::fchown(fd.get(), config.identity->uid, config.identity->gid) < 0) {
    return ErrnoError(errno, fmt::format("cannot give the directory {} to {}", path, config.user));
  }
  if (::fchmod(fd.get(), mode) < 0)
    return ErrnoError(errno, fmt::format("cannot set the mode of {}", path));
  return absl::OkStatus();
}

std::vector<std::string> MakeEnvironment(const config::PluginConfig& config,
                                         const std::string& instance,
                                         const Directories& directories,
                                         const std::string& client_certificate) {
  std::map<std::string, std::string> env;
  for (const char* name : kPassedOn) {
    if (const char* value = std::getenv(name)) env[name] = value;
  }
  for (const auto& [name, value] : config.env) env[name] = value;
  // What plugind sets comes last: a plugin's configuration cannot break the contract.
  const std::string directory = directories.Instance(instance);
  env[config.magic_cookie.key] = config.magic_cookie.value;
  env["PLUGIN_PROTOCOL_VERSIONS"] = fmt::format("{}", fmt::join(config.protocol_versions, ","));
  env["PLUGIN_MIN_PORT"] = "10000";
  env["PLUGIN_MAX_PORT"] = "25000";
  if (!client_certificate.empty()) env["PLUGIN_CLIENT_CERT"] = client_certificate;
  env["PLUGIN_UNIX_SOCKET_DIR"] = directory;
  env["TMPDIR"] = directory;
  env["PLUGIND_HOST_ADDRESS"] = "unix:" + directory + "/host.sock";
  env["PLUGIND_NAME"] = config.name;
  env["PLUGIND_INSTANCE"] = instance;
  env["PLUGIND_STATE_DIR"] = directories.PluginState(config.name);
  std::vector<std::string> list;
  for (const auto& [name, value] : env) list.push_back(fmt::format("{}={}", name, value));
  return list;
}

}  // namespace

std::string Directories::Instance(std::string_view id) const {
  return fmt::format("{}/i/{}", runtime, id);
}
std::string Directories::PluginState(std::string_view name) const {
  return fmt::format("{}/plugins/{}", state, name);
}

std::string NewInstanceId(const Directories& directories) {
  std::random_device random;
  while (true) {
    std::string id = fmt::format("{:08x}", random());
    if (::access(directories.Instance(id).c_str(), F_OK) < 0) return id;
  }
}

absl::StatusOr<Launch> PrepareLaunch(const config::PluginConfig& config,
                                     const std::string& instance, const Directories& directories,
                                     const std::string& client_certificate) {
  const std::string directory = directories.Instance(instance);
  if (directory.size() + 1 + kSocketNameRoom >= sizeof(sockaddr_un::sun_path)) {
    return Error(absl::StatusCode::kFailedPrecondition,
                 "the runtime directory {} is too long: a socket's path may have {} bytes",
                 directories.runtime, sizeof(sockaddr_un::sun_path) - 1);
  }
  Launch launch;
  ASSIGN_OR_RETURN(launch.executable, OpenExecutable(config.command[0]));
  RETURN_IF_ERROR(MakeDirectory(directories.PluginState(config.name), 0700, config));
  RETURN_IF_ERROR(MakeDirectory(directory, 0700, config));

  SpawnSpec& spec = launch.spec;
  spec.id = instance;
  spec.plugin = config.name;
  spec.path = config.command[0];
  spec.argv = config.command;
  spec.env = MakeEnvironment(config, instance, directories, client_certificate);
  spec.working_directory = config.working_directory.empty() ? directories.PluginState(config.name)
                                                            : config.working_directory;
  spec.identity = config.identity;
  spec.nofile_limit = config.limits.nofile;
  spec.core_limit = config.limits.core;
  return launch;
}

void RemoveInstanceDirectory(const Directories& directories, std::string_view instance) {
  if (instance.empty()) return;
  // remove_all does not follow links. What cannot be removed (a mount, say) stays and is named at
  // the next start's sweep.
  std::error_code ignored;
  std::filesystem::remove_all(directories.Instance(instance), ignored);
}

SpawnFailure DiagnoseSpawnFailure(const config::PluginConfig& config, SpawnStep step, int error) {
  const bool passing = error == EAGAIN || error == ENOMEM || error == EMFILE || error == ENFILE ||
                       error == ETXTBSY || error == EINTR || error == EIO;
  std::string what;
  switch (step) {
    case SpawnStep::kExec:
      what = fmt::format("cannot execute {}: {}", config.command[0],
                         DescribeExecError(config.command[0], error));
      break;
    case SpawnStep::kWorkingDirectory:
      what = fmt::format("cannot enter the working directory {}: {}", config.working_directory,
                         std::strerror(error));
      break;
    case SpawnStep::kIdentity:
      what = fmt::format("cannot become user {}: {}", config.user, std::strerror(error));
      break;
    case SpawnStep::kLimits:
      what = fmt::format("cannot set the limits (nofile {}, core {}): {}", config.limits.nofile,
                         config.limits.core, std::strerror(error));
      break;
    case SpawnStep::kPipe:
    case SpawnStep::kFork:
    case SpawnStep::kSession:
    case SpawnStep::kStdio:
    case SpawnStep::kCloseFds:
    case SpawnStep::kNoNewPrivileges:
    case SpawnStep::kParentDeathSignal:
      what = fmt::format("cannot spawn: {}: {}", ToString(step), std::strerror(error));
      break;
  }
  return {std::move(what), !passing};
}

uint64_t ProcessFingerprint(const config::PluginConfig& config) {
  Writer writer;
  writer.Put(config.command).Put(config.working_directory).Put(config.identity.has_value());
  if (config.identity) {
    writer.Put(config.identity->uid).Put(config.identity->gid).Put(config.identity->groups);
  }
  writer.Put(static_cast<uint32_t>(config.env.size()));
  for (const auto& [name, value] : config.env) writer.Put(name).Put(value);
  writer.Put(config.magic_cookie.key).Put(config.magic_cookie.value);
  writer.Put(config.protocol_versions).Put(config.allow_tcp);
  writer.Put(config.limits.nofile).Put(config.limits.core);
  writer.Put(config.capabilities.require);
  for (const auto& [name, version] : config.capabilities.offer) writer.Put(name).Put(version);
  if (config.auto_mtls) writer.Put(true);  // of others the fingerprint is as it always was
  return Fingerprint(writer.bytes());
}

}  // namespace plugind::supervisor
