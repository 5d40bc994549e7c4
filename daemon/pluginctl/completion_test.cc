// The completion files of deploy/completions: that each shell can read its own, that none has
// fallen behind pluginctl, and what bash and fish offer.
#include <fstream>
#include <iterator>
#include <regex>
#include <set>
#include <sstream>

#include "daemon/pluginctl/state.h"
#include "daemon/pluginctl/testing/daemon_test.h"

namespace plugind::pluginctl::testing {
namespace {

using ::testing::Contains;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::IsSupersetOf;
using ::testing::Not;
using ::testing::UnorderedElementsAre;

const std::string kFolder = PLUGIND_COMPLETIONS;

std::string ReadFile(const std::string& path) {
  std::ifstream file(path);
  return {std::istreambuf_iterator<char>(file), {}};
}

std::vector<std::string> Words(const std::string& text) {
  std::istringstream stream(text);
  return {std::istream_iterator<std::string>(stream), {}};
}

// The verbs, or the long options of one, as --help has them.
std::set<std::string> Offered(const std::vector<std::string>& arguments,
                              const std::string& pattern) {
  std::vector<std::string> help = arguments;
  help.emplace_back("--help");
  const std::string text = Pluginctl(help).out;
  const std::regex regex(pattern, std::regex::multiline);
  std::set<std::string> found;
  for (std::sregex_iterator each(text.begin(), text.end(), regex), end; each != end; ++each)
    found.insert((*each)[1]);
  return found;
}

// Each verb, and each verb of a group ("config show"), as the words that name it.
std::vector<std::vector<std::string>> AllVerbs() {
  const std::string pattern = "^  ([a-z]+)  ";
  std::vector<std::vector<std::string>> all;
  for (const std::string& verb : Offered({}, pattern)) {
    const std::set<std::string> group = Offered({verb}, pattern);
    for (const std::string& each : group) all.push_back({verb, each});
    if (group.empty()) all.push_back({verb});
  }
  return all;
}

class CompletionTest : public DaemonTest {
 protected:
  CompletionTest() {
    daemon_.Add("greeter");
    daemon_.Add("greeter-two");
    daemon_.Add("kv");
  }

  // What bash offers for the last of these words.
  std::vector<std::string> Bash(const std::vector<std::string>& words) {
    std::string script = "source " + kFolder + "/pluginctl.bash\nCOMP_WORDS=(" + PluginctlPath();
    for (const std::string& word : words) script += " '" + word + "'";
    script += ")\nCOMP_CWORD=" + std::to_string(words.size()) +
              "\n_pluginctl\nprintf '%s\\n' \"${COMPREPLY[@]}\"\n";
    const Result result = Process({"bash", "-euc", script}, Options()).Wait();
    EXPECT_EQ(result.code, 0) << result.err;
    EXPECT_EQ(result.err, "");
    return Words(result.out);
  }

  // What fish offers at the end of this line.
  std::vector<std::string> Fish(const std::string& line) {
    ProcessOptions options = Options();
    options.env["HOME"] = folder_;
    options.env["PATH"] =
        std::filesystem::path(PluginctlPath()).parent_path().string() + ":" + std::getenv("PATH");
    const Result result =
        Process({"fish", "-c",
                 "source " + kFolder + "/pluginctl.fish; complete -C '" + line + "' | cut -f1"},
                options)
            .Wait();
    return Words(result.out);
  }

