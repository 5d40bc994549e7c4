#include "daemon/supervisor/operator_state.h"

#include <gtest/gtest.h>
#include <signal.h>
#include <sys/resource.h>

#include <filesystem>
#include <nlohmann/json.hpp>
#include <optional>
#include <string>

#include "daemon/supervisor/testing/failing_disk.h"
#include "daemon/supervisor/testing/temp_dir.h"

namespace plugind::supervisor {
namespace {

constexpr Decision kStopped{.stopped = true, .enabled = std::nullopt};
constexpr Decision kDisabled{.stopped = false, .enabled = false};
constexpr Decision kEnabled{.stopped = false, .enabled = true};

OperatorState MustLoad(const TempDir& dir) {
  auto state = OperatorState::Load(dir.path());
  EXPECT_TRUE(state.ok()) << state.status();
  return *std::move(state);
}

// While it lives no file can grow: what a full disk is to a write, for root as well.
class FullDisk {
 public:
  FullDisk() {
    ::getrlimit(RLIMIT_FSIZE, &before_);
    handler_ = ::signal(SIGXFSZ, SIG_IGN);
    rlimit none = before_;
    none.rlim_cur = 0;
    EXPECT_EQ(::setrlimit(RLIMIT_FSIZE, &none), 0);
  }
  FullDisk(const FullDisk&) = delete;
  FullDisk& operator=(const FullDisk&) = delete;
  ~FullDisk() {
    ::setrlimit(RLIMIT_FSIZE, &before_);
    ::signal(SIGXFSZ, handler_);
  }

