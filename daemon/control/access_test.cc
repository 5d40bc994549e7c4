#include "daemon/control/access.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <set>

#include "daemon/control/convert.h"
#include "daemon/control/gate.h"
#include "daemon/supervisor/testing/temp_dir.h"
#include "google/rpc/error_details.pb.h"
#include "google/rpc/status.pb.h"
#include "grpc/health/v1/health.pb.h"
#include "plugind/control/v1/control.pb.h"

namespace plugind::control {
namespace {

using testing::HasSubstr;

std::vector<Method> AllMethods() {
  std::vector<Method> all;
  for (int i = 0; i < kMethods; ++i) all.push_back(static_cast<Method>(i));
  return all;
}

TEST(AccessTest, EveryMethodThatIsServedIsInTheTableAndNothingElse) {
  std::set<std::string> served;
  for (const auto* file : {v1::Plugin::descriptor()->file(),
                           grpc::health::v1::HealthCheckRequest::descriptor()->file()}) {
    for (int i = 0; i < file->service_count(); ++i) {
      for (int j = 0; j < file->service(i)->method_count(); ++j) {
        served.insert("/" + file->service(i)->full_name() + "/" +
                      file->service(i)->method(j)->name());
      }
    }
  }
  std::set<std::string> listed;
  for (const Method method : AllMethods()) listed.insert(std::string(AccessTo(method).path));
  EXPECT_EQ(listed, served);
}

TEST(AccessTest, NothingIsForCallersWithoutARole) {
  for (const Method method : AllMethods()) {
    EXPECT_NE(AccessTo(method).least, Role::kNone);
    EXPECT_NE(Denial({"uid:1000", 1, Role::kNone}, method), "");
    EXPECT_EQ(Denial({"uid:0", 1, Role::kAdmin}, method), "");
  }
}

TEST(AccessTest, ViewersReadOperatorsActAndAdminsDefine) {
  const auto allowed = [](Role role) {
    std::set<Method> methods;
    for (const Method method : AllMethods()) {
      if (Denial({"uid:1000", 1, role}, method).empty()) methods.insert(method);
    }
    return methods;
  };
  const std::set<Method> reads = {Method::kListPlugins, Method::kGetPlugin,  Method::kStreamLogs,
                                  Method::kWatchEvents, Method::kListCalls,  Method::kGetDaemonInfo,
                                  Method::kHealthCheck, Method::kHealthWatch};
  std::set<Method> acts = reads;
  acts.insert({Method::kStartPlugin, Method::kStopPlugin, Method::kRestartPlugin,
               Method::kEnablePlugin, Method::kDisablePlugin, Method::kReloadPlugin});
  EXPECT_EQ(allowed(Role::kViewer), reads);
  EXPECT_EQ(allowed(Role::kOperator), acts);
  EXPECT_EQ(allowed(Role::kAdmin).size(), static_cast<size_t>(kMethods));
}

TEST(AccessTest, ADenialNamesCallerMethodRoleAndSetting) {
  EXPECT_EQ(Denial({"uid:1000", 1, Role::kViewer}, Method::kStopPlugin),
            "uid:1000 may not call /plugind.control.v1.PluginControl/StopPlugin: it takes the role "
            "operator, and the caller's is viewer; add \"uid:1000\" to control.operators in "
            "plugind.toml");
  EXPECT_THAT(Denial({"uid:7", 1, Role::kOperator}, Method::kReloadAll),
              testing::AllOf(HasSubstr("of the whole configuration"), HasSubstr("control.admins")));
}

TEST(AccessTest, ADenialCarriesErrorInfo) {
  const grpc::Status status = AccessDenied({"uid:7", 1, Role::kViewer}, Method::kStopPlugin, "no");
  EXPECT_EQ(status.error_code(), grpc::StatusCode::PERMISSION_DENIED);
  google::rpc::Status rich;
  google::rpc::ErrorInfo info;
  ASSERT_TRUE(rich.ParseFromString(status.error_details()));
  ASSERT_EQ(rich.details_size(), 1);
  ASSERT_TRUE(rich.details(0).UnpackTo(&info));
  EXPECT_EQ(info.reason(), "ACCESS_DENIED");
  EXPECT_EQ(info.domain(), "plugind");
  EXPECT_EQ(info.metadata().at("caller"), "uid:7");
  EXPECT_EQ(info.metadata().at("role"), "operator");
  EXPECT_EQ(info.metadata().at("setting"), "control.operators");
}

class GateTest : public testing::Test {
 protected:
  supervisor::TempDir dir_;
  SystemClock clock_;
  std::vector<observe::Denial> denials_;
  observe::AuditLog audit_{dir_.Path("audit.log"), clock_, [](const std::string&) {}};
  Gate gate_{audit_, [this](const observe::Denial& denial) { denials_.push_back(denial); }};
};

TEST_F(GateTest, AChangeIsOnRecordBeforeItIsMade) {
  const Caller caller{"uid:7", 42, Role::kOperator};
  const auto status = gate_.Change(caller, Method::kStopPlugin, "kv", [&] {
    EXPECT_THAT(dir_.Read("audit.log"), HasSubstr("\"kind\":\"intent\""));
    EXPECT_THAT(dir_.Read("audit.log"), testing::Not(HasSubstr("outcome")));
    return grpc::Status(grpc::StatusCode::NOT_FOUND, "there is none");
  });
  EXPECT_EQ(status.error_code(), grpc::StatusCode::NOT_FOUND);
  const std::string log = dir_.Read("audit.log");
  EXPECT_THAT(log, HasSubstr("\"kind\":\"outcome\""));
  EXPECT_THAT(log, HasSubstr("\"code\":\"NOT_FOUND\",\"message\":\"there is none\""));
}

TEST_F(GateTest, WithoutARecordNothingIsChanged) {
  ASSERT_EQ(::mkdir(dir_.Path("audit.log").c_str(), 0700), 0);
  const auto status = gate_.Change({"uid:0", 1, Role::kAdmin}, Method::kReloadAll, "", [] {
    ADD_FAILURE() << "it was changed";
    return grpc::Status::OK;
  });
  EXPECT_EQ(status.error_code(), grpc::StatusCode::UNAVAILABLE);
  EXPECT_THAT(status.error_details(), HasSubstr("AUDIT_FAILED"));
}

TEST_F(GateTest, WhoMayNotChangesNothingAndIsOnRecord) {
  const auto status = gate_.Change({"uid:7", 42, Role::kViewer}, Method::kStopPlugin, "kv", [] {
    ADD_FAILURE() << "it was changed";
    return grpc::Status::OK;
  });
  EXPECT_EQ(status.error_code(), grpc::StatusCode::PERMISSION_DENIED);
  ASSERT_EQ(denials_.size(), 1U);
  EXPECT_EQ(denials_[0].caller, "uid:7");
  EXPECT_EQ(denials_[0].pid, 42);
  EXPECT_EQ(denials_[0].plugin, "kv");
  EXPECT_EQ(denials_[0].method, "/plugind.control.v1.PluginControl/StopPlugin");
  EXPECT_FALSE(dir_.Has("audit.log"));
}

}  // namespace
}  // namespace plugind::control
