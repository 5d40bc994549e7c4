#include "daemon/rpc/grpc_wire.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <nghttp2/nghttp2.h>

#include <string>
#include <vector>

namespace plugind::rpc {
namespace {

using absl::StatusCode;
using std::chrono::milliseconds;
using testing::ElementsAre;

TEST(FramedTest, PutsFiveBytesBeforeAMessage) {
  EXPECT_EQ(Framed(""), std::string(5, '\0'));
  const std::string framed = Framed(std::string(0x010203, 'x'));
  EXPECT_EQ(framed.substr(0, 5), std::string("\0\0\x01\x02\x03", 5));
  EXPECT_EQ(framed.size(), 5U + 0x010203U);
}

TEST(TimeoutHeaderTest, HasAtMostEightDigitsAndIsNeverNothing) {
  EXPECT_EQ(TimeoutHeader(milliseconds(2000)), "2000m");
  EXPECT_EQ(TimeoutHeader(std::chrono::microseconds(1)), "1m");
  EXPECT_EQ(TimeoutHeader(-milliseconds(5)), "1m");
  EXPECT_EQ(TimeoutHeader(std::chrono::hours(24)), "86400000m");
  EXPECT_EQ(TimeoutHeader(std::chrono::hours(48)), "172800S");
}

TEST(MessageAssemblerTest, MakesTheSameMessagesOutOfChunksOfAnySize) {
  const std::string stream = Framed("one") + Framed("") + Framed(std::string(300, 'x'));
  for (const size_t size : {size_t{1}, size_t{4}, size_t{7}, stream.size()}) {
    MessageAssembler assembler;
    std::vector<std::string> messages;
    for (size_t at = 0; at < stream.size(); at += size) {
      const auto take = [&](std::string m) { messages.push_back(std::move(m)); };
      ASSERT_TRUE(assembler.Add(std::string_view(stream).substr(at, size), take).ok());
    }
    EXPECT_THAT(messages, ElementsAre("one", "", std::string(300, 'x')));
    EXPECT_FALSE(assembler.partial());
  }
}

TEST(MessageAssemblerTest, KnowsThatAMessageIsNotWhole) {
  MessageAssembler assembler;
  ASSERT_TRUE(assembler.Add(Framed("abc").substr(0, 7), [](std::string) { FAIL(); }).ok());
  EXPECT_TRUE(assembler.partial());
}

TEST(MessageAssemblerTest, RefusesWhatIsTooLongBeforeItHasCome) {
  MessageAssembler assembler;
  const std::string prefix("\0\x7f\xff\xff\xff", 5);
  EXPECT_EQ(assembler.Add(prefix, [](std::string) { FAIL(); }).code(),
            StatusCode::kResourceExhausted);
}

TEST(MessageAssemblerTest, RefusesCompressionThatNobodyOffered) {
  MessageAssembler assembler;
  EXPECT_EQ(assembler.Add(std::string("\1\0\0\0\0", 5), [](std::string) { FAIL(); }).code(),
            StatusCode::kInternal);
}

ResponseStatus Response(const std::vector<std::pair<std::string, std::string>>& fields) {
  ResponseStatus status;
  for (const auto& [name, value] : fields) status.TakeField(name, value);
  return status;
}

TEST(ResponseStatusTest, IsWhatTheTrailerSays) {
  EXPECT_TRUE(Response({{":status", "200"}, {"grpc-status", "0"}}).Outcome(0).ok());
  const absl::Status status =
      Response({{"grpc-status", "5"}, {"grpc-message", "no 100%25 %C3%BC %zz%4"}}).Outcome(0);
  EXPECT_EQ(status.code(), StatusCode::kNotFound);
  EXPECT_EQ(Message(status), "no 100% \xC3\xBC %zz%4");
}

TEST(ResponseStatusTest, ACodeThatDoesNotExistIsUnknown) {
  for (const char* code : {"17", "-1", "", "ok", "99999999999999999999"}) {
    EXPECT_EQ(Response({{"grpc-status", code}}).Outcome(0).code(), StatusCode::kUnknown) << code;
  }
}

TEST(ResponseStatusTest, ATextWithoutEndIsCut) {
  const std::string text(100'000, 'x');
  const absl::Status status = Response({{"grpc-status", "2"}, {"grpc-message", text}}).Outcome(0);
  EXPECT_EQ(status.message().size(), 1024U);
}

TEST(ResponseStatusTest, WithoutATrailerTheResetOrTheHttpStatusDecides) {
  const ResponseStatus fine = Response({{":status", "200"}});
  EXPECT_EQ(fine.Outcome(NGHTTP2_NO_ERROR).code(), StatusCode::kUnknown);
  EXPECT_EQ(fine.Outcome(NGHTTP2_REFUSED_STREAM).code(), StatusCode::kUnavailable);
  EXPECT_EQ(fine.Outcome(NGHTTP2_CANCEL).code(), StatusCode::kCancelled);
  EXPECT_EQ(fine.Outcome(NGHTTP2_PROTOCOL_ERROR).code(), StatusCode::kInternal);
  EXPECT_EQ(Response({{":status", "404"}}).Outcome(0).code(), StatusCode::kUnimplemented);
  EXPECT_EQ(Response({{":status", "503"}}).Outcome(0).code(), StatusCode::kUnavailable);
  EXPECT_EQ(Response({}).Outcome(0).code(), StatusCode::kUnknown);
}

}  // namespace
}  // namespace plugind::rpc