  static bool Has(const std::string& shell) {
    return Process({"sh", "-c", "command -v " + shell}).Wait().code == 0;
  }
};

TEST_F(CompletionTest, EachShellReadsItsFile) {
  EXPECT_EQ(Process({"bash", "-n", kFolder + "/pluginctl.bash"}).Wait().code, 0);
  if (Has("zsh")) {
    EXPECT_EQ(Process({"zsh", "-n", kFolder + "/_pluginctl"}).Wait().code, 0);
  }
  if (Has("fish")) {
    EXPECT_EQ(Process({"fish", "--no-execute", kFolder + "/pluginctl.fish"}).Wait().code, 0);
  }
}

TEST_F(CompletionTest, NoFileHasFallenBehindTheProgram) {
  const std::vector<std::vector<std::string>> verbs = AllVerbs();
  ASSERT_THAT(
      verbs,
      IsSupersetOf({std::vector<std::string>{"status"}, {"config", "show"}, {"plugin", "test"}}));
  for (const std::string file : {"pluginctl.bash", "_pluginctl", "pluginctl.fish"}) {
    const std::string text = ReadFile(kFolder + "/" + file);
    ASSERT_NE(text, "");
    const bool fish = file == "pluginctl.fish";
    for (const std::string& state : StateNames()) EXPECT_THAT(text, HasSubstr(state)) << file;
    for (const std::vector<std::string>& words : verbs) {
      for (const std::string& word : words) EXPECT_THAT(text, HasSubstr(word)) << file;
      for (const std::string& option : Offered(words, "^  .*--([a-z-]+)")) {
        EXPECT_THAT(text, HasSubstr((fish ? "-l " : "--") + option))
            << file << ": " << words.back();
      }
    }
  }
}

TEST_F(CompletionTest, BashOffersExactlyTheOptionsOfEachVerb) {
  for (std::vector<std::string> words : AllVerbs()) {
    std::set<std::string> options = {"--socket"};
    for (const std::string& option : Offered(words, "^  .*--([a-z-]+)"))
      options.insert("--" + option);
    const std::string verb = words.back();
    words.emplace_back("--");
    const std::vector<std::string> offered = Bash(words);
    EXPECT_EQ(std::set<std::string>(offered.begin(), offered.end()), options) << verb;
  }
}

TEST_F(CompletionTest, BashOffersVerbsAndNames) {
  EXPECT_THAT(Bash({"sta"}), UnorderedElementsAre("status", "start"));
  EXPECT_THAT(Bash({"--s"}), ElementsAre("--socket"));
  EXPECT_THAT(Bash({"status", ""}), UnorderedElementsAre("greeter", "greeter-two", "kv"));
  EXPECT_THAT(Bash({"status", "kv", ""}), IsEmpty());
  EXPECT_THAT(Bash({"stop", "greeter", ""}), UnorderedElementsAre("greeter-two", "kv"));
  EXPECT_THAT(Bash({"stop", "--timeout", "5s", "gr"}),
              UnorderedElementsAre("greeter", "greeter-two"));
  EXPECT_THAT(Bash({"events", "--plugin", "k"}), ElementsAre("kv"));
  EXPECT_THAT(Bash({"events", ""}), IsEmpty());
  EXPECT_THAT(Bash({"config", ""}), UnorderedElementsAre("check", "show"));
  EXPECT_THAT(Bash({"plugin", ""}), UnorderedElementsAre("new", "run", "test"));
}

TEST_F(CompletionTest, BashOffersValues) {
  EXPECT_THAT(Bash({"status", "-o", "j"}), ElementsAre("json"));
  EXPECT_THAT(Bash({"status", "--output", "=", "t"}), ElementsAre("text"));
  EXPECT_THAT(Bash({"wait", "kv", "--for", "R"}), ElementsAre("READY"));
  EXPECT_THAT(Bash({"wait", "kv", "--for", "READY,FA"}), ElementsAre("READY,FAILED"));
  EXPECT_THAT(Bash({"wait", "kv", "--for", "="}), Contains("QUARANTINED"));
  EXPECT_THAT(Bash({"logs", "kv", "-n", ""}), IsEmpty());
  EXPECT_THAT(Bash({"plugin", "test", "-o", "j"}), UnorderedElementsAre("json", "junit"));
  EXPECT_THAT(Bash({"plugin", "test", "--only", "handshake-c"}), ElementsAre("handshake-core"));
}

TEST_F(CompletionTest, BashAsksTheSocketThatIsBeingTyped) {
  FakeDaemon other(folder_ + "/other.sock");
  other.Add("elsewhere");
  EXPECT_THAT(Bash({"--socket", other.socket(), "status", ""}), ElementsAre("elsewhere"));
  EXPECT_THAT(Bash({"--socket", "=", other.socket(), "status", ""}), ElementsAre("elsewhere"));
  EXPECT_THAT(Bash({"--socket", "/none", "status", ""}), IsEmpty());
}

TEST_F(CompletionTest, FishOffersVerbsNamesAndStates) {
  if (!Has("fish")) GTEST_SKIP() << "no fish";
  EXPECT_THAT(Fish("pluginctl sta"), UnorderedElementsAre("status", "start"));
  EXPECT_THAT(Fish("pluginctl status "), UnorderedElementsAre("greeter", "greeter-two", "kv"));
  EXPECT_THAT(Fish("pluginctl status kv "), Not(Contains("greeter")));
  EXPECT_THAT(Fish("pluginctl stop greeter "), UnorderedElementsAre("greeter-two", "kv"));
  EXPECT_THAT(Fish("pluginctl wait kv --for "), IsSupersetOf({"READY", "FAILED"}));
  EXPECT_THAT(Fish("pluginctl wait kv --for READY,FA"), ElementsAre("READY,FAILED"));
  EXPECT_THAT(Fish("pluginctl config "), UnorderedElementsAre("check", "show"));
}

TEST_F(CompletionTest, NamesAreGivenUpQuicklyAndWithoutAWord) {
  const Result result = Pluginctl({"--socket", folder_ + "/none", "__complete", "plugins"});
  EXPECT_EQ(result.code, 5);
  EXPECT_EQ(result.out + result.err, "");
}

}  // namespace
}  // namespace plugind::pluginctl::testing
