// What a hostile plugin says of its types: pluginctl ends with an error, never by a signal, and
// calls nothing.
#include <google/protobuf/descriptor.pb.h>

#include <chrono>

#include "daemon/pluginctl/testing/daemon_test.h"

namespace plugind::pluginctl::testing {
namespace {

using google::protobuf::DescriptorProto;
using google::protobuf::FieldDescriptorProto;
using google::protobuf::FileDescriptorProto;
using ::testing::HasSubstr;

FileDescriptorProto File(const std::string& name, const std::string& package = "echo.v1") {
  FileDescriptorProto file;
  file.set_name(name);
  file.set_package(package);
  file.set_syntax("proto3");
  return file;
}

// With a message M and the service Echo.
FileDescriptorProto Echo(const std::string& name = "echo.proto") {
  FileDescriptorProto file = File(name);
  file.add_message_type()->set_name("M");
  auto* service = file.add_service();
  service->set_name("Echo");
  auto* method = service->add_method();
  method->set_name("Say");
  method->set_input_type(".echo.v1.M");
  method->set_output_type(".echo.v1.M");
  return file;
}

void AddField(DescriptorProto* message, const std::string& name, int number,
              const std::string& type) {
  FieldDescriptorProto* field = message->add_field();
  field->set_name(name);
  field->set_number(number);
  field->set_label(FieldDescriptorProto::LABEL_OPTIONAL);
  if (type.empty()) {
    field->set_type(FieldDescriptorProto::TYPE_INT32);
  } else {
    field->set_type(FieldDescriptorProto::TYPE_MESSAGE);
    field->set_type_name(type);
  }
}

class CallHostileTest : public DaemonTest {
 protected:
  // Every way of asking for the types fails with this in its message.
  void ExpectRefused(const std::string& message, const std::string& about) {
    for (const std::string target : {"echo/echo.v1.Echo/Say", "echo/echo.v1.Echo"}) {
      const Result result = Ctl({"call", target});
      EXPECT_EQ(result.code, 1) << about << ": " << result.err;
      EXPECT_EQ(result.out, "") << about;
      EXPECT_THAT(result.err, HasSubstr(message)) << about;
      EXPECT_LT(result.err.size(), 8000u) << about;
    }
    EXPECT_EQ(daemon_.plugin().calls(), 0) << about;
  }
};

TEST_F(CallHostileTest, WhatIsNoDescriptor) {
  daemon_.plugin().DescribeInBytes({"\xff\xff\xff"});
  ExpectRefused("DATA_LOSS", "garbage");
  daemon_.plugin().DescribeInBytes({std::string(100'000, '\x0b')});
  ExpectRefused("DATA_LOSS", "groups in groups");

  FileDescriptorProto deep = Echo();
  DescriptorProto* inner = deep.mutable_message_type(0);
  for (int i = 0; i < 200; ++i) {
    inner = inner->add_nested_type();
    inner->set_name("M");
  }
  daemon_.plugin().Describe({deep});
  ExpectRefused("DATA_LOSS", "nested types");
}

TEST_F(CallHostileTest, DescriptorsThatContradictThemselves) {
  FileDescriptorProto twice = Echo();
  twice.add_message_type()->set_name("M");
  daemon_.plugin().Describe({twice});
  ExpectRefused("defines what another does", "a name twice");

  FileDescriptorProto dangling = Echo();
  dangling.mutable_service(0)->mutable_method(0)->set_input_type(".echo.v1.Nope");
  daemon_.plugin().Describe({dangling});
  ExpectRefused("\".echo.v1.Nope\" is not defined", "an unknown type");

  FileDescriptorProto clash = Echo("clash.proto");
  clash.add_dependency("echo.proto");
  daemon_.plugin().Describe({clash, Echo()});
  ExpectRefused("defines what another does: echo.proto", "two files with one service");

  FileDescriptorProto escape = Echo();
  AddField(escape.mutable_message_type(0), "x\x1b[2J\n", 1, "");
  daemon_.plugin().Describe({escape});
  ExpectRefused("\\x1b[2J\\x0a", "a name that would drive the terminal");
}

TEST_F(CallHostileTest, ImportsThatLeadNowhereOrInACircle) {
  FileDescriptorProto file = Echo();
  file.add_dependency("none.proto");
  daemon_.plugin().Describe({file});
  ExpectRefused("none.proto", "an import that there is not");

  FileDescriptorProto first = Echo(), second = File("second.proto");
  first.add_dependency("second.proto");
  second.add_dependency("echo.proto");
  daemon_.plugin().Describe({first, second});
  ExpectRefused("recursively imports itself", "a circle");
}

TEST_F(CallHostileTest, ALongChainOfImports) {
  std::vector<FileDescriptorProto> chain = {Echo()};
  chain.back().add_dependency("1.proto");
  for (int i = 1; i < 999; ++i) {
    chain.push_back(File(std::to_string(i) + ".proto"));
    chain.back().add_dependency(std::to_string(i + 1) + ".proto");
  }
  chain.push_back(File("999.proto"));
  daemon_.plugin().Describe(chain);
  EXPECT_EQ(Ctl({"call", "echo/echo.v1.Echo"}).code, 0);  // the most that is allowed
  chain.push_back(File("1000.proto"));
  daemon_.plugin().Describe(chain);
  ExpectRefused("more than 1000 files", "one more");
}

TEST_F(CallHostileTest, MoreThanAnyPluginHas) {
  FileDescriptorProto heavy = Echo();
  heavy.mutable_options()->set_java_package(std::string(9 << 20, 'x'));
  daemon_.plugin().Describe({heavy});
  ExpectRefused("more than 8 MiB", "bytes");

  FileDescriptorProto named = Echo();
  DescriptorProto* inner = named.mutable_message_type(0);
  for (int i = 0; i < 20; ++i) {
    inner = inner->add_nested_type();
    inner->set_name(std::string(10'000, 'n'));
  }
  for (int i = 1; i < 1000; ++i) AddField(inner, "f" + std::to_string(i), i, "");
  daemon_.plugin().Describe({named});
  ExpectRefused("names beyond measure", "names in names");
}

TEST_F(CallHostileTest, QuestionsWithoutEnd) {
  FileDescriptorProto file = Echo();
  for (int i = 0; i < 5000; ++i) file.add_dependency("no" + std::to_string(i) + ".proto");
  daemon_.plugin().Describe({file});
  ExpectRefused("no end", "imports that there are not");
}

TEST_F(CallHostileTest, TypesThatProtobufKnowsBetter) {
  FileDescriptorProto false_time = File("google/protobuf/timestamp.proto", "google.protobuf");
  false_time.add_message_type()->set_name("Timestamp");
  AddField(false_time.mutable_message_type(0), "seconds", 1, ".google.protobuf.Timestamp");
  FileDescriptorProto file = Echo();
  file.add_dependency("google/protobuf/timestamp.proto");
  AddField(file.mutable_message_type(0), "at", 4, ".google.protobuf.Timestamp");
  daemon_.plugin().Describe({file, false_time});
  const Result result =
      Ctl({"call", "echo/echo.v1.Echo/Say", "-d", "{\"at\":\"2026-11-20T12:00:00Z\"}"});
  EXPECT_EQ(result.out, "{\"at\":\"2026-11-20T12:00:00Z\"}\n");

  false_time.set_name("elsewhere.proto");
  *file.mutable_dependency(0) = "elsewhere.proto";
  daemon_.plugin().Describe({file, false_time});
  const Result refused = Ctl({"call", "echo/echo.v1.Echo"});
  EXPECT_EQ(refused.code, 1);
  EXPECT_THAT(refused.err, HasSubstr("elsewhere.proto"));
}

TEST_F(CallHostileTest, ALongChainOfTypes) {
  FileDescriptorProto file = Echo();
  for (int i = 0; i < 50'000; ++i) {
    auto* message = file.add_message_type();
    message->set_name("T" + std::to_string(i));
    if (i > 0) AddField(message, "f", 1, ".echo.v1.T" + std::to_string(i - 1));
  }
  AddField(file.mutable_message_type(0), "chain", 1, ".echo.v1.T49999");
  daemon_.plugin().Describe({file});
  EXPECT_EQ(Ctl({"call", "echo/echo.v1.Echo/Say", "-d", "{\"chain\":{\"f\":{}}}"}).out,
            "{\"chain\":{\"f\":{}}}\n");
}

TEST_F(CallHostileTest, AnAnswerThatIsNotOfItsType) {
  FileDescriptorProto file = Echo();  // in truth `text` is a string
  AddField(file.mutable_message_type(0), "text", 2, "");
  auto* field = file.mutable_message_type(0)->mutable_field(0);
  field->set_number(2);
  daemon_.plugin().Describe({file});
  const Result result = Ctl({"call", "echo/echo.v1.Echo/Say", "-d", "{\"text\":5}"});
  EXPECT_EQ(result.out, "{\"text\":5}\n");
}

}  // namespace
}  // namespace plugind::pluginctl::testing
