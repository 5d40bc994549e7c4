// Where rules are checked: starts processes of the plugin, each with folders of its own, and keeps
// one for the rules that do it no harm. One thread; every thread that checks has its own.
#pragma once

#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "daemon/pluginctl/conformance/instance.h"
#include "daemon/pluginctl/conformance/rule.h"

namespace plugind::pluginctl::conformance {

// What the first start told, for all rules after it.
struct Facts {
  absl::Status handshake = absl::UnknownError("not tried");
  // Which methods of plugind.plugin.v1.Plugin it serves; neither: it is at the floor.
  bool negotiates = false;
  bool configures = false;
  contract::NegotiateResponse negotiated;
  // Why Negotiate went wrong, or why it was never SERVING.
  absl::Status introduced = absl::UnknownError("not tried");
  absl::Status serving = absl::UnknownError("not tried");
  // Why it did not take the settings that it was given at its start.
  absl::Status configured;

  bool contract() const { return negotiates || configures; }
};

struct StartOptions {
  std::vector<uint32_t> versions = {};  // empty: the subject's
  std::string state_directory = {};     // empty: a new one
  bool bare = false;                    // HOME, LANG and TZ are not set either
};

class Bench {
 public:
  // All outlive it. `folder` is its own; whatever is in it may be removed.
  Bench(const Subject& subject, const Facts& facts, std::string root, std::string folder);
  ~Bench();

  const Subject& subject() const { return subject_; }
  const Facts& facts() const { return facts_; }

  // Begins a process and waits for its handshake, good or bad.
  absl::StatusOr<std::unique_ptr<Instance>> Begin(const StartOptions& options = {});
  // The same, and an error where a host would refuse it.
  absl::StatusOr<std::unique_ptr<Instance>> Start(const StartOptions& options = {});
  // And then what plugind does until it is READY.
  absl::StatusOr<std::unique_ptr<Instance>> StartServing(const StartOptions& options = {});
  // The first process of this bench, as Begin made it.
  absl::StatusOr<Instance*> First();
  // One that serves and lives, for rules that do it no harm if it keeps them.
  absl::StatusOr<Instance*> Shared();
  // It did not keep a rule: the next one shall have another process.
  void DropShared() { shared_.reset(); }

  // As plugind starts it, but with the arguments after its own, and this in place of the cookie.
  absl::StatusOr<std::unique_ptr<HostProcess>> Run(const std::vector<std::string>& arguments,
                                                   const std::optional<std::string>& cookie,
                                                   const std::string& directory);

  std::string NewDirectory(const std::string& kind);
  // What the process that was last begun has printed on stderr.
  std::string LastStderr() const { return stderr_ == nullptr ? "" : stderr_->Get(); }

 private:
  absl::StatusOr<std::unique_ptr<HostProcess>> Spawn(const Launch& launch);
  Launch Describe(const std::string& directory, const StartOptions& options);

  const Subject& subject_;
  const Facts& facts_;
  const std::string root_;
  const std::string folder_;
  int made_ = 0;  // folders, for their names
  std::shared_ptr<StderrTail> stderr_;
  std::unique_ptr<Instance> shared_;
};

// From the first process of that bench.
Facts Learn(Bench& bench);

}  // namespace plugind::pluginctl::conformance
