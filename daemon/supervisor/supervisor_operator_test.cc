// What operators decide: kept on disk first, and stronger than every automatic rule.

#include <filesystem>
#include <string>
#include <vector>

#include "daemon/supervisor/testing/core_fixture.h"
#include "daemon/supervisor/testing/failing_disk.h"

namespace plugind::supervisor {
namespace {

using std::chrono::seconds;
using testing::ElementsAre;
using testing::HasSubstr;

class OperatorTest : public CoreTest {};

TEST_F(OperatorTest, AStopOutlivesPlugindAndTheWholeDaemon) {
  Add("kv");
  Add("web");
  Boot();
  ASSERT_TRUE(supervisor().StopPlugin("kv").ok());
  Settle();
  KillPlugind();
  Boot();
  EXPECT_EQ(StateOf("kv"), "STOPPED");
  EXPECT_EQ(ReasonOf("kv"), "stopped by an operator");
  EXPECT_FALSE(Status("kv").wanted);
  EXPECT_EQ(StateOf("web"), "READY");

  // The keeper ended too: nothing is left but the disk.
  keeper.records().clear();
  keeper.fds().clear();
  keeper.Exit("web", {});
  KillPlugind();
  Boot();
  EXPECT_EQ(StateOf("kv"), "STOPPED");
  EXPECT_EQ(ReasonOf("kv"), "stopped by an operator");
  ASSERT_TRUE(supervisor().StartPlugin("kv").ok());
  Settle();
  EXPECT_EQ(StateOf("kv"), "READY");
}

TEST_F(OperatorTest, AStopBeatsRestartAlways) {
  Add("kv").restart = config::Restart::kAlways;
  Boot();
  ASSERT_TRUE(supervisor().StopPlugin("kv").ok());
  Advance(std::chrono::hours(2));
  EXPECT_EQ(StateOf("kv"), "STOPPED");
  EXPECT_EQ(keeper.spawns("kv"), 1);
}

TEST_F(OperatorTest, AStopThatWasDecidedButNotCarriedOutIsCarriedOutByTheNextPlugind) {
  BootWith("kv");
  keeper.KillPlugindAfter(Now());
  EXPECT_THROW((void)supervisor().StopPlugin("kv"), PlugindKilled);
  KillPlugind();
  Boot();
  EXPECT_EQ(StateOf("kv"), "STOPPED");
  EXPECT_EQ(keeper.process_count(), 0U);
}

TEST_F(OperatorTest, AStartThatWasDecidedButNotCarriedOutIsCarriedOutByTheNextPlugind) {
  BootWith("kv");
  ASSERT_TRUE(supervisor().StopPlugin("kv").ok());
  Settle();
  keeper.KillPlugindAfter(Now());
  EXPECT_THROW((void)supervisor().StartPlugin("kv"), PlugindKilled);
  KillPlugind();
  Boot();
  EXPECT_EQ(StateOf("kv"), "READY");
}

TEST_F(OperatorTest, DisableAndEnableBeatTheFileAndArePersisted) {
  Add("kv");
  Add("off").enabled = false;
  Boot();
  EXPECT_EQ(StateOf("off"), "STOPPED");
  EXPECT_EQ(ReasonOf("off"), "disabled");
  EXPECT_FALSE(Status("off").enabled);
  ASSERT_TRUE(supervisor().EnablePlugin("off").ok());
  ASSERT_TRUE(supervisor().DisablePlugin("kv").ok());
  Settle();
  for (int i = 0; i < 2; ++i) {
    EXPECT_EQ(StateOf("off"), "READY");
    EXPECT_TRUE(Status("off").enabled);
    EXPECT_EQ(StateOf("kv"), "STOPPED");
    EXPECT_FALSE(Status("kv").enabled);
    KillPlugind();
    Boot();
  }
  EXPECT_EQ(keeper.spawns("off"), 1);
}

TEST_F(OperatorTest, ADisabledPluginIsNotStartedAndTheErrorSaysWhatToDo) {
  Add("off").enabled = false;
  Boot();
  for (const absl::Status& status :
       {supervisor().StartPlugin("off"), supervisor().RestartPlugin("off")}) {
    EXPECT_EQ(status.code(), absl::StatusCode::kFailedPrecondition);
    EXPECT_EQ(supervisor::ReasonOf(status), "PLUGIN_DISABLED");
    EXPECT_THAT(std::string(Message(status)), HasSubstr("pluginctl enable off"));
  }
  Settle();
  EXPECT_EQ(StateOf("off"), "STOPPED");
}

TEST_F(OperatorTest, AnUnknownPluginIsNotFound) {
  BootWith("kv");
  for (const absl::Status& status :
       {supervisor().StartPlugin("kw"), supervisor().StopPlugin("kw"),
        supervisor().RestartPlugin("kw"), supervisor().EnablePlugin("kw"),
        supervisor().DisablePlugin("kw"), supervisor().Get("kw").status()}) {
    EXPECT_EQ(status.code(), absl::StatusCode::kNotFound);
    EXPECT_EQ(supervisor::ReasonOf(status), "PLUGIN_NOT_FOUND");
  }
  EXPECT_EQ(supervisor().Log("kw"), nullptr);
}

TEST_F(OperatorTest, ADecisionThatCannotBeStoredIsNotCarriedOut) {
  Add("kv");
  Add("off").enabled = false;
  Boot();
  std::filesystem::rename(directories.state, directories.state + ".away");
  const size_t begin = Now();
  for (const absl::Status& status :
       {supervisor().StopPlugin("kv"), supervisor().DisablePlugin("kv"),
        supervisor().EnablePlugin("off")}) {
    EXPECT_FALSE(status.ok());
    EXPECT_EQ(supervisor::ReasonOf(status), "STATE_NOT_SAVED");
    EXPECT_THAT(std::string(Message(status)), HasSubstr("nothing was done"));
  }
  Settle();
  EXPECT_EQ(StateOf("kv"), "READY");
  EXPECT_EQ(StateOf("off"), "STOPPED");
  EXPECT_EQ(Now(), begin);
  std::filesystem::rename(directories.state + ".away", directories.state);
  KillPlugind();
  Boot();
  EXPECT_EQ(StateOf("kv"), "READY");
  EXPECT_EQ(StateOf("off"), "STOPPED");
}

TEST_F(OperatorTest, ADecisionThatOnlyAPowerFailureWouldUndoIsCarriedOutAndReported) {
  Add("kv");
  Add("off").enabled = false;
  Boot();
  {
    const FailingDisk disk;
    for (const absl::Status& status :
         {supervisor().StopPlugin("kv"), supervisor().EnablePlugin("off")}) {
      EXPECT_FALSE(status.ok());
      EXPECT_EQ(supervisor::ReasonOf(status), "STATE_NOT_SAVED");
      EXPECT_THAT(std::string(Message(status)), HasSubstr("it was done, but a power failure"));
    }
    Settle();
  }
  // What is seen now is what a successor makes of the file.
  for (int i = 0; i < 2; ++i) {
    EXPECT_EQ(StateOf("kv"), "STOPPED");
    EXPECT_EQ(StateOf("off"), "READY");
    KillPlugind();
    Boot();
  }
}

TEST_F(OperatorTest, StartingWhatRunsAndStoppingWhatIsStoppedChangesNothing) {
  BootWith("kv");
  const std::string instance = Status("kv").instance;
  ASSERT_TRUE(supervisor().StartPlugin("kv").ok());
  Settle();
  EXPECT_EQ(Status("kv").instance, instance);
  ASSERT_TRUE(supervisor().StopPlugin("kv").ok());
  Settle();
  const size_t events = Events("kv").size();
  ASSERT_TRUE(supervisor().StopPlugin("kv").ok());
  Settle();
  EXPECT_EQ(Events("kv").size(), events);
}

TEST_F(OperatorTest, ARestartOfWhatIsStoppedIsAStart) {
  BootWith("kv");
  ASSERT_TRUE(supervisor().StopPlugin("kv").ok());
  Settle();
  ASSERT_TRUE(supervisor().RestartPlugin("kv").ok());
  Settle();
  EXPECT_EQ(StateOf("kv"), "READY");
  KillPlugind();
  Boot();
  EXPECT_EQ(StateOf("kv"), "READY");
}

TEST_F(OperatorTest, ARestartWhileStoppingTakesTheStopBack) {
  keeper.habits("kv").leaves_descendants = true;
  BootWith("kv");
  ASSERT_TRUE(supervisor().StopPlugin("kv").ok());
  Settle();
  ASSERT_TRUE(supervisor().RestartPlugin("kv").ok());
  Settle();
  keeper.Gone("kv");
  Settle();
  EXPECT_EQ(StateOf("kv"), "READY");
  EXPECT_TRUE(Status("kv").wanted);
}

}  // namespace
}  // namespace plugind::supervisor
