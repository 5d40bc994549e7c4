// pluginctl plugin test: does a program keep the rules of plugins? No daemon is needed.
#include <fmt/format.h>
#include <unistd.h>

#include <cstdlib>
#include <filesystem>

#include "daemon/pluginctl/conformance/run.h"
#include "daemon/pluginctl/conformance/settings_file.h"
#include "daemon/pluginctl/error.h"
#include "daemon/pluginctl/verbs/verbs.h"

namespace plugind::pluginctl {
namespace {

using conformance::Report;
using conformance::Rule;

// As a shell would find it.
std::string FindProgram(const std::string& name) {
  if (name.find('/') != std::string::npos) return std::filesystem::absolute(name).string();
  const char* path = std::getenv("PATH");
  std::string_view rest = path == nullptr ? "" : path;
  while (!rest.empty()) {
    const size_t colon = rest.find(':');
    const std::string candidate = fmt::format("{}/{}", rest.substr(0, colon), name);
    if (access(candidate.c_str(), X_OK) == 0) return candidate;
    rest.remove_prefix(colon == std::string_view::npos ? rest.size() : colon + 1);
  }
  return std::filesystem::absolute(name).string();
}

ExitCode List(Output& out) {
  for (const Rule* rule : conformance::AllRules())
    out.Write(fmt::format("{}\t{}\t{}\n", rule->id, conformance::Name(rule->level), rule->text));
  return ExitCode::kDone;
}

std::string Render(const Report& report, TestFormat format, const Terminal& terminal) {
  switch (format) {
    case TestFormat::kTap:
      return ToTap(report);
    case TestFormat::kJunit:
      return ToJunit(report);
    case TestFormat::kJson:
      return ToJson(report);
    case TestFormat::kText:
      return ToText(report, terminal);
  }
  return "";
}

ExitCode Refuse(const std::string& why) {
  Complain(why);
  return ExitCode::kUsage;
}

}  // namespace

ExitCode RunPluginTest(Output& out, const Terminal& terminal, const PluginTestOptions& options) {
  if (options.list) return List(out);
  conformance::Subject subject;
  subject.command = options.command;
  subject.command.front() = FindProgram(options.command.front());
  subject.cookie_key = options.cookie_key;
  subject.cookie_value = options.cookie_value;
  subject.protocol_versions = options.protocol_versions;
  subject.allow_tcp = options.allow_tcp;
  // "0s: without a limit" is a day here: a check that does not end says nothing.
  subject.timeout = options.timeout == Duration::zero()
                        ? std::chrono::hours(24)
                        : std::chrono::ceil<conformance::Milliseconds>(options.timeout);
  if (!options.accepted_file.empty()) {
    auto settings = conformance::ReadSettings(options.accepted_file);
    if (!settings.ok()) return Refuse(std::string(Message(settings.status())));
    subject.accepted = *std::move(settings);
    subject.accepted_given = true;
  }
  if (!options.refused_file.empty()) {
    auto settings = conformance::ReadSettings(options.refused_file);
    if (!settings.ok()) return Refuse(std::string(Message(settings.status())));
    subject.refused = *std::move(settings);
  }
  std::vector<const Rule*> only;
  for (const std::string& id : options.only) {
    only.push_back(conformance::FindRule(id));
    if (only.back() == nullptr)
      return Refuse(fmt::format("no such rule \"{}\"; --list-rules lists them", id));
  }
  const auto report = conformance::Run(subject, only);
  if (!report.ok()) return Refuse(std::string(Message(report.status())));
  const auto fallback = terminal.is_terminal ? TestFormat::kText : TestFormat::kTap;
  out.Write(Render(*report, options.format.value_or(fallback), terminal));
  return report->Count(conformance::Verdict::kFailed) == 0 ? ExitCode::kDone : ExitCode::kFailed;
}

}  // namespace plugind::pluginctl