 private:
  rlimit before_{};
  void (*handler_)(int) = nullptr;
};

TEST(OperatorStateTest, NoFileIsNoDecision) {
  const TempDir dir;
  EXPECT_EQ(MustLoad(dir).Get("kv"), Decision{});
}

TEST(OperatorStateTest, ADecisionIsOnDiskWhenSetReturns) {
  const TempDir dir;
  OperatorState state = MustLoad(dir);
  ASSERT_TRUE(state.Set("kv", kStopped).ok());
  ASSERT_TRUE(state.Set("greeter", kDisabled).ok());
  ASSERT_TRUE(state.Set("wordcount", kEnabled).ok());
  EXPECT_EQ(state.Get("kv"), kStopped);

  const OperatorState successor = MustLoad(dir);
  EXPECT_EQ(successor.Get("kv"), kStopped);
  EXPECT_EQ(successor.Get("greeter"), kDisabled);
  EXPECT_EQ(successor.Get("wordcount"), kEnabled);
  EXPECT_EQ(successor.Get("other"), Decision{});
}

TEST(OperatorStateTest, ADecisionTakenBackLeavesNothingBehind) {
  const TempDir dir;
  OperatorState state = MustLoad(dir);
  ASSERT_TRUE(state.Set("kv", kStopped).ok());
  ASSERT_TRUE(state.Set("kv", Decision{}).ok());
  EXPECT_EQ(state.Get("kv"), Decision{});
  EXPECT_TRUE(nlohmann::json::parse(dir.Read("state.json"))["plugins"].empty());
}

TEST(OperatorStateTest, ANameIsDataWhateverItContains) {
  const TempDir dir;
  OperatorState state = MustLoad(dir);
  const std::string name = "a\"b\\c\n/../ü";
  ASSERT_TRUE(state.Set(name, kStopped).ok());
  EXPECT_EQ(MustLoad(dir).Get(name), kStopped);
}

TEST(OperatorStateTest, NothingIsWrittenForADecisionThatStands) {
  const TempDir dir;
  OperatorState state = MustLoad(dir);
  ASSERT_TRUE(state.Set("kv", kStopped).ok());
  std::filesystem::remove(dir.Path("state.json"));
  EXPECT_TRUE(state.Set("kv", kStopped).ok());
  EXPECT_FALSE(dir.Has("state.json"));
}

TEST(OperatorStateTest, AFullDiskChangesNeitherMemoryNorFile) {
  const TempDir dir;
  OperatorState state = MustLoad(dir);
  ASSERT_TRUE(state.Set("kv", kStopped).ok());
  const std::string before = dir.Read("state.json");
  absl::Status status;
  {
    const FullDisk full;
    status = state.Set("kv", kDisabled);
  }
  EXPECT_FALSE(status.ok());
  EXPECT_NE(Message(status).find("cannot write " + dir.Path("state.json.new")), std::string::npos)
      << status;
  EXPECT_EQ(state.Get("kv"), kStopped);
  EXPECT_EQ(dir.Read("state.json"), before);
  // And the disk having room again, it works.
  EXPECT_TRUE(state.Set("kv", kDisabled).ok());
  EXPECT_EQ(MustLoad(dir).Get("kv"), kDisabled);
}

TEST(OperatorStateTest, ADecisionThatMayNotBeDurableIsAnErrorAndMemoryAgreesWithTheFile) {
  const TempDir dir;
  OperatorState state = MustLoad(dir);
  ASSERT_TRUE(state.Set("kv", kStopped).ok());
  {
    const FailingDisk disk;
    // Also when it is tried again, and nothing would have to be written.
    for (int i = 0; i < 2; ++i) {
      const absl::Status status = state.Set("kv", kDisabled);
      EXPECT_NE(Message(status).find("cannot fsync " + dir.path()), std::string::npos) << status;
      EXPECT_EQ(state.Get("kv"), kDisabled);
      EXPECT_EQ(MustLoad(dir).Get("kv"), kDisabled);
    }
  }
  EXPECT_TRUE(state.Set("kv", kDisabled).ok());
  std::filesystem::remove(dir.Path("state.json"));
  EXPECT_TRUE(state.Set("kv", kDisabled).ok());
  EXPECT_FALSE(dir.Has("state.json")) << "what is durable was written again";
}

TEST(OperatorStateTest, AFileThatCannotBeReplacedStaysAsItIs) {
  const TempDir dir;
  OperatorState state = MustLoad(dir);
  std::filesystem::create_directories(dir.Path("state.json/occupied"));
  const absl::Status status = state.Set("kv", kStopped);
  EXPECT_FALSE(status.ok());
  EXPECT_NE(Message(status).find("cannot rename"), std::string::npos) << status;
  EXPECT_EQ(state.Get("kv"), Decision{});
}

TEST(OperatorStateTest, ADirectoryThatIsGoneIsAnErrorThatNamesIt) {
  const TempDir dir;
  const std::string path = dir.Path("state");
  std::filesystem::create_directory(path);
  auto state = OperatorState::Load(path);
  ASSERT_TRUE(state.ok());
  std::filesystem::remove(path);
  const absl::Status status = state->Set("kv", kStopped);
  EXPECT_FALSE(status.ok());
  EXPECT_NE(Message(status).find(path), std::string::npos) << status;
  EXPECT_EQ(state->Get("kv"), Decision{});
  // Made again, it is used again.
  std::filesystem::create_directory(path);
  EXPECT_TRUE(state->Set("kv", kStopped).ok());
  EXPECT_EQ(state->Get("kv"), kStopped);
}

TEST(OperatorStateTest, WritesThroughNoLink) {
  const TempDir dir;
  const std::string victim = dir.Write("victim", "precious");
  std::filesystem::create_symlink(victim, dir.Path("state.json.new"));
  OperatorState state = MustLoad(dir);
  EXPECT_FALSE(state.Set("kv", kStopped).ok());
  EXPECT_EQ(dir.Read("victim"), "precious");
}

TEST(OperatorStateTest, WhatAKilledPlugindLeftHalfWrittenIsOverwritten) {
  const TempDir dir;
  dir.Write("state.json.new", "{\"version\":1,\"plugi");
  OperatorState state = MustLoad(dir);
  EXPECT_EQ(state.Get("kv"), Decision{});
  ASSERT_TRUE(state.Set("kv", kStopped).ok());
  EXPECT_EQ(MustLoad(dir).Get("kv"), kStopped);
}

TEST(OperatorStateTest, ADamagedFileIsDataLossAndIsNotTouched) {
  for (const std::string text :
       {"", "\n", "{", "[]", "null", "42", "{}", R"({"version":1})",
        R"({"version":2,"plugins":{}})", R"({"version":"1","plugins":{}})",
        R"({"version":1,"plugins":[]})", R"({"version":1,"plugins":{"kv":true}})",
        R"({"version":1,"plugins":{"kv":{"stopped":"yes"}}})",
        R"({"version":1,"plugins":{"kv":{"enabled":1}}})",
        R"({"version":1,"plugins":{"kv":{"stopped":null}}})",
        R"({"version":1,"plugins":{}}garbage)", "\xff\xfe{\"version\":1}"}) {
    const TempDir dir;
    dir.Write("state.json", text);
    const auto state = OperatorState::Load(dir.path());
    EXPECT_EQ(state.status().code(), absl::StatusCode::kDataLoss) << text;
    EXPECT_NE(Message(state.status()).find(dir.Path("state.json")), std::string::npos)
        << state.status();
    EXPECT_EQ(dir.Read("state.json"), text);
  }
}

TEST(OperatorStateTest, DeeplyNestedJsonIsSurvived) {
  const TempDir dir;
  dir.Write("state.json", std::string(1'000'000, '['));
  EXPECT_EQ(OperatorState::Load(dir.path()).status().code(), absl::StatusCode::kDataLoss);
}

TEST(OperatorStateTest, KeysOfALaterVersionAreNoDamage) {
  const TempDir dir;
  dir.Write("state.json",
            R"({"version":1,"plugins":{"kv":{"stopped":true,"note":"x"}},"more":[]})");
  EXPECT_EQ(MustLoad(dir).Get("kv"), kStopped);
}

TEST(OperatorStateTest, AnUnreadableFileIsNotTakenForAnEmptyOne) {
  const TempDir dir;
  std::filesystem::create_directory(dir.Path("state.json"));
  EXPECT_FALSE(OperatorState::Load(dir.path()).ok());
}

TEST(OperatorStateTest, ADamagedFileSetAsideIsKeptAndAllBeginsAnew) {
  const TempDir dir;
  dir.Write("state.json", "damaged");
  auto state = OperatorState::SetAsideAndBegin(dir.path());
  ASSERT_TRUE(state.ok()) << state.status();
  EXPECT_EQ(dir.Read("state.json.damaged"), "damaged");
  EXPECT_FALSE(dir.Has("state.json"));
  ASSERT_TRUE(state->Set("kv", kStopped).ok());
  EXPECT_EQ(MustLoad(dir).Get("kv"), kStopped);
}

TEST(OperatorStateTest, SettingAsideWhatIsNotThereIsAnError) {
  const TempDir dir;
  EXPECT_FALSE(OperatorState::SetAsideAndBegin(dir.path()).ok());
}

}  // namespace
}  // namespace plugind::supervisor
