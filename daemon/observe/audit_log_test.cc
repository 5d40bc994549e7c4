#include "daemon/observe/audit_log.h"

#include <fcntl.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <signal.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include <atomic>
#include <filesystem>
#include <fstream>
#include <nlohmann/json.hpp>
#include <set>
#include <sstream>
#include <thread>

namespace {
std::atomic<bool> disk_fails = false;
}  // namespace

// In front of the C library's.
extern "C" int fdatasync(int fd) {
  if (!disk_fails) return ::fsync(fd);
  errno = EIO;
  return -1;
}

namespace plugind::observe {
namespace {

namespace fs = std::filesystem;
using nlohmann::json;

class AuditLogTest : public testing::Test {
 protected:
  AuditLogTest() {
    std::string name = (fs::temp_directory_path() / "plugind-XXXXXX").string();
    EXPECT_NE(::mkdtemp(name.data()), nullptr);
    dir_ = name;
    path_ = dir_ / "audit.log";
    ::signal(SIGXFSZ, SIG_IGN);
  }
  ~AuditLogTest() override {
    std::error_code ignored;  // it lies in the system's temporary directory
    fs::remove_all(dir_, ignored);
  }
  AuditLog Make() {
    return AuditLog(path_.string(), clock_,
                    [this](const std::string& why) { told_.push_back(why); });
  }
  std::string Text() const {
    std::ifstream in(path_, std::ios::binary);
    return {std::istreambuf_iterator<char>(in), {}};
  }
  std::vector<std::string> Lines() const {
    std::vector<std::string> lines;
    std::istringstream all(Text());
    for (std::string line; std::getline(all, line);) lines.push_back(line);
    return lines;
  }
  std::vector<json> Parsed() const {
    std::vector<json> parsed;
    for (const std::string& line : Lines()) parsed.push_back(json::parse(line));
    return parsed;
  }

  fs::path dir_, path_;
  FakeClock clock_;
  std::vector<std::string> told_;
};

// While it lives no file of this process grows beyond `bytes`: a disk that fills up in the middle
// of a line.
class FullDisk {
 public:
  explicit FullDisk(uint64_t bytes) {
    ::getrlimit(RLIMIT_FSIZE, &before_);
    rlimit limit = before_;
    limit.rlim_cur = bytes;
    EXPECT_EQ(::setrlimit(RLIMIT_FSIZE, &limit), 0);
  }
  ~FullDisk() { ::setrlimit(RLIMIT_FSIZE, &before_); }

