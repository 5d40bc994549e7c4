#include "daemon/pluginctl/author/plugin_file.h"

#include <gmock/gmock.h>

#include <variant>

#include "daemon/config/document.h"

namespace plugind::pluginctl {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::Not;
using ::testing::SizeIs;

const PluginFileOptions kRun = {.command = {"/bin/plugin", "-v"}, .patient = false};

// The document's lines, as config reads them.
std::string Meaning(const std::string& text) {
  const auto document = config::ParseDocument(text);
  const auto* table = std::get_if<config::Table>(&document);
  return table == nullptr ? "broken" : config::ToToml(config::Value{{}, *table});
}

TEST(PluginFileTest, WithoutAFileOnlyTheCommandIsSaid) {
  const PrivateFile file = ComposePluginFile({}, kRun);
  EXPECT_THAT(file.problems, IsEmpty());
  EXPECT_EQ(Meaning(file.text), Meaning("command = ['/bin/plugin', '-v']\n[stop]\ndrain = '2s'\n"));
}

TEST(PluginFileTest, WhatTheAuthorWroteStaysOnItsLines) {
  const AuthorFile author = {"/p/x.toml",
                             "# first\n"
                             "command = [\n"
                             "  \"./other\", # ]\n"
                             "]\n"
                             "name = 'x'\n"
                             "restart = \"never\"\n"
                             "[config]\n"
                             "command = \"mine\"\n"};
  const PrivateFile file = ComposePluginFile(author, kRun);
  EXPECT_THAT(file.problems, IsEmpty());
  EXPECT_EQ(Meaning(file.text), Meaning("command = ['/bin/plugin', '-v']\nrestart = 'never'\n"
                                        "config.command = 'mine'\nstop.drain = '2s'\n"));
  EXPECT_EQ(InAuthorsWords("/q/x.toml:7:3: wrong", "/q/x.toml", author, file),
            "/p/x.toml:6:3: wrong");
  EXPECT_EQ(InAuthorsWords("/q/x.toml: wrong", "/q/x.toml", author, file), "/p/x.toml: wrong");
  EXPECT_EQ(InAuthorsWords("/q/y.toml:7:3: wrong", "/q/x.toml", author, file),
            "/q/y.toml:7:3: wrong");
}

TEST(PluginFileTest, RelativePathsStartAtTheAuthorsFile) {
  const AuthorFile author = {"/p/x.toml",
                             "working_directory = \"data\"\nconfig_schema = \"../x.json\"\n"};
  const PrivateFile file = ComposePluginFile(author, kRun);
  EXPECT_THAT(file.text, HasSubstr("working_directory = \"/p/data\""));
  EXPECT_THAT(file.text, Not(HasSubstr("\"data\"")));
  EXPECT_THAT(file.text, HasSubstr("config_schema = \"/x.json\""));
  EXPECT_THAT(file.text, Not(HasSubstr("..")));
}

TEST(PluginFileTest, ForADebuggerNothingIsEndedBecauseItTakesLong) {
  const AuthorFile author = {
      "/p/x.toml", "start_timeout = \"7s\"\n[health]\ninterval = \"7s\"\n\n[config]\na = 1\n"};
  const PrivateFile file = ComposePluginFile(author, {.command = {"/bin/plugin"}, .patient = true});
  EXPECT_THAT(file.problems, IsEmpty());
  EXPECT_THAT(Meaning(file.text), Not(HasSubstr("7s")));
  EXPECT_THAT(Meaning(file.text), HasSubstr("24h"));
  EXPECT_THAT(Meaning(file.text), HasSubstr("config = { a = 1 }"));
}

TEST(PluginFileTest, ItRunsAsWhoeverLooksOn) {
  const PrivateFile file = ComposePluginFile({"/p/x.toml", "user = 'u'\ngroup = 'g'\n"}, kRun);
  EXPECT_EQ(Meaning(file.text), Meaning(ComposePluginFile({}, kRun).text));
}

TEST(PluginFileTest, UnderADebuggerLimitsAreNotTheRelays) {
  const AuthorFile author = {"/p/x.toml", "[limits]\nnofile = 16\n"};
  const PrivateFile file = ComposePluginFile(author, {.command = {"/bin/plugin"}, .patient = true});
  EXPECT_THAT(Meaning(file.text), Not(HasSubstr("nofile")));
  EXPECT_THAT(Meaning(ComposePluginFile(author, kRun).text), HasSubstr("nofile"));
}

TEST(PluginFileTest, UnderADebuggerAutoMtlsIsNotPluginds) {
  const AuthorFile author = {"/p/x.toml", "auto_mtls = true\n[config]\nauto_mtls = 1\n"};
  const PrivateFile file = ComposePluginFile(author, {.command = {"/bin/plugin"}, .patient = true});
  EXPECT_THAT(Meaning(file.text), Not(HasSubstr("auto_mtls = true")));
  EXPECT_THAT(Meaning(file.text), HasSubstr("config = { auto_mtls = 1 }"));
  EXPECT_TRUE(WantsAutoMtls(author));
  EXPECT_FALSE(WantsAutoMtls({"/p/x.toml", "auto_mtls = false\n"}));
  EXPECT_FALSE(WantsAutoMtls({"/p/x.toml", "[config]\nauto_mtls = true\n"}));
  EXPECT_FALSE(WantsAutoMtls({}));
}

TEST(PluginFileTest, AKeyInSeveralPiecesIsRefusedWithItsPlace) {
  const AuthorFile author = {"/p/x.toml",
                             "health.interval = \"1s\"\nenv.A = \"1\"\nhealth.failures = 2\n"};
  const PrivateFile file = ComposePluginFile(author, {.command = {"/bin/plugin"}, .patient = true});
  ASSERT_THAT(file.problems, SizeIs(1));
  EXPECT_THAT(file.problems[0].ToString(), HasSubstr("/p/x.toml:1:1: cannot replace \"health\""));
}

TEST(PluginFileTest, ABrokenFileIsToldWithItsPlace) {
  const PrivateFile file = ComposePluginFile({"/p/x.toml", "a = 1\nb = = 2\n"}, kRun);
  ASSERT_THAT(file.problems, SizeIs(1));
  EXPECT_THAT(file.problems[0].ToString(), HasSubstr("/p/x.toml:2:"));
}

TEST(PluginFileTest, TheFilesOwnCommandStartsAtItsFolder) {
  EXPECT_THAT(CommandOf({"/p/x.toml", "command = [\"./bin/x\", \"-v\"]\n"}),
              ElementsAre("/p/bin/x", "-v"));
  EXPECT_THAT(CommandOf({"/p/x.toml", "command = [\"/bin/x\"]\n"}), ElementsAre("/bin/x"));
  EXPECT_THAT(CommandOf({"/p/x.toml", "[config]\n"}), IsEmpty());
}

TEST(PluginFileTest, ANameIsFoundForEveryProgram) {
  EXPECT_EQ(PluginNameFor({}, "/a/Word_Count.py"), "word_count");
  EXPECT_EQ(PluginNameFor({}, "/a/--x y--"), "x-y");
  EXPECT_EQ(PluginNameFor({}, "/a/___"), "plugin");
  EXPECT_EQ(PluginNameFor({"/p/kv.toml", ""}, "/a/b"), "kv");
  EXPECT_EQ(PluginNameFor({"/p/kv.toml", "name = \"other\"\n"}, "/a/b"), "other");
  EXPECT_EQ(PluginNameFor({}, std::string(100, 'a')).size(), 48U);
}

}  // namespace
}  // namespace plugind::pluginctl
