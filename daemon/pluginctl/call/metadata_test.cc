#include "daemon/pluginctl/call/metadata.h"

#include <gmock/gmock.h>
#include <grpc/grpc.h>
#include <gtest/gtest.h>

#include <string>

namespace plugind::pluginctl {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::Pair;

TEST(MetadataTest, KeysAreInLowerCaseAndValuesAreTrimmed) {
  Metadata headers;
  EXPECT_EQ(ParseHeader("Authorization:  Bearer a:b ", &headers), "");
  EXPECT_EQ(ParseHeader("x_y.z-1:", &headers), "");
  EXPECT_EQ(ParseHeader("blob-bin: AAH/", &headers), "");
  EXPECT_THAT(headers, ElementsAre(Pair("authorization", "Bearer a:b"), Pair("x_y.z-1", ""),
                                   Pair("blob-bin", std::string("\0\1\xff", 3))));
}

TEST(MetadataTest, WhatAnotherSetsIsRefused) {
  for (const std::string key : {"te", "Host", "content-type", "grpc-timeout", "plugind-plugin",
                                "plugind-caller", "connection", "user-agent"}) {
    Metadata headers;
    EXPECT_THAT(ParseHeader(key + ": trailers", &headers), HasSubstr("itself")) << key;
    EXPECT_THAT(headers, IsEmpty());
  }
}

TEST(MetadataTest, WhatHttp2ForbidsIsRefused) {
  for (const std::string text : {"", "no colon", ": value", ":path: /x", "a b: c", "ä: b", "a: ä",
                                 "a: b\nc: d", "a: \x7f", "blob-bin: ?"}) {
    Metadata headers;
    EXPECT_NE(ParseHeader(text, &headers), "") << text;
    EXPECT_THAT(headers, IsEmpty());
  }
}

// gRPC aborts on everything else.
TEST(MetadataTest, NothingIsTakenThatGrpcWouldNotTake) {
  for (int c = 0; c < 256; ++c) {
    const std::string byte(1, static_cast<char>(c));
    for (const std::string& text : {byte + "k: v", "k" + byte + ": v", "k: v" + byte + "v"}) {
      Metadata headers;
      if (!ParseHeader(text, &headers).empty()) continue;
      for (const auto& [key, value] : headers) {
        const grpc_slice key_slice = grpc_slice_from_static_string(key.c_str());
        EXPECT_TRUE(grpc_header_key_is_legal(key_slice)) << c;
        EXPECT_TRUE(grpc_header_nonbin_value_is_legal(
            grpc_slice_from_static_buffer(value.data(), value.size())))
            << c;
      }
    }
  }
}

TEST(MetadataTest, AllTogetherStayBelowWhatAServerTakes) {
  Metadata headers;
  EXPECT_EQ(ParseHeader("a: " + std::string(5000, 'x'), &headers), "");
  EXPECT_THAT(ParseHeader("b: " + std::string(2000, 'x'), &headers), HasSubstr("6144 bytes"));
}

}  // namespace
}  // namespace plugind::pluginctl
