#include "daemon/config/schema.h"

#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <chrono>
#include <string>
#include <vector>

namespace plugind::config {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;

std::vector<std::string> Check(const std::string& schema, const std::string& settings) {
  std::string error;
  const auto compiled = Schema::Compile(schema, &error);
  if (!compiled) return {"refused: " + error};
  std::vector<std::string> told;
  for (const auto& misfit : compiled->Check(settings)) told.push_back(misfit.ToString());
  return told;
}

std::string Refusal(const std::string& schema) {
  std::string error;
  return Schema::Compile(schema, &error) ? "compiled" : error;
}

TEST(SchemaTest, TellsEveryMisfitWithItsPath) {
  EXPECT_THAT(
      Check(R"({"type":"object","required":["name"],"additionalProperties":false,
                        "properties":{"name":{"type":"string"},
                          "limits":{"properties":{"max":{"type":"integer","maximum":10}}},
                          "servers":{"items":{"required":["port"],
                                              "properties":{"port":{"type":"integer"}}}}}})",
            R"({"limits":{"max":12},"nmae":"x","servers":[{"port":1},{"port":"2"},{}]})"),
      testing::UnorderedElementsAre("name: is missing", "limits.max: must be at most 10, not 12",
                                    "nmae: unknown key; did you mean \"name\"?",
                                    "servers[1].port: must be an integer, not a string",
                                    "servers[2].port: is missing"));
}

}  // namespace
}  // namespace plugind::config
