#include "daemon/keeper/protocol.h"

#include <gtest/gtest.h>

#include <string>
#include <vector>

namespace plugind::keeper {
namespace {

SpawnSpec FullSpec() {
  SpawnSpec spec;
  spec.id = "7f3a";
  spec.plugin = "greeter";
  spec.path = "/usr/bin/greeter";
  spec.argv = {"greeter", "--verbose", ""};
  spec.env = {"LANG=C.UTF-8", "EMPTY="};
  spec.working_directory = "/tmp";
  spec.identity = Identity{1000, 1001, {1001, 4}};
  spec.nofile_limit = 4096;
  spec.core_limit = 1;
  return spec;
}

AdoptedReport Adopted() {
  AdoptedReport report;
  report.id = "1";
  report.plugin = "kv";
  report.pid = 42;
  report.exited = true;
  report.status = ExitStatus{0, 9, true, true};
  report.exited_at_ns = 123456789;
  report.gone = true;
  return report;
}

std::vector<std::string> EveryCommand() {
  SpawnSpec plain = FullSpec();
  plain.identity.reset();
  std::vector<Command> all = {SpawnCommand{FullSpec(), true},
                              SpawnCommand{plain, false},
                              SignalCommand{"a1", 15},
                              KillTreeCommand{"a1"},
                              ForgetCommand{"a1"},
                              PutRecordCommand{"plugin/greeter", std::string("\0\xff", 2)},
                              DropRecordCommand{"plugin/greeter"},
                              KeepFdCommand{"listener"},
                              DropFdCommand{"listener"},
                              BeginStopCommand{},
                              ReadyCommand{}};
  std::vector<std::string> bytes;
  for (const Command& command : all) bytes.push_back(Encode(command));
  return bytes;
}

std::vector<std::string> EveryReport() {
  Welcome welcome;
  welcome.stopping = true;
  welcome.generation = 7;
  welcome.cgroup = "/sys/fs/cgroup/x";
  std::vector<Report> all = {welcome,
                             Adopted(),
                             RecordReport{"plugin/greeter", "bytes"},
                             KeptFdReport{"listener"},
                             WelcomeEnd{},
                             SpawnedReport{"a1", 99},
                             SpawnFailedReport{"a1", SpawnStep::kIdentity, 1},
                             ExitedReport{"a1", ExitStatus{3, 0, false, false}, -1},
                             GoneReport{"a1"},
                             StuckReport{"a1", {1, 2, 3}}};
  std::vector<std::string> bytes;
  for (const Report& report : all) bytes.push_back(Encode(report));
  return bytes;
}

TEST(KeeperProtocolTest, EveryMessageSurvivesTheRoundTrip) {
  const auto commands = EveryCommand();
  const auto reports = EveryReport();
  ASSERT_EQ(commands.size(), std::variant_size_v<Command> + 1);
  ASSERT_EQ(reports.size(), std::variant_size_v<Report>);
  for (const auto& bytes : commands) {
    const auto command = DecodeCommand(bytes);
    ASSERT_TRUE(command) << int{bytes[0]};
    EXPECT_EQ(Encode(*command), bytes);
  }
  for (const auto& bytes : reports) {
    const auto report = DecodeReport(bytes);
    ASSERT_TRUE(report) << int{bytes[0]};
    EXPECT_EQ(Encode(*report), bytes);
  }
}

TEST(KeeperProtocolTest, FieldsArriveAsTheyWereSent) {
  const auto command = DecodeCommand(Encode(Command(SpawnCommand{FullSpec(), true})));
  ASSERT_TRUE(command);
  const auto& got = std::get<SpawnCommand>(*command);
  EXPECT_TRUE(got.has_executable);
  EXPECT_EQ(got.spec.argv, FullSpec().argv);
  EXPECT_EQ(got.spec.env, FullSpec().env);
  EXPECT_EQ(got.spec.identity, FullSpec().identity);
  EXPECT_EQ(got.spec.nofile_limit, 4096U);

  const auto report = DecodeReport(Encode(Report(Adopted())));
  ASSERT_TRUE(report);
  const auto& adopted = std::get<AdoptedReport>(*report);
  EXPECT_EQ(adopted.plugin, "kv");
  EXPECT_EQ(adopted.status, Adopted().status);
  EXPECT_EQ(adopted.exited_at_ns, 123456789);
}

TEST(KeeperProtocolTest, ATruncatedOrLongerMessageIsRefused) {
  for (const auto& bytes : EveryCommand()) {
    for (size_t size = 0; size < bytes.size(); ++size) {
      EXPECT_FALSE(DecodeCommand(bytes.substr(0, size))) << int{bytes[0]} << " cut at " << size;
    }
    EXPECT_FALSE(DecodeCommand(bytes + '\0'));
  }
  for (const auto& bytes : EveryReport()) {
    for (size_t size = 0; size < bytes.size(); ++size) {
      EXPECT_FALSE(DecodeReport(bytes.substr(0, size))) << int{bytes[0]} << " cut at " << size;
    }
    EXPECT_FALSE(DecodeReport(bytes + '\0'));
  }
}

TEST(KeeperProtocolTest, NeitherSideTakesTheOthersMessages) {
  for (const auto& bytes : EveryCommand()) EXPECT_FALSE(DecodeReport(bytes));
  for (const auto& bytes : EveryReport()) EXPECT_FALSE(DecodeCommand(bytes));
}

TEST(KeeperProtocolTest, ValuesOutsideTheirBoundsAreRefused) {
  const auto refused = [](const Command& command) { return !DecodeCommand(Encode(command)); };
  for (const std::string id : {"", "A", "a/b", "..", "0123456789012345678901234567890123"}) {
    EXPECT_TRUE(refused(KillTreeCommand{id})) << id;
  }
  EXPECT_TRUE(refused(PutRecordCommand{"", "x"}));
  EXPECT_TRUE(refused(PutRecordCommand{std::string(kMaxNameBytes + 1, 'n'), "x"}));
  EXPECT_FALSE(refused(PutRecordCommand{"n", std::string(kMaxRecordBytes, 'x')}));
  EXPECT_TRUE(refused(PutRecordCommand{"n", std::string(kMaxRecordBytes + 1, 'x')}));
  SpawnSpec spec = FullSpec();
  spec.path = "relative";
  EXPECT_TRUE(refused(SpawnCommand{spec, false}));
  spec = FullSpec();
  spec.argv.clear();
  EXPECT_TRUE(refused(SpawnCommand{spec, false}));
  spec = FullSpec();
  spec.env = {std::string("A=\0B", 4)};
  EXPECT_TRUE(refused(SpawnCommand{spec, false}));
  spec = FullSpec();
  spec.env = {std::string(kMaxMessageBytes, 'x')};
  EXPECT_TRUE(refused(SpawnCommand{spec, false}));
}

}  // namespace
}  // namespace plugind::keeper
