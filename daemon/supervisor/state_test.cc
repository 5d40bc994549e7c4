#include "daemon/supervisor/state.h"

#include <gtest/gtest.h>

#include <map>
#include <set>
#include <string>
#include <vector>

namespace plugind::supervisor {
namespace {

std::vector<State> AllStates() {
  std::vector<State> all;
  for (auto i = static_cast<uint8_t>(kFirstState); i <= static_cast<uint8_t>(kLastState); ++i) {
    all.push_back(static_cast<State>(i));
  }
  return all;
}

std::vector<Input> AllInputs() {
  std::vector<Input> all;
  for (auto i = static_cast<uint8_t>(kFirstInput); i <= static_cast<uint8_t>(kLastInput); ++i) {
    all.push_back(static_cast<Input>(i));
  }
  return all;
}

bool IsEnd(Input input) { return input >= Input::kEndedStopped && input <= Input::kEndedFailed; }

// What a reader of the architecture page would write down: for each input, where it leads from each
// state. "=": expected, nothing changes. "!": cannot happen. The columns are the states in their
// order.
struct Row {
  Input input;
  std::vector<std::string> from;
};

const std::vector<std::string> kColumns = {"STOPPED",     "WAITING",  "STARTING", "READY",
                                           "UNREADY",     "DRAINING", "STOPPING", "BACKOFF",
                                           "QUARANTINED", "FAILED"};

// clang-format off
const std::vector<Row> kExpected = {
//                       STOPPED    WAITING     STARTING       READY          UNREADY        DRAINING       STOPPING       BACKOFF    QUARANTINED FAILED
{Input::kStart,            {"WAITING", "=",        "=",           "=",           "=",           "=",           "=",           "WAITING", "WAITING", "WAITING"}},
{Input::kStop,             {"=",       "STOPPED",  "STOPPING",    "DRAINING",    "DRAINING",    "=",           "=",           "STOPPED", "STOPPED", "STOPPED"}},
{Input::kAdmitted,         {"!",       "STARTING", "!",           "!",           "!",           "!",           "!",           "!",       "!",       "!"}},
{Input::kServing,          {"!",       "!",        "READY",       "=",           "READY",       "=",           "=",           "!",       "!",       "!"}},
{Input::kNotServing,       {"!",       "!",        "=",           "UNREADY",     "=",           "=",           "=",           "!",       "!",       "!"}},
{Input::kStartFailed,      {"!",       "!",        "STOPPING",    "!",           "!",           "!",           "=",           "!",       "!",       "!"}},
{Input::kUnhealthy,        {"!",       "!",        "STOPPING",    "STOPPING",    "STOPPING",    "STOPPING",    "=",           "!",       "!",       "!"}},
{Input::kDrained,          {"!",       "!",        "!",           "!",           "!",           "STOPPING",    "=",           "!",       "!",       "!"}},
{Input::kExited,           {"!",       "!",        "STOPPING",    "STOPPING",    "STOPPING",    "STOPPING",    "=",           "!",       "!",       "!"}},
{Input::kEndedStopped,     {"!",       "!",        "STOPPED",     "STOPPED",     "STOPPED",     "STOPPED",     "STOPPED",     "!",       "!",       "!"}},
{Input::kEndedRestart,     {"!",       "!",        "WAITING",     "WAITING",     "WAITING",     "WAITING",     "WAITING",     "!",       "!",       "!"}},
{Input::kEndedBackoff,     {"!",       "!",        "BACKOFF",     "BACKOFF",     "BACKOFF",     "BACKOFF",     "BACKOFF",     "!",       "!",       "!"}},
{Input::kEndedQuarantined, {"!",       "!",        "QUARANTINED", "QUARANTINED", "QUARANTINED", "QUARANTINED", "QUARANTINED", "!",       "!",       "!"}},
{Input::kEndedFailed,      {"!",       "!",        "FAILED",      "FAILED",      "FAILED",      "FAILED",      "FAILED",      "!",       "!",       "!"}},
{Input::kRetryDue,         {"!",       "!",        "!",           "!",           "!",           "!",           "!",           "WAITING", "WAITING", "!"}},
};
// clang-format on

TEST(StateTest, EveryPairOfStateAndInputHasTheAnswerWrittenDown) {
  ASSERT_EQ(kExpected.size(), AllInputs().size());
  std::set<Input> written;
  for (const Row& row : kExpected) {
    written.insert(row.input);
    ASSERT_EQ(row.from.size(), kColumns.size()) << ToString(row.input);
    for (size_t i = 0; i < kColumns.size(); ++i) {
      const State state = AllStates()[i];
      ASSERT_EQ(ToString(state), kColumns[i]);
      const Step step = Transition(state, row.input);
      const std::string& expected = row.from[i];
      const std::string pair = kColumns[i] + " × " + std::string(ToString(row.input));
      if (expected == "=") {
        EXPECT_EQ(step, (Step{Step::Verdict::kStay, state})) << pair;
      } else if (expected == "!") {
        EXPECT_EQ(step, (Step{Step::Verdict::kInvalid, state})) << pair;
      } else {
        EXPECT_EQ(step.verdict, Step::Verdict::kMove) << pair;
        EXPECT_EQ(ToString(step.next), expected) << pair;
      }
    }
  }
  EXPECT_EQ(written.size(), AllInputs().size());
}

TEST(StateTest, NoMoveLeadsBackToItsOwnState) {
  for (const State state : AllStates()) {
    for (const Input input : AllInputs()) {
      const Step step = Transition(state, input);
      if (step.verdict == Step::Verdict::kMove) {
        EXPECT_NE(step.next, state) << ToString(state) << " × " << ToString(input);
      } else {
        EXPECT_EQ(step.next, state) << ToString(state) << " × " << ToString(input);
      }
    }
  }
}

TEST(StateTest, AnEndOfTheProcessLeadsOutOfExactlyTheStatesThatHaveOne) {
  for (const State state : AllStates()) {
    for (const Input input : AllInputs()) {
      if (!IsEnd(input)) continue;
      const Step step = Transition(state, input);
      EXPECT_EQ(step.verdict == Step::Verdict::kMove, HasProcess(state))
          << ToString(state) << " × " << ToString(input);
      EXPECT_EQ(step.verdict == Step::Verdict::kInvalid, !HasProcess(state));
      if (step.verdict == Step::Verdict::kMove) {
        EXPECT_FALSE(HasProcess(step.next)) << ToString(state) << " × " << ToString(input);
      }
    }
  }
}

TEST(StateTest, OnlyAdmissionBeginsAProcessAndOnlyItsEndIsTheEndOfIt) {
  for (const State state : AllStates()) {
    for (const Input input : AllInputs()) {
      const Step step = Transition(state, input);
      if (step.verdict != Step::Verdict::kMove || HasProcess(state) == HasProcess(step.next)) {
        continue;
      }
      EXPECT_TRUE(IsEnd(input) || input == Input::kAdmitted)
          << ToString(state) << " × " << ToString(input);
    }
  }
}

TEST(StateTest, WhatIsWantedAndWhatIsNotIsAlwaysUnderstood) {
  for (const State state : AllStates()) {
    EXPECT_NE(Transition(state, Input::kStart).verdict, Step::Verdict::kInvalid) << ToString(state);
    EXPECT_NE(Transition(state, Input::kStop).verdict, Step::Verdict::kInvalid) << ToString(state);
  }
}

// The states that can be reached from `from` by `inputs`.
std::set<State> Reachable(State from, const std::vector<Input>& inputs) {
  std::set<State> seen = {from};
  std::vector<State> open = {from};
  while (!open.empty()) {
    const State state = open.back();
    open.pop_back();
    for (const Input input : inputs) {
      const Step step = Transition(state, input);
      if (step.verdict == Step::Verdict::kMove && seen.insert(step.next).second) {
        open.push_back(step.next);
      }
    }
  }
  return seen;
}

TEST(StateTest, WhateverHappenedAWantedPluginCanBecomeReady) {
  for (const State state : AllStates()) {
    const auto reached = Reachable(state, {Input::kStart, Input::kAdmitted, Input::kServing,
                                           Input::kDrained, Input::kEndedRestart});
    EXPECT_TRUE(reached.contains(State::kReady)) << ToString(state);
  }
}

TEST(StateTest, WhateverHappenedAnUnwantedPluginCanBecomeStopped) {
  for (const State state : AllStates()) {
    const auto reached =
        Reachable(state, {Input::kStop, Input::kDrained, Input::kExited, Input::kEndedStopped});
    EXPECT_TRUE(reached.contains(State::kStopped)) << ToString(state);
  }
}

TEST(StateTest, AFailedPluginLeavesThatStateOnlyWhenAsked) {
  for (const Input input : AllInputs()) {
    const bool leaves = Transition(State::kFailed, input).verdict == Step::Verdict::kMove;
    EXPECT_EQ(leaves, input == Input::kStart || input == Input::kStop) << ToString(input);
  }
}

TEST(StateTest, NothingBeginsServingOnceItsEndHasBegun) {
  for (const State state : {State::kDraining, State::kStopping}) {
    for (const Input input : AllInputs()) {
      const Step step = Transition(state, input);
      EXPECT_NE(step.next, State::kReady) << ToString(state) << " × " << ToString(input);
      EXPECT_NE(step.next, State::kStarting) << ToString(state) << " × " << ToString(input);
    }
  }
}

TEST(StateTest, EveryStatePhaseAndInputHasANameOfItsOwn) {
  std::set<std::string_view> names;
  for (const State state : AllStates()) names.insert(ToString(state));
  EXPECT_EQ(names.size(), AllStates().size());
  names.clear();
  for (const Input input : AllInputs()) names.insert(ToString(input));
  EXPECT_EQ(names.size(), AllInputs().size());
  EXPECT_FALSE(names.contains("unknown"));
  EXPECT_EQ(ToString(Phase::kNone), "");
  EXPECT_EQ(ToString(Phase::kSpawn), "spawn");
  EXPECT_EQ(ToString(Phase::kHandshake), "handshake");
  EXPECT_EQ(ToString(Phase::kConnect), "connect");
  EXPECT_EQ(ToString(Phase::kNegotiate), "negotiate");
  EXPECT_EQ(ToString(Phase::kConfigure), "configure");
  EXPECT_EQ(ToString(Phase::kWarmUp), "warm-up");
}

}  // namespace
}  // namespace plugind::supervisor
