#include "daemon/observe/daemon_log.h"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <signal.h>
#include <sys/socket.h>
#include <unistd.h>

#include <nlohmann/json.hpp>
#include <regex>
#include <thread>

#include "daemon/base/unique_fd.h"
#include "daemon/observe/text.h"

namespace plugind::observe {
namespace {

class DaemonLogTest : public testing::Test {
 protected:
  DaemonLogTest() {
    int fds[2];
    EXPECT_EQ(::pipe2(fds, O_CLOEXEC), 0);
    read_.reset(fds[0]);
    write_.reset(fds[1]);
    EXPECT_EQ(::fcntl(read_.get(), F_SETFL, O_NONBLOCK), 0);
    ::signal(SIGPIPE, SIG_IGN);
  }
  std::string Written() const {
    std::string all;
    char buffer[65536];
    for (ssize_t n; (n = ::read(read_.get(), buffer, sizeof buffer)) > 0;) {
      all.append(buffer, static_cast<size_t>(n));
    }
    return all;
  }
  std::vector<std::string> Lines() const {
    std::vector<std::string> lines;
    std::istringstream all(Written());
    for (std::string line; std::getline(all, line);) lines.push_back(line);
    return lines;
  }

  UniqueFd read_;
  UniqueFd write_;
};

TEST_F(DaemonLogTest, WritesAJsonObjectALineWhereThereIsNoTerminal) {
  Logger log(Level::kInfo, LogFormat::kAuto, write_.get());
  const std::string name = "greeter";
  log.Warn("plugin died",
           {{"plugin", name}, {"pid", 42}, {"core", false}, {"bytes", 7U}, {"after", 0.5}});
  const std::string line = Written();
  EXPECT_TRUE(std::regex_match(
      line, std::regex(R"(\{"time":"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{6}Z","level":"warn",)"
                       R"("message":"plugin died","plugin":"greeter","pid":42,"core":false,)"
                       R"("bytes":7,"after":0\.5\}\n)")))
      << line;
}

TEST_F(DaemonLogTest, WritesTextForPeople) {
  Logger log(Level::kInfo, LogFormat::kText, write_.get());
  log.Info("plugin ready", {{"plugin", "greeter"}, {"reason", "two words"}, {"empty", ""}});
  const std::string line = Written();
  EXPECT_TRUE(std::regex_match(
      line, std::regex(R"(\S+Z INFO  plugin ready plugin=greeter reason="two words" empty=""\n)")))
      << line;
}

TEST_F(DaemonLogTest, NothingCanForgeALineOrAField) {
  const std::string evil =
      "x\n2026-11-20T09:11:21.123456Z ERROR forged pid=1 "
      "\"\\\r\x1b[2J\u2028\u202E\xFF\",\"level\":\"error";
  for (const LogFormat format : {LogFormat::kText, LogFormat::kJson}) {
    Logger log(Level::kInfo, format, write_.get());
    log.Info(evil, {{"reason", evil}, {"pid", 2}});
    const auto lines = Lines();
    ASSERT_EQ(lines.size(), 1U);
    EXPECT_EQ(Sanitized(lines[0]), lines[0]);
    if (format == LogFormat::kJson) {
      const auto parsed = nlohmann::json::parse(lines[0]);
      EXPECT_EQ(parsed.size(), 5U);
      EXPECT_EQ(parsed["level"], "info");
      EXPECT_EQ(parsed["pid"], 2);
      EXPECT_EQ(parsed["reason"], ValidUtf8(evil));
    } else {
      EXPECT_NE(lines[0].find(" reason=\"x\\n2026"), std::string::npos);
    }
  }
}

TEST_F(DaemonLogTest, TheLevelCanBeChangedWhileRunning) {
  Logger log(Level::kWarn, LogFormat::kText, write_.get());
  log.Info("no");
  log.SetLevel(Level::kTrace);
  EXPECT_EQ(log.level(), Level::kTrace);
  log.Trace("yes");
  log.SetLevel(Level::kError);
  log.Warn("no");
  log.Error("yes");
  EXPECT_EQ(Lines().size(), 2U);
}

TEST_F(DaemonLogTest, AFullPipeIsNotWaitedForAndWhatItMissedIsTold) {
  Logger log(Level::kInfo, LogFormat::kJson, write_.get());
  for (int i = 0; i < 3000; ++i)
    log.Info("line " + std::to_string(i), {{"padding", std::string(100, 'x')}});
  const uint64_t dropped = log.dropped_lines();
  EXPECT_GT(dropped, 0U);
  EXPECT_EQ(::fcntl(write_.get(), F_GETFL) & O_NONBLOCK, 0) << "others share this open file";

  std::string before = Written();
  log.Info("after");
  EXPECT_EQ(log.dropped_lines(), dropped);
  std::istringstream all(before + Written());
  uint64_t written = 0;
  uint64_t reported = 0;
  std::string last;
  for (std::string line; std::getline(all, line);) {
    const auto parsed = nlohmann::json::parse(line);
    last = parsed["message"];
    if (parsed.contains("lines")) {
      reported += parsed["lines"].get<uint64_t>();
    } else {
      ++written;
    }
  }
  EXPECT_EQ(written, 3001 - dropped);
  EXPECT_EQ(reported, dropped);
  EXPECT_EQ(last, "after");
}

TEST_F(DaemonLogTest, AClosedPipeIsSurvived) {
  Logger log(Level::kInfo, LogFormat::kJson, write_.get());
  read_.reset();
  log.Info("into the void");
  EXPECT_EQ(log.dropped_lines(), 1U);
}

TEST_F(DaemonLogTest, AnFdThatIsNotThereIsSurvived) {
  Logger log(Level::kInfo, LogFormat::kAuto, -1);
  log.Info("into the void");
  EXPECT_EQ(log.dropped_lines(), 1U);
}

TEST_F(DaemonLogTest, AFullSocketIsNotWaitedFor) {
  int fds[2];
  ASSERT_EQ(::socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, fds), 0);
  UniqueFd ours(fds[0]);
  UniqueFd theirs(fds[1]);
  Logger log(Level::kInfo, LogFormat::kJson, ours.get());
  for (int i = 0; i < 10000; ++i) log.Info("line", {{"padding", std::string(200, 'x')}});
  EXPECT_GT(log.dropped_lines(), 0U);
}

TEST_F(DaemonLogTest, AFileIsSharedWithItsOtherWriters) {
  const std::string path = testing::TempDir() + "/daemon-log-" + std::to_string(::getpid());
  UniqueFd file(::open(path.c_str(), O_CREAT | O_TRUNC | O_RDWR | O_CLOEXEC, 0600));
  ASSERT_TRUE(file.valid());
  Logger log(Level::kInfo, LogFormat::kText, file.get());
  log.Info("ours");
  ASSERT_EQ(::write(file.get(), "theirs\n", 7), 7);
  log.Info("ours again");
  char buffer[1024];
  const ssize_t size = ::pread(file.get(), buffer, sizeof buffer, 0);
  ::unlink(path.c_str());
  const std::string text(buffer, static_cast<size_t>(size));
  EXPECT_TRUE(
      std::regex_match(text, std::regex("\\S+ INFO  ours\ntheirs\n\\S+ INFO  ours again\n")))
      << text;
}

TEST_F(DaemonLogTest, LinesOfSeveralThreadsDoNotMix) {
  ASSERT_GE(::fcntl(write_.get(), F_SETPIPE_SZ, 1 << 20), 1 << 20);
  Logger log(Level::kInfo, LogFormat::kJson, write_.get());
  std::vector<std::thread> threads;
  for (int t = 0; t < 4; ++t) {
    threads.emplace_back([&log, t] {
      for (int i = 0; i < 500; ++i) log.Info("line", {{"thread", t}, {"i", i}});
    });
  }
  for (auto& thread : threads) thread.join();
  const auto lines = Lines();
  EXPECT_EQ(lines.size() + log.dropped_lines(), 2000U);
  for (const auto& line : lines) EXPECT_TRUE(nlohmann::json::accept(line)) << line;
}

}  // namespace
}  // namespace plugind::observe
