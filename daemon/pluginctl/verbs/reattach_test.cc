#include <nlohmann/json.hpp>

#include "daemon/pluginctl/testing/daemon_test.h"

namespace plugind::pluginctl::testing {
namespace {

using ::testing::HasSubstr;

class ReattachTest : public DaemonTest {
 protected:
  void Add(const std::function<void(v1::Plugin&)>& change = {}) {
    daemon_.Add("kv", [&change](v1::Plugin& plugin) {
      plugin.set_protocol_version(5);
      plugin.set_direct_address("unix:/run/plugind/i/7f3a/p.sock");
      plugin.set_address("unix:/run/plugind/plugins/kv.sock");
      if (change) change(plugin);
    });
  }

  void ExpectRefused(const std::string& why, const std::vector<std::string>& options = {}) {
    std::vector<std::string> arguments = {"reattach", "kv"};
    arguments.insert(arguments.end(), options.begin(), options.end());
    const Result result = Ctl(arguments);
    EXPECT_EQ(result.code, 1);
    EXPECT_EQ(result.out, "");
    EXPECT_THAT(result.err, HasSubstr(why));
  }
};

TEST_F(ReattachTest, PrintsWhatGoPluginReads) {
  Add();
  const Result result = Ctl({"reattach", "kv"});
  EXPECT_EQ(result.code, 0);
  EXPECT_EQ(result.err, "");
  EXPECT_EQ(result.out, R"({"Protocol":"grpc","ProtocolVersion":5,"Pid":4242,"Test":true,)"
                        R"("Addr":{"Network":"unix","String":"/run/plugind/i/7f3a/p.sock"}})"
                        "\n");
}

TEST_F(ReattachTest, TerraformsFormIsAMapByProvider) {
  Add();
  const Result result = Ctl({"reattach", "kv", "--provider", "registry.example/acme/kv"});
  EXPECT_EQ(result.code, 0);
  const auto document = nlohmann::json::parse(result.out);
  ASSERT_EQ(document.size(), 1);
  EXPECT_EQ(document["registry.example/acme/kv"]["Pid"], 4242);
}

TEST_F(ReattachTest, ALoopbackAddressIsTcp) {
  Add([](v1::Plugin& plugin) { plugin.set_direct_address("127.0.0.1:10000"); });
  const auto document = nlohmann::json::parse(Ctl({"reattach", "kv"}).out);
  EXPECT_EQ(document["Addr"]["Network"], "tcp");
  EXPECT_EQ(document["Addr"]["String"], "127.0.0.1:10000");
}

TEST_F(ReattachTest, RefusesWhatDoesNotServe) {
  Add([](v1::Plugin& plugin) {
    plugin.set_state(v1::Plugin::BACKOFF);
    plugin.set_pid(0);
    plugin.set_reason("exited with code 3");
  });
  ExpectRefused("kv is BACKOFF (exited with code 3): there is no process that serves");
  daemon_.Move("kv", {.to = v1::Plugin::STARTING});
  ExpectRefused("kv is STARTING");
}

TEST_F(ReattachTest, UnderAutoMtlsTheWayIsThroughTheGateway) {
  Add([](v1::Plugin& plugin) { plugin.set_auto_mtls(true); });
  ExpectRefused("--gateway");
  const auto document = nlohmann::json::parse(Ctl({"reattach", "kv", "--gateway"}).out);
  EXPECT_EQ(document["Addr"]["String"], "/run/plugind/plugins/kv.sock");
}

TEST_F(ReattachTest, AGatewayThatDoesNotServeItYetIsSaid) {
  Add([](v1::Plugin& plugin) { plugin.clear_address(); });
  ExpectRefused("no address behind the gateway", {"--gateway"});
}

TEST_F(ReattachTest, AnUnknownPluginIsFour) { EXPECT_EQ(Ctl({"reattach", "kv"}).code, 4); }

}  // namespace
}  // namespace plugind::pluginctl::testing
