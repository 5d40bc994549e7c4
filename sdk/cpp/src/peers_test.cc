#include "plugind/peers.h"

#include <gmock/gmock.h>
#include <grpcpp/grpcpp.h>
#include <grpcpp/test/client_context_test_peer.h>
#include <grpcpp/test/server_context_test_spouse.h>
#include <gtest/gtest.h>

#include <map>
#include <string>

namespace plugind {
namespace {

using testing::ElementsAre;
using testing::IsEmpty;
using testing::Pair;
using Metadata = std::multimap<std::string, std::string>;

constexpr char kParent[] = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";

// What a call carries that is made for one with `served` in its metadata.
Metadata Carried(const Metadata& served) {
  grpc::ServerContext server;
  grpc::testing::ServerContextTestSpouse spouse(&server);
  for (const auto& [key, value] : served) spouse.AddClientMetadata(key, value);
  grpc::ClientContext call;
  carry_trace(server, call);
  return grpc::testing::ClientContextTestPeer(&call).GetSendInitialMetadata();
}

TEST(CarryTraceTest, TakesTheTraceAndNothingElse) {
  EXPECT_THAT(Carried({{"traceparent", kParent}, {"tracestate", "a=1"}, {"authorization", "x"}}),
              ElementsAre(Pair("traceparent", kParent), Pair("tracestate", "a=1")));
  EXPECT_THAT(Carried({{"authorization", "x"}}), IsEmpty());
}

TEST(CarryTraceTest, TakesEveryPartOfTheState) {
  EXPECT_THAT(Carried({{"tracestate", "a=1"}, {"tracestate", "b=2"}}),
              ElementsAre(Pair("tracestate", "a=1"), Pair("tracestate", "b=2")));
}

// gRPC takes such bytes in, and ends the process that sends them.
TEST(CarryTraceTest, LeavesOutWhatGrpcWouldAbortOver) {
  EXPECT_THAT(Carried({{"traceparent", kParent}, {"tracestate", "a=\xff"}}),
              ElementsAre(Pair("traceparent", kParent)));
  EXPECT_THAT(Carried({{"tracestate", "a=\x7f"}, {"tracestate", "b=\n"}}), IsEmpty());
}

TEST(HostErrorTest, SaysWhatWasAskedAndKeepsTheStatus) {
  const HostError error("GetSelf", {grpc::StatusCode::UNAVAILABLE, "no such socket"});
  EXPECT_STREQ(error.what(), "GetSelf: no such socket");
  EXPECT_EQ(error.status().error_code(), grpc::StatusCode::UNAVAILABLE);
}

}  // namespace
}  // namespace plugind
