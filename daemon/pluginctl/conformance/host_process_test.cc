#include "daemon/pluginctl/conformance/host_process.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <signal.h>
#include <sys/prctl.h>

#include <filesystem>

namespace plugind::pluginctl::conformance {
namespace {

using ::testing::HasSubstr;

Deadline Soon() { return DeadlineAfter(std::chrono::seconds(20)); }

std::unique_ptr<HostProcess> Shell(const std::string& script) {
  Launch launch{.command = {"/bin/sh", "-c", script},
                .environment = {{"PATH", "/bin:/usr/bin"}, {"COLOUR", "green"}},
                .working_directory = "/",
                .folder = "/nowhere"};
  auto process = HostProcess::Start(launch);
  EXPECT_TRUE(process.ok()) << process.status();
  return process.ok() ? *std::move(process) : nullptr;
}

std::string End(HostProcess& process) {
  const auto ended = process.AwaitEnd(Soon());
  return ended ? ended->Words() : "still running";
}

bool Lives(pid_t pid) { return kill(pid, 0) == 0; }

TEST(HostProcessTest, LinesComeOneByOneAndTheLastMayHaveNoEnd) {
  const auto process = Shell("echo one; echo $COLOUR >&2; printf two");
  const auto one = process->NextLine(Soon());
  const auto two = process->NextLine(Soon());
  ASSERT_TRUE(one && two);
  EXPECT_EQ(one->text, "one");
  EXPECT_TRUE(one->whole);
  EXPECT_EQ(two->text, "two");
  EXPECT_FALSE(two->whole);
  EXPECT_FALSE(process->NextLine(Soon()).has_value());
  EXPECT_TRUE(process->AwaitSilence(Soon()));
  EXPECT_EQ(process->Stderr(), "green\n");
}

TEST(HostProcessTest, AnEndIsACodeOrASignal) {
  EXPECT_EQ(End(*Shell("exit 3")), "exit code 3");
  EXPECT_EQ(End(*Shell("kill -9 $$")), "SIGKILL");
}

TEST(HostProcessTest, AProgramThatIsNoneIsAnError) {
  const auto process = HostProcess::Start(
      {.command = {"/no/such"}, .environment = {}, .working_directory = "/", .folder = "/nowhere"});
  ASSERT_FALSE(process.ok());
  EXPECT_THAT(std::string(Message(process.status())), HasSubstr("/no/such"));
}

TEST(HostProcessTest, OnlyTheStandardStreamsAreOpen) {
  const auto process = Shell("exec ls /proc/self/fd");
  std::string all;
  while (const auto line = process->NextLine(Soon())) all += line->text + " ";
  EXPECT_EQ(all, "0 1 2 3 ");  // 3 is the folder that ls reads
}

TEST(HostProcessTest, DescendantsGoWithItEvenThoseThatHaveLeftItsSession) {
  auto process = Shell("setsid sleep 1000 & sleep 1000 & echo $!; wait");
  const pid_t plain = std::stoi(process->NextLine(Soon())->text);
  const pid_t shell = process->pid();
  EXPECT_TRUE(Lives(plain));
  process.reset();
  EXPECT_FALSE(Lives(plain));
  EXPECT_FALSE(Lives(shell));
}

TEST(HostProcessTest, TheHostsDeathLeavesThePluginAndItsEndIsSeen) {
  prctl(PR_SET_CHILD_SUBREAPER, 1);
  const auto process =
      Shell("host=$PPID; echo up; while [ -d /proc/$host ]; do sleep 0.01; done; exit 7");
  ASSERT_TRUE(process->NextLine(Soon()).has_value());
  process->KillHost();
  EXPECT_EQ(End(*process), "exit code 7");
}

TEST(HostProcessTest, OutputThatNobodyReadsFillsThePipe) {
  const auto process = Shell("sleep 0.05; head -c 200000 /dev/zero | tr '\\0' '\\n'; exit 5");
  process->StopReading();
  EXPECT_FALSE(process->AwaitEnd(DeadlineAfter(std::chrono::milliseconds(300))).has_value());
  process->GoOnReading();
  EXPECT_EQ(End(*process), "exit code 5");
}

TEST(HostProcessTest, OutputThatIsClosedIsABrokenPipe) {
  const auto process =
      Shell("read x < /proc/self/fd/0; trap '' PIPE; while echo x; do :; done 2>/dev/null; exit 6");
  process->CloseOutput();
  EXPECT_EQ(End(*process), "exit code 6");
}

}  // namespace
}  // namespace plugind::pluginctl::conformance
