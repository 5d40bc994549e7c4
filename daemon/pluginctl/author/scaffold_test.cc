#include "daemon/pluginctl/author/scaffold.h"

#include <gmock/gmock.h>

#include <filesystem>
#include <fstream>
#include <iterator>

#include "daemon/base/status.h"
#include "daemon/pluginctl/author/scratch_folder.h"

namespace plugind::pluginctl {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
namespace fs = std::filesystem;

class ScaffoldTest : public ::testing::Test {
 protected:
  ScaffoldTest() {
    fs::create_directories(root());
    Write("@snake@.proto.in", "package @snake@.v1; // @Name@ of @name@, @unknown@ @");
    Write("run.sh.in", "#!/bin/sh\n");
    fs::permissions(root() / "run.sh.in", fs::perms::owner_exec, fs::perm_options::add);
  }

  fs::path root() const { return fs::path(prefix()) / "share/plugind/templates/cpp"; }
  std::string prefix() const { return folder_->path() + "/usr"; }
  std::string target() const { return folder_->path() + "/word-count"; }
  Scaffold project() const { return {"cpp", "word-count", target(), prefix()}; }

  void Write(const std::string& name, const std::string& text) {
    std::ofstream(root() / name) << text;
  }

  absl::StatusOr<ScratchFolder> folder_ = ScratchFolder::Make();
};

TEST_F(ScaffoldTest, FillsNamesAndTextsAndKeepsWhatIsExecutable) {
  const auto made = MakeProject(project());
  ASSERT_TRUE(made.ok()) << made.status();
  EXPECT_THAT(*made, ElementsAre("run.sh", "word_count.proto"));
  std::ifstream file(target() + "/word_count.proto");
  EXPECT_EQ(std::string(std::istreambuf_iterator<char>(file), {}),
            "package word_count.v1; // WordCount of word-count, @unknown@ @");
  EXPECT_NE(fs::status(target() + "/run.sh").permissions() & fs::perms::owner_exec,
            fs::perms::none);
  EXPECT_EQ(fs::status(target() + "/word_count.proto").permissions() & fs::perms::owner_exec,
            fs::perms::none);
}

TEST_F(ScaffoldTest, TakesAnEmptyFolderAndNoOther) {
  fs::create_directories(target());
  EXPECT_TRUE(MakeProject(project()).ok());
  const auto again = MakeProject(project());
  EXPECT_THAT(std::string(Message(again.status())), HasSubstr("is there and not empty"));
  fs::remove_all(target());
  std::ofstream(target()) << "a file";
  EXPECT_THAT(std::string(Message(MakeProject(project()).status())), HasSubstr("is no folder"));
}

TEST(ProjectNameTest, BecomesAnIdentifierEverywhere) {
  for (const char* good : {"a", "word-count", "kv2", "a-1"}) EXPECT_EQ(CheckProjectName(good), "");
  for (const char* bad : {"", "Word", "-a", "a-", "a--b", "1a", "a_b", "a.b", "a b", "ä"})
    EXPECT_THAT(CheckProjectName(bad), HasSubstr("no name for a plugin's project")) << bad;
  EXPECT_NE(CheckProjectName(std::string(41, 'a')), "");
  for (const char* taken : {"class", "grpc", "plugind", "import"})
    EXPECT_THAT(CheckProjectName(taken), HasSubstr("take another")) << taken;
}

}  // namespace
}  // namespace plugind::pluginctl
