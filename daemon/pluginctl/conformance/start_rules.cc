// How it starts: by hand, in a bare environment, again, twice.
#include <csignal>
#include <filesystem>
#include <nlohmann/json.hpp>

#include "daemon/pluginctl/conformance/bench.h"
#include "daemon/pluginctl/conformance/description.h"
#include "daemon/pluginctl/text.h"

namespace plugind::pluginctl::conformance {
namespace {

// A program that has nothing to do but to explain itself.
constexpr Milliseconds kExplains{5000};

bool HasSocket(const std::string& directory) {
  for (const auto& entry : std::filesystem::directory_iterator(directory))
    if (entry.is_socket()) return true;
  return false;
}

Finding ExplainsItself(Bench& bench, const std::optional<std::string>& cookie) {
  const std::string directory = bench.NewDirectory("i");
  ASSIGN_OR_RETURN(const auto process, bench.Run({}, cookie, directory));
  const auto ended = process->AwaitEnd(DeadlineAfter(kExplains));
  while (const auto line = process->NextLine(DeadlineAfter(Milliseconds(100))))
    if (LooksLikeHandshake(line->text))
      return Failed(fmt::format("it printed the handshake \"{}\"", Printable(line->text)));
  if (!ended)
    return Failed(fmt::format("it is still running after {} s", kExplains.count() / 1000));
  if (ended->signal != 0 || ended->code != 1)
    return Failed(fmt::format("it ended with {}; expected exit code 1", ended->Words()));
  process->AwaitSilence(DeadlineAfter(Milliseconds(500)));
  if (process->Stderr().empty()) return Failed("it said nothing on stderr");
  if (HasSocket(directory)) return Failed("it made a socket before it looked at the cookie");
  return Passed();
}

Finding WithoutCookie(Bench& bench) { return ExplainsItself(bench, std::nullopt); }

Finding WrongCookie(Bench& bench) {
  return ExplainsItself(bench, bench.subject().cookie_value + "-wrong");
}

Finding Info(Bench& bench) {
  ASSIGN_OR_RETURN(const auto process,
                   bench.Run({"--plugind-info"}, std::nullopt, bench.NewDirectory("i")));
  const auto ended = process->AwaitEnd(DeadlineAfter(kExplains));
  if (!ended) return Skipped("it does not know --plugind-info: it went on running");
  if (ended->signal != 0 || ended->code != 0)
    return Skipped(fmt::format("it does not know --plugind-info: {}", ended->Words()));
  std::string text;
  while (const auto line = process->NextLine(DeadlineAfter(Milliseconds(500))))
    text += line->text + '\n';
  if (text.empty()) return Skipped("it does not know --plugind-info: it printed nothing");
  const std::string wrong = WrongDescription(text);
  return wrong.empty() ? Passed() : Failed(wrong);
}

Finding BareEnvironment(Bench& bench) {
  ASSIGN_OR_RETURN(const auto instance, bench.StartServing({.bare = true}));
  return Passed();
}

Finding Again(Bench& bench) {
  const std::string state = bench.NewDirectory("s");
  for (const char* which : {"the first time: ", "after it was killed: "}) {
    auto instance = bench.StartServing({.state_directory = state});
    if (!instance.ok()) return Failed(which + std::string(Message(instance.status())));
    (*instance)->process().Signal(SIGKILL);
    (*instance)->process().AwaitEnd(DeadlineAfter(Milliseconds(2000)));
  }
  return Passed();
}

Finding Twice(Bench& bench) {
  ASSIGN_OR_RETURN(const auto first, bench.StartServing());
  auto second = bench.StartServing();
  if (!second.ok()) return Failed("beside another one: " + std::string(Message(second.status())));
  return first->StillServing("when a second one had started");
}

constexpr Rule kRules[] = {
    {"start-without-cookie", Level::kFloor, Needs::kNothing,
     "Started by hand, without its magic cookie, it says on stderr what it is, listens nowhere and "
     "exits with 1.",
     WithoutCookie},
    {"start-wrong-cookie", Level::kFloor, Needs::kNothing,
     "With another value of the cookie it does the same.", WrongCookie},
    {"start-info", Level::kFloor, Needs::kNothing,
     "If it knows --plugind-info, it prints its description as JSON and exits with 0, without a "
     "cookie.",
     Info},
    {"start-environment", Level::kFloor, Needs::kReady,
     "PATH and the contract's variables are all that it needs: no HOME, no terminal, no descriptor "
     "but 0, 1 and 2.",
     BareEnvironment},
    {"start-again", Level::kFloor, Needs::kReady,
     "Killed, it starts again with the same PLUGIND_STATE_DIR.", Again},
    {"start-twice", Level::kFloor, Needs::kReady,
     "Two of it run at the same time, each with folders of its own.", Twice},
};

}  // namespace

std::span<const Rule> StartRules() { return kRules; }

}  // namespace plugind::pluginctl::conformance
