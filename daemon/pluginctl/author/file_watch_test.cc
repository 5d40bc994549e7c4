#include "daemon/pluginctl/author/file_watch.h"

#include <gmock/gmock.h>

#include <chrono>
#include <filesystem>
#include <fstream>

#include "daemon/pluginctl/author/scratch_folder.h"

namespace plugind::pluginctl {
namespace {

using ::testing::ElementsAre;
using ::testing::IsEmpty;
namespace fs = std::filesystem;

class FileWatchTest : public ::testing::Test {
 protected:
  std::string Path(const std::string& name) const { return folder_->path() + '/' + name; }

  void Write(const std::string& name, const std::string& text) {
    std::ofstream(Path(name)) << text;
  }

  // Until something has changed, or for so long.
  std::set<std::string> Await(std::chrono::milliseconds longest = std::chrono::seconds(5)) {
    changed_.clear();
    const Instant end = clock_.Now() + longest;
    // A round that runs a deadline sleeps after it.
    while (changed_.empty() && clock_.Now() < end) loop_.RunOnce(std::chrono::milliseconds(20));
    return changed_;
  }

  absl::StatusOr<ScratchFolder> folder_ = ScratchFolder::Make();
  SystemClock clock_;
  EventLoop loop_{clock_};
  std::set<std::string> changed_;
  FileWatch watch_{loop_, [this](const std::set<std::string>& paths) { changed_ = paths; }};
};

TEST_F(FileWatchTest, TellsOnceOfAFileThatIsWrittenInSteps) {
  Write("a", "1");
  ASSERT_TRUE(watch_.Add(Path("a")).ok());
  std::ofstream file(Path("a"));
  for (int i = 0; i < 3; ++i) file << i << std::flush;
  file.close();
  EXPECT_THAT(Await(), ElementsAre(Path("a")));
  EXPECT_THAT(Await(std::chrono::milliseconds(300)), IsEmpty());
}

TEST_F(FileWatchTest, TellsOfAFileThatTakesThePlaceOfAnother) {
  Write("a", "1");
  ASSERT_TRUE(watch_.Add(Path("a")).ok());
  Write("b", "1");
  fs::rename(Path("b"), Path("a"));
  EXPECT_THAT(Await(), ElementsAre(Path("a")));
}

TEST_F(FileWatchTest, AFileThatVanishesIsNoChangeButItsReturnIs) {
  Write("a", "1");
  ASSERT_TRUE(watch_.Add(Path("a")).ok());
  fs::remove(Path("a"));
  EXPECT_THAT(Await(std::chrono::milliseconds(300)), IsEmpty());
  Write("a", "1");
  EXPECT_THAT(Await(), ElementsAre(Path("a")));
}

TEST_F(FileWatchTest, AFolderThatIsMadeAnewIsWatchedAgain) {
  fs::create_directory(Path("build"));
  Write("build/a", "1");
  ASSERT_TRUE(watch_.Add(Path("build/a")).ok());
  fs::remove_all(Path("build"));
  fs::create_directory(Path("build"));
  Write("build/a", "2");
  EXPECT_THAT(Await(), ElementsAre(Path("build/a")));
  Write("build/a", "33");
  EXPECT_THAT(Await(), ElementsAre(Path("build/a")));
}

TEST_F(FileWatchTest, WhatALinkLeadsToCounts) {
  fs::create_directory(Path("build"));
  Write("build/a", "1");
  fs::create_symlink("build/a", Path("link"));
  ASSERT_TRUE(watch_.Add(Path("link")).ok());
  Write("build/a", "22");
  EXPECT_THAT(Await(), ElementsAre(Path("link")));
}

TEST_F(FileWatchTest, FilesOfASuffixAreToldByTheirOwnNames) {
  ASSERT_TRUE(watch_.AddSuffix(folder_->path(), ".py").ok());
  Write("x.txt", "1");
  Write(".hidden.py", "1");
  EXPECT_THAT(Await(std::chrono::milliseconds(300)), IsEmpty());
  Write("x.py", "1");
  EXPECT_THAT(Await(), ElementsAre(Path("x.py")));
}

TEST_F(FileWatchTest, AFolderThatIsNotThereIsAnError) {
  EXPECT_FALSE(watch_.Add(Path("none/a")).ok());
}

}  // namespace
}  // namespace plugind::pluginctl
