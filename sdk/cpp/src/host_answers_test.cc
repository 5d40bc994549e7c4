// Against the generated code, which writes what the SDK reads by hand.
#include "sdk/cpp/src/host_answers.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <string>

#include "plugind/host/v1/host.pb.h"

namespace plugind::sdk {
namespace {

using testing::ElementsAre;
using testing::IsEmpty;
using testing::Pair;

TEST(ReadIdentityTest, ReadsEveryField) {
  host::v1::GetSelfResponse response;
  response.set_name("greeter");
  response.set_instance("7f3a91c2");
  response.set_protocol_version(300);
  response.mutable_capabilities()->insert({{"greeter.v1", "1.2"}, {"trace", "1.0"}});
  response.set_host("plugind");
  response.set_host_version("0.1.0");
  const auto identity = ReadIdentity(response.SerializeAsString());
  ASSERT_TRUE(identity);
  EXPECT_EQ(identity->name, "greeter");
  EXPECT_EQ(identity->instance, "7f3a91c2");
  EXPECT_EQ(identity->protocol_version, 300U);
  EXPECT_THAT(identity->capabilities, ElementsAre(Pair("greeter.v1", "1.2"), Pair("trace", "1.0")));
  EXPECT_EQ(identity->host, "plugind");
  EXPECT_EQ(identity->host_version, "0.1.0");
}

TEST(ReadPeersTest, ReadsEveryFieldInTheHostsOrder) {
  host::v1::ListPeersResponse response;
  auto* kv = response.add_peers();
  kv->set_name("kv");
  kv->set_state("READY");
  kv->set_version("1.2.3");
  kv->add_services("kv.v1.Kv");
  kv->add_services("kv.v2.Kv");
  kv->add_methods("*");
  kv->add_methods("kv.v1.Kv/Get");
  response.add_peers()->set_name("another");
  const auto peers = ReadPeers(response.SerializeAsString());
  ASSERT_TRUE(peers);
  ASSERT_EQ(peers->size(), 2U);
  EXPECT_EQ(peers->at(0).name, "kv");
  EXPECT_EQ(peers->at(0).state, "READY");
  EXPECT_EQ(peers->at(0).version, "1.2.3");
  EXPECT_THAT(peers->at(0).services, ElementsAre("kv.v1.Kv", "kv.v2.Kv"));
  EXPECT_THAT(peers->at(0).methods, ElementsAre("*", "kv.v1.Kv/Get"));
  EXPECT_EQ(peers->at(1).name, "another");
  EXPECT_THAT(peers->at(1).methods, IsEmpty());
}

TEST(HostAnswersTest, WhatIsNotKnownIsPassedOver) {
  const std::string unknown("\xc2\x3e\x04what", 7);  // field 1000
  EXPECT_EQ(ReadIdentity(unknown + "\x0a\x01x")->name, "x");
  const auto peers = ReadPeers(unknown + std::string("\x0a\x00", 2) + unknown);
  ASSERT_TRUE(peers);
  EXPECT_EQ(peers->size(), 1U);
}

TEST(HostAnswersTest, WhatIsCutShortIsNoAnswer) {
  host::v1::GetSelfResponse self;
  self.mutable_capabilities()->insert({{"trace", "1.0"}});
  host::v1::ListPeersResponse peers;
  peers.add_peers()->set_name("kv");
  for (std::string message = self.SerializeAsString(); message.size() > 1;) {
    message.pop_back();
    EXPECT_FALSE(ReadIdentity(message)) << message.size();
  }
  EXPECT_FALSE(ReadIdentity("\x22\x02\x0a\x05"));  // an entry that ends too early
  for (std::string message = peers.SerializeAsString(); message.size() > 1;) {
    message.pop_back();
    EXPECT_FALSE(ReadPeers(message)) << message.size();
  }
}

}  // namespace
}  // namespace plugind::sdk