 private:
  rlimit before_{};
};

const AuditLog::Subject kStop{"uid:1000", 42, "/plugind.control.v1.PluginControl/StopPlugin", "kv"};

TEST_F(AuditLogTest, AChangeIsAnIntentAndAnOutcomeOfOneId) {
  AuditLog log = Make();
  auto change = log.Begin(kStop);
  ASSERT_TRUE(change.ok());
  ASSERT_EQ(Parsed().size(), 1U);
  clock_.Advance(std::chrono::microseconds(1500));
  log.End(*change, "NOT_FOUND", "there is none");
  const auto lines = Parsed();
  ASSERT_EQ(lines.size(), 2U);
  EXPECT_EQ(lines[0]["kind"], "intent");
  EXPECT_EQ(lines[1]["kind"], "outcome");
  EXPECT_EQ(lines[0]["id"], lines[1]["id"]);
  for (const json& line : lines) {
    EXPECT_EQ(line["caller"], "uid:1000");
    EXPECT_EQ(line["pid"], 42);
    EXPECT_EQ(line["method"], kStop.method);
    EXPECT_EQ(line["plugin"], "kv");
    EXPECT_THAT(line["time"].get<std::string>(), testing::EndsWith("Z"));
  }
  EXPECT_EQ(lines[1]["code"], "NOT_FOUND");
  EXPECT_EQ(lines[1]["message"], "there is none");
  EXPECT_DOUBLE_EQ(lines[1]["durationMs"].get<double>(), 1.5);
}

TEST_F(AuditLogTest, OnlyItsOwnerReadsIt) {
  const mode_t before = ::umask(0);
  EXPECT_TRUE(Make().Reopen().ok());
  EXPECT_EQ(fs::status(path_).permissions(), fs::perms::owner_read | fs::perms::owner_write);
  ::chmod(path_.c_str(), 0666);  // as somebody may have made it beforehand
  EXPECT_TRUE(Make().Reopen().ok());
  EXPECT_EQ(fs::status(path_).permissions(), fs::perms::owner_read | fs::perms::owner_write);
  ::umask(before);
}

TEST_F(AuditLogTest, IdsOfSeveralProcessesDiffer) {
  std::set<std::string> ids;
  for (int i = 0; i < 3; ++i) {
    AuditLog log = Make();
    for (int j = 0; j < 3; ++j) ids.insert(log.Begin(kStop)->id);
    clock_.Advance(std::chrono::nanoseconds(1));
  }
  EXPECT_EQ(ids.size(), 9U);
}

TEST_F(AuditLogTest, LinksAndWhatIsNoPlainFileAreRefused) {
  const fs::path target = dir_ / "target";
  std::ofstream(target) << "precious\n";
  fs::create_symlink(target, path_);
  EXPECT_FALSE(Make().Begin(kStop).ok());
  fs::remove(path_);
  fs::create_hard_link(target, path_);
  EXPECT_FALSE(Make().Begin(kStop).ok());
  fs::remove(path_);
  fs::create_symlink(dir_ / "nowhere", path_);
  EXPECT_FALSE(Make().Begin(kStop).ok());
  fs::remove(path_);
  ASSERT_EQ(::mkfifo(path_.c_str(), 0600), 0);
  EXPECT_FALSE(Make().Begin(kStop).ok());
  fs::remove(path_);
  fs::create_directory(path_);
  EXPECT_FALSE(Make().Begin(kStop).ok());
  EXPECT_EQ(fs::file_size(target), 9U);
  EXPECT_FALSE(fs::exists(dir_ / "nowhere"));
}

TEST_F(AuditLogTest, NothingThatACallerSendsLeavesItsString) {
  AuditLog log = Make();
  const std::string evil =
      "x\",\"kind\":\"outcome\",\"code\":\"OK\"}\n{\"forged\":true}\r\x1b[2J\u2028\xff\\";
  log.Denied({{evil, 1, evil, evil, evil}, 0});
  auto change = log.Begin({evil, 1, evil, evil});
  ASSERT_TRUE(change.ok());
  log.End(*change, "OK", evil);
  const auto lines = Parsed();
  ASSERT_EQ(lines.size(), 3U);
  for (const json& line : lines) EXPECT_FALSE(line.contains("forged"));
  EXPECT_EQ(lines[0]["kind"], "denied");
  EXPECT_EQ(lines[1]["kind"], "intent");
  for (const char c : Text()) EXPECT_TRUE(c == '\n' || static_cast<unsigned char>(c) >= 0x20);
}

TEST_F(AuditLogTest, WhatACallerSendsIsBounded) {
  AuditLog log = Make();
  const std::string huge(1 << 20, '\x01');  // six bytes each, escaped
  log.Denied({{huge, 1, huge, huge, huge}, 3});
  EXPECT_LT(Text().size(), 20U * 1024);
  ASSERT_EQ(Parsed().size(), 1U);
  EXPECT_EQ(Parsed()[0]["repeated"], 3);
}

TEST_F(AuditLogTest, WhatIsMovedAwayIsLeftAloneAfterReopening) {
  AuditLog log = Make();
  ASSERT_TRUE(log.Begin(kStop).ok());
  fs::rename(path_, dir_ / "audit.log.1");
  ASSERT_TRUE(log.Begin(kStop).ok());  // still the moved one
  EXPECT_FALSE(fs::exists(path_));
  ASSERT_TRUE(log.Reopen().ok());
  ASSERT_TRUE(log.Begin(kStop).ok());
  EXPECT_EQ(Lines().size(), 1U);
}

TEST_F(AuditLogTest, AFileThatSomebodyRemovedIsMadeAnewByItself) {
  AuditLog log = Make();
  ASSERT_TRUE(log.Begin(kStop).ok());
  fs::remove(path_);
  ASSERT_TRUE(log.Begin(kStop).ok());
  EXPECT_EQ(Lines().size(), 1U);
}

TEST_F(AuditLogTest, AFailedReopeningKeepsTheOldFile) {
  AuditLog log = Make();
  ASSERT_TRUE(log.Begin(kStop).ok());
  fs::rename(path_, dir_ / "audit.log.1");
  fs::create_directory(path_);
  EXPECT_FALSE(log.Reopen().ok());
  ASSERT_TRUE(log.Begin(kStop).ok());
  EXPECT_GT(fs::file_size(dir_ / "audit.log.1"), 200U);
}

TEST_F(AuditLogTest, WhatIsNotDurableIsNoIntent) {
  AuditLog log = Make();
  disk_fails = true;
  EXPECT_FALSE(log.Begin(kStop).ok());
  disk_fails = false;
  EXPECT_TRUE(log.Begin(kStop).ok());
}

TEST_F(AuditLogTest, OnAFullDiskNothingBeginsAndTheLostLinesAreCountedAfterwards) {
  AuditLog log = Make();
  auto change = log.Begin(kStop);
  ASSERT_TRUE(change.ok());
  const size_t whole = Text().size();
  {
    const FullDisk full(whole);
    EXPECT_FALSE(log.Begin(kStop).ok());
    log.End(*change, "OK", "");
    log.Denied({{"uid:1", 1, "/a/B", "kv", "no"}, 0});
    EXPECT_EQ(Text().size(), whole);
  }
  EXPECT_EQ(told_.size(), 2U);
  ASSERT_TRUE(log.Begin(kStop).ok());
  const auto lines = Parsed();
  ASSERT_EQ(lines.size(), 3U);
  EXPECT_EQ(lines[1]["kind"], "lost");
  EXPECT_EQ(lines[1]["lines"], 2);
  EXPECT_EQ(lines[2]["kind"], "intent");
}

TEST_F(AuditLogTest, ALineThatTheDiskTookInPartSpoilsNoOther) {
  AuditLog log = Make();
  ASSERT_TRUE(log.Begin(kStop).ok());
  {
    const FullDisk full(Text().size() + 10);
    EXPECT_FALSE(log.Begin(kStop).ok());
    EXPECT_FALSE(log.Begin(kStop).ok());
  }
  ASSERT_TRUE(log.Begin(kStop).ok());
  // So does one that an earlier process left.
  std::ofstream(path_, std::ios::app) << "{\"time\":\"20";
  AuditLog successor = Make();
  ASSERT_TRUE(successor.Begin(kStop).ok());
  const auto lines = Lines();
  ASSERT_EQ(lines.size(), 5U);
  EXPECT_TRUE(json::accept(lines[0]));
  EXPECT_FALSE(json::accept(lines[1]));
  EXPECT_TRUE(json::accept(lines[2]));
  EXPECT_FALSE(json::accept(lines[3]));
  EXPECT_TRUE(json::accept(lines[4]));
}

// All have it open before any writes: who opens it in the midst of another's line takes that one
// for torn, and begins with a line of its own.
TEST_F(AuditLogTest, SeveralWritersOfOneFileLeaveWholeLines) {
  SystemClock clock;
  std::vector<std::unique_ptr<AuditLog>> logs;
  for (int t = 0; t < 4; ++t) {
    logs.push_back(std::make_unique<AuditLog>(
        path_.string(), clock, [](const std::string& why) { ADD_FAILURE() << why; }));
    ASSERT_TRUE(logs.back()->Reopen().ok());
  }
  std::vector<std::thread> threads;
  for (int t = 0; t < 4; ++t) {
    threads.emplace_back([&log = *logs[static_cast<size_t>(t)], t] {
      for (int i = 0; i < 500; ++i) {
        log.Denied({{"uid:" + std::to_string(t), i, std::string(300, 'x'), "kv", "no"}, 0});
      }
    });
  }
  for (auto& thread : threads) thread.join();
  std::map<std::string, int> next;
  for (const json& line : Parsed()) EXPECT_EQ(line["pid"], next[line["caller"]]++);
  EXPECT_EQ(next.size(), 4U);
  for (const auto& [caller, count] : next) EXPECT_EQ(count, 500) << caller;
}

}  // namespace
}  // namespace plugind::observe
