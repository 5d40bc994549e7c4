#include <gmock/gmock.h>
#include <google/protobuf/unknown_field_set.h>
#include <grpcpp/support/status.h>
#include <gtest/gtest.h>

#include <string>

#include "plugind/client.h"

namespace plugind {
namespace {

using google::protobuf::UnknownFieldSet;
using testing::Pair;
using testing::UnorderedElementsAre;

std::string Bytes(const UnknownFieldSet& fields) {
  std::string bytes;
  EXPECT_TRUE(fields.SerializeToString(&bytes));
  return bytes;
}

std::string Entry(const std::string& key, const std::string& value) {
  UnknownFieldSet entry;
  entry.AddLengthDelimited(1, key);
  entry.AddLengthDelimited(2, value);
  return Bytes(entry);
}

std::string Info(const std::string& domain, const std::string& reason) {
  UnknownFieldSet info;
  info.AddLengthDelimited(1, reason);
  info.AddLengthDelimited(2, domain);
  info.AddLengthDelimited(3, Entry("plugin", "greeter"));
  info.AddLengthDelimited(3, Entry("method", "/a.B/C"));
  return Bytes(info);
}

std::string Any(const std::string& type, const std::string& value) {
  UnknownFieldSet any;
  any.AddLengthDelimited(1, "type.googleapis.com/" + type);
  any.AddLengthDelimited(2, value);
  return Bytes(any);
}

std::string Details(const std::vector<std::string>& each) {
  UnknownFieldSet status;
  status.AddVarint(1, 14);
  status.AddLengthDelimited(2, "it is gone");
  for (const std::string& any : each) status.AddLengthDelimited(3, any);
  return Bytes(status);
}

std::optional<ErrorInfo> Read(const std::string& details) {
  return error_info(grpc::Status(grpc::StatusCode::UNAVAILABLE, "it is gone", details));
}

const std::string kType = "google.rpc.ErrorInfo";

TEST(ErrorInfoTest, HasReasonAndMetadata) {
  const auto info = Read(Details({Any(kType, Info("plugind", "PLUGIN_UNAVAILABLE"))}));
  ASSERT_TRUE(info);
  EXPECT_EQ(info->reason, "PLUGIN_UNAVAILABLE");
  EXPECT_THAT(info->metadata,
              UnorderedElementsAre(Pair("plugin", "greeter"), Pair("method", "/a.B/C")));
}

TEST(ErrorInfoTest, IsFoundAmongOthersDetails) {
  const auto info = Read(Details(
      {Any("google.rpc.BadRequest", "\x0a\x02hi"), Any(kType, Info("googleapis.com", "NOT_OURS")),
       Any(kType, Info("plugind", "OURS")), Any(kType, Info("plugind", "A_SECOND_ONE"))}));
  ASSERT_TRUE(info);
  EXPECT_EQ(info->reason, "OURS");
}

TEST(ErrorInfoTest, IsNothingWhereThereIsNone) {
  EXPECT_FALSE(error_info(grpc::Status::OK));
  EXPECT_FALSE(error_info(grpc::Status(grpc::StatusCode::UNKNOWN, "no details")));
  EXPECT_FALSE(Read(Details({})));
  EXPECT_FALSE(Read(Details({Any("google.rpc.RetryInfo", Info("plugind", "ANOTHER_TYPE"))})));
  EXPECT_FALSE(Read(Details({Any(kType, Info("plugind.example", "ANOTHER_DOMAIN"))})));
}

TEST(ErrorInfoTest, SkipsFieldsOfLaterVersions) {
  UnknownFieldSet later;
  later.AddVarint(9, ~uint64_t{0});
  later.AddFixed32(10, 7);
  later.AddFixed64(11, 7);
  later.AddLengthDelimited(500, "new");
  const std::string more = Bytes(later);
  const auto info = Read(more + Details({more + Any(kType, more + Info("plugind", "OURS"))}));
  ASSERT_TRUE(info);
  EXPECT_EQ(info->reason, "OURS");
}

TEST(ErrorInfoTest, IsNothingWhereTheDetailsAreMalformed) {
  const std::string good = Details({Any(kType, Info("plugind", "OURS"))});
  ASSERT_TRUE(Read(good));
  EXPECT_FALSE(Read(good + "\x0b"));                                          // a group
  EXPECT_FALSE(Read(good + "\x12\x05only"));                                  // too short
  EXPECT_FALSE(Read(good + std::string(11, '\xff')));                         // an endless number
  EXPECT_FALSE(Read(good + "\x12\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01"));  // 2^64 - 1 bytes
  EXPECT_FALSE(Read(good + "\x09"
                           "1234567"));  // half a fixed64
}

// Every cut and every changed bit: what matters is that nothing is read that is not there, which
// the stage with AddressSanitizer sees.
TEST(ErrorInfoTest, SurvivesEveryCutAndEveryFlippedBit) {
  const std::string good = Details({Any(kType, Info("plugind", "OURS"))});
  for (size_t size = 0; size < good.size(); ++size) {
    EXPECT_FALSE(Read(std::string(good, 0, size))) << size;
  }
  size_t found = 0;
  for (size_t bit = 0; bit < good.size() * 8; ++bit) {
    std::string bad = good;
    bad[bit / 8] = static_cast<char>(bad[bit / 8] ^ (1 << bit % 8));
    found += Read(bad) ? 1 : 0;
  }
  // Within the texts a changed bit is another text.
  EXPECT_GT(found, 0U);
  EXPECT_LT(found, good.size() * 8);
}

}  // namespace
}  // namespace plugind
