#include "daemon/config/sources.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <string>

#include "daemon/config/load.h"
#include "daemon/config/test_folder.h"

namespace plugind::config {
namespace {

using ::testing::IsEmpty;
using ::testing::SizeIs;

constexpr auto kCommand = "command = [\"./kv\"]\n";

class SourcesTest : public ::testing::Test {
 protected:
  SourcesTest() {
    folder_.Write("plugind.toml", "[daemon]\nlog_level = \"warn\"\n");
    folder_.Write("plugins.d/a.toml", kCommand);
    folder_.Write("plugins.d/b.toml", kCommand);
  }
  Sources Read() const { return ReadSources(folder_.Path("plugind.toml"), {}); }

  TestFolder folder_;
};

TEST_F(SourcesTest, LoadTheSameFromASnapshotThatOutlivedTheFiles) {
  const auto sources = Read();
  const auto expected = Load(sources);
  const auto snapshot = WriteSnapshot(sources);
  ASSERT_TRUE(snapshot.valid());
  folder_.Write("plugind.toml", "half an ed");

  Sources again;
  ASSERT_TRUE(ReadSnapshot(snapshot, &again));
  const auto loaded = Load(again);
  EXPECT_THAT(loaded.problems, IsEmpty());
  EXPECT_EQ(loaded.config.daemon, expected.config.daemon);
  EXPECT_EQ(loaded.config.plugins, expected.config.plugins);
}

TEST_F(SourcesTest, RefuseWhatIsNoSnapshot) {
  const auto snapshot = WriteSnapshot(Read());
  Sources again;
  EXPECT_FALSE(ReadSnapshot(UniqueFd(), &again));
  ASSERT_EQ(ftruncate(snapshot.get(), 20), 0);
  EXPECT_FALSE(ReadSnapshot(snapshot, &again));
  ASSERT_EQ(ftruncate(snapshot.get(), 0), 0);
  EXPECT_FALSE(ReadSnapshot(snapshot, &again));
}

TEST_F(SourcesTest, TakeOnePluginAsItIsElsewhere) {
  auto before = Read();
  folder_.Write("plugins.d/a.toml", "command = [\"./new\"]\n");
  folder_.Write("plugins.d/b.toml", "command = [\"./new\"]\n");
  before.TakePlugin(folder_.Path("plugins.d/a.toml"), Read());
  ASSERT_THAT(before.plugins, SizeIs(2));
  EXPECT_EQ(before.plugins[0].text, "command = [\"./new\"]\n");
  EXPECT_EQ(before.plugins[1].text, kCommand);
  before.TakePlugin(folder_.Path("plugins.d/a.toml"), Sources());
  ASSERT_THAT(before.plugins, SizeIs(1));
  EXPECT_EQ(before.plugins[0].path, folder_.Path("plugins.d/b.toml"));
}

}  // namespace
}  // namespace plugind::config
