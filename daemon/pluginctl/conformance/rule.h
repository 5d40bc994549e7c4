// What a rule of the plugin contract is, and what checking it found. sdk/rules.md has the same
// table for people; a test keeps the two equal.
#pragma once

#include <absl/status/status.h>

#include <span>
#include <string>
#include <string_view>
#include <utility>

namespace plugind::pluginctl::conformance {

enum class Level {
  kFloor,     // every plugin must
  kContract,  // every plugin must that serves plugind.plugin.v1.Plugin
  kAdvice,    // good to have: breaking it is told and fails nothing
};
std::string_view Name(Level level);

// How far it must come for the rule to be checked. A rule of Level::kContract also needs the
// contract to be there.
enum class Needs {
  kNothing,
  kHandshake,  // one that a host would take
  kReady,      // and a start that ends with SERVING
};

enum class Verdict {
  kPassed,
  kFailed,
  kSkipped,  // there was nothing to check, for the reason in `seen`
};

struct Finding {
  Verdict verdict = Verdict::kPassed;
  std::string seen;  // what was seen, or why it was skipped; a note where it passed; may be empty

  Finding(Verdict is, std::string what) : verdict(is), seen(std::move(what)) {}
  // What a step of the check says is what was seen: lets RETURN_IF_ERROR end a check.
  Finding(const absl::Status& status)  // NOLINT(google-explicit-constructor)
      : verdict(status.ok() ? Verdict::kPassed : Verdict::kFailed), seen(status.message()) {}
};

inline Finding Passed(std::string note = "") { return {Verdict::kPassed, std::move(note)}; }
inline Finding Failed(std::string seen) { return {Verdict::kFailed, std::move(seen)}; }
inline Finding Skipped(std::string why) { return {Verdict::kSkipped, std::move(why)}; }

class Bench;

struct Rule {
  std::string_view id;  // also its anchor on the page
  Level level;
  Needs needs;
  std::string_view text;  // one sentence about the plugin
  Finding (*check)(Bench&);
};

// Rules that are checked one after another on one bench, and so on one plugin process where that
// does them no harm; groups are checked at the same time.
std::span<const Rule> HandshakeRules();
std::span<const Rule> StartRules();
std::span<const Rule> OutputRules();
std::span<const Rule> ServingRules();
std::span<const Rule> NegotiateRules();
std::span<const Rule> ConfigureRules();
std::span<const Rule> EndRules();

inline constexpr std::string_view kPage = "sdk/rules.md";

}  // namespace plugind::pluginctl::conformance
