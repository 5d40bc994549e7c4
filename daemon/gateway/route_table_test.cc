#include "daemon/gateway/route_table.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace plugind::gateway {
namespace {

using testing::HasSubstr;

class DenialTest : public testing::Test {
 protected:
  DenialTest() {
    kv_.plugin = "kv";
    kv_.callers.AddUid(0);
  }
  // A plugin named `name` that may call what `calls` says.
  Caller Peer(const std::string& name, std::vector<std::string> calls) {
    auto route = std::make_shared<Route>();
    route->plugin = name;
    route->calls = std::move(calls);
    table_.plugins[name] = std::move(route);
    return Caller::Plugin(name, 0, 1);
  }
  bool Allowed(const Caller& caller, std::string_view method = "/kv.v1.KV/Get") const {
    return Denial(table_, caller, kv_, method).empty();
  }

  RouteTable table_;
  Route kv_;
};

TEST_F(DenialTest, UsersNeedToBeAmongTheCallers) {
  EXPECT_TRUE(Allowed(Caller::User(0, 1, {0})));
  EXPECT_FALSE(Allowed(Caller::User(1000, 1, {1000})));
  kv_.callers_set = true;
  kv_.callers.AddGroup(50);
  EXPECT_TRUE(Allowed(Caller::User(1000, 1, {1000, 50})));
}

TEST_F(DenialTest, BetweenPluginsNothingIsAllowedUnlessCallsSaysSo) {
  EXPECT_FALSE(Allowed(Caller::Plugin("unknown", 0, 1)));
  EXPECT_FALSE(Allowed(Peer("front", {})));
  EXPECT_TRUE(Allowed(Peer("front", {"kv/*"})));
  EXPECT_TRUE(Allowed(Peer("front", {"kv/kv.v1.KV/*"})));
  EXPECT_TRUE(Allowed(Peer("front", {"kv/kv.v1.KV/Get"})));
}

TEST_F(DenialTest, APatternCoversExactlyWhatItNames) {
  for (const char* pattern : {"kv", "kv/", "*", "k*", "kv/kv.v1.KV", "kv/kv.v1.KV/",
                              "kv/kv.v1.KV/Put", "kv/kv.v1.KV/get", "kv/kv.v1.K/*", "kv/kv.v1/*",
                              "kvs/*", "KV/*", "k/*", "/kv.v1.KV/Get", "other/kv.v1.KV/Get"}) {
    EXPECT_FALSE(Allowed(Peer("front", {pattern}))) << pattern;
  }
  // A name that begins as another one does.
  EXPECT_FALSE(Allowed(Peer("front", {"kv/kv.v1.KV/Get"}), "/kv.v1.KV/GetAll"));
  EXPECT_FALSE(Allowed(Peer("front", {"kv/kv.v1.KV/*"}), "/kv.v1.KVAdmin/Get"));
  kv_.plugin = "kv2";
  EXPECT_FALSE(Allowed(Peer("front", {"kv/*"})));
}

TEST_F(DenialTest, ThoseThatCallsNamesNeedAlsoBeAmongTheCallersWhereThatIsSet) {
  const Caller front = Peer("front", {"kv/*"});
  kv_.callers_set = true;
  EXPECT_FALSE(Allowed(front));
  kv_.callers.AddPlugin("front");
  EXPECT_TRUE(Allowed(front));
  // And the other way round.
  EXPECT_FALSE(Allowed(Peer("front", {})));
}

TEST_F(DenialTest, APluginThatRunsAsRootIsAPluginAllTheSame) {
  kv_.callers_set = true;
  EXPECT_FALSE(Allowed(Peer("front", {"kv/*"})));
}

TEST_F(DenialTest, NobodyCallsWhatIsForHosts) {
  kv_.callers_set = true;
  kv_.callers.AddEveryone();
  for (const char* method :
       {"/plugind.plugin.v1.Plugin/Shutdown", "/plugind.plugin.v1.Plugin/Anything",
        "/plugin.GRPCController/Shutdown", "/plugin.GRPCBroker/StartStream",
        "/plugin.GRPCStdio/StreamStdio"}) {
    EXPECT_FALSE(Allowed(Caller::User(0, 1, {0}), method)) << method;
    EXPECT_FALSE(Allowed(Peer("front", {"kv/*"}), method)) << method;
    EXPECT_FALSE(HostsOnly(method).empty()) << method;
  }
  for (const char* method : {"/plugind.plugin.v1.PluginX/Y", "/plugin.GRPC/X", "/kv.v1.KV/Get"}) {
    EXPECT_TRUE(Allowed(Caller::User(0, 1, {0}), method)) << method;
  }
}

TEST_F(DenialTest, APluginThatDidNotAgreeOnPeerCallsMakesNone) {
  const Caller front = Peer("front", {"kv/*"});
  auto route = std::make_shared<Route>(*table_.plugins["front"]);
  route->peer_calls = false;
  table_.plugins["front"] = route;
  EXPECT_EQ(Denial(table_, front, kv_, "/kv.v1.KV/Get"),
            "plugin:front may not call kv/kv.v1.KV/Get: plugin front did not agree on the "
            "capability peer.calls");
}

TEST_F(DenialTest, ItNamesCallerPluginMethodAndTheSetting) {
  EXPECT_EQ(Denial(table_, Caller::User(1000, 1, {1000}), kv_, "/kv.v1.KV/Get"),
            "uid:1000 may not call kv/kv.v1.KV/Get: add \"uid:1000\" to access.callers of plugin "
            "kv");
  EXPECT_EQ(Denial(table_, Peer("front", {}), kv_, "/kv.v1.KV/Get"),
            "plugin:front may not call kv/kv.v1.KV/Get: add \"kv/kv.v1.KV/Get\" to access.calls of "
            "plugin front");
}

TEST(RoleTest, TheHighestListCounts) {
  RouteTable table;
  table.viewers.AddEveryone();
  table.operators.AddGroup(50);
  table.admins.AddUid(1000);
  EXPECT_EQ(table.RoleOf(Caller::User(2000, 1, {2000})), Role::kViewer);
  EXPECT_EQ(table.RoleOf(Caller::User(2000, 1, {2000, 50})), Role::kOperator);
  EXPECT_EQ(table.RoleOf(Caller::User(1000, 1, {1000, 50})), Role::kAdmin);
}

TEST(RoleTest, APluginHasNoneWhateverItsUidAndTheListsAre) {
  RouteTable table;
  table.viewers.AddEveryone();
  table.admins.AddUid(0);
  table.admins.AddPlugin("kv");
  const Caller kv = Caller::Plugin("kv", 0, 1);
  EXPECT_EQ(table.RoleOf(kv), Role::kNone);
  EXPECT_THAT(
      ControlDenial(table, kv, "/a.B/C"),
      testing::AllOf(HasSubstr("plugin:kv"), HasSubstr("/a.B/C"), HasSubstr("control.viewers")));
}

TEST(RoleTest, TheHostServiceIsForPluginsWithWhateverRole) {
  RouteTable table;
  table.admins.AddUid(0);
  const char* const method = "/plugind.host.v1.Host/GetSelf";
  EXPECT_EQ(ControlDenial(table, Caller::Plugin("kv", 1000, 1), method), "");
  EXPECT_EQ(ControlDenial(table, Caller::User(0, 1, {0}), method),
            "uid:0 may not call plugind/plugind.host.v1.Host/GetSelf: it is for plugins");
  EXPECT_FALSE(
      ControlDenial(table, Caller::Plugin("kv", 0, 1), "/plugind.host.v1.HostX/Y").empty());
}

TEST(RoleTest, WithoutOneTheSettingIsNamed) {
  EXPECT_EQ(ControlDenial(RouteTable(), Caller::User(1000, 1, {}), "/a.B/C"),
            "uid:1000 may not call plugind/a.B/C: add \"uid:1000\" to control.viewers in "
            "plugind.toml");
  RouteTable table;
  table.viewers.AddUid(1000);
  EXPECT_EQ(ControlDenial(table, Caller::User(1000, 1, {}), "/a.B/C"), "");
}

}  // namespace
}  // namespace plugind::gateway
