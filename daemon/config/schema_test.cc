#include "daemon/config/schema.h"

#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <chrono>
#include <string>
#include <vector>

namespace plugind::config {
namespace {

using testing::AllOf;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;
using testing::SizeIs;
using testing::UnorderedElementsAre;

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
  EXPECT_THAT(Check(R"({"type":"object","required":["name"],"additionalProperties":false,
                "properties":{"name":{"type":"string"},
                  "limits":{"properties":{"max":{"type":"integer","maximum":10}}},
                  "servers":{"items":{"required":["port"],
                                      "properties":{"port":{"type":"integer"}}}}}})",
                    R"({"limits":{"max":12},"nmae":"x","servers":[{"port":1},{"port":"2"},{}]})"),
              UnorderedElementsAre("name: is missing", "limits.max: must be at most 10, not 12",
                                   "nmae: unknown key; did you mean \"name\"?",
                                   "servers[1].port: must be an integer, not a string",
                                   "servers[2].port: is missing"));
}

struct Case {
  const char* schema;
  const char* fits;
  const char* misfits;
  const char* told;
};

// Every keyword of draft 7 that asserts something: one value of "x" that fits, one that does not.
TEST(SchemaTest, KnowsTheKeywordsOfDraft7) {
  const std::vector<Case> cases = {
      {R"({"type":"string"})", R"("a")", "1", "must be a string, not 1"},
      {R"({"type":"integer"})", "1.0", "1.5", "must be an integer, not 1.5"},
      {R"({"type":"number"})", "2", R"("2")", "must be a number, not a string"},
      {R"({"type":"boolean"})", "true", "0", "must be true or false, not 0"},
      {R"({"type":"array"})", "[]", "{}", "must be an array, not a table"},
      {R"({"type":"object"})", "{}", "[]", "must be a table, not an array"},
      {R"({"type":["string","null"]})", "null", "true", "must be a string or null, not true"},
      {R"({"enum":["red","green",3]})", "3", R"("gren")",
       R"(must be "red" or "green" or 3, not "gren"; did you mean "green"?)"},
      {R"({"const":{"a":[1]}})", R"({"a":[1.0]})", R"({"a":[2]})", "must be a table, not a table"},
      {R"({"minimum":1})", "1", "0", "must be at least 1, not 0"},
      {R"({"maximum":1.5})", "1.5", "2", "must be at most 1.5, not 2"},
      {R"({"exclusiveMinimum":0})", "0.1", "0", "must be more than 0, not 0"},
      {R"({"exclusiveMaximum":0})", "-1", "0", "must be less than 0, not 0"},
      {R"({"multipleOf":0.1})", "0.3", "0.35", "must be a multiple of 0.1, not 0.35"},
      {R"({"multipleOf":4})", "-8", "6", "must be a multiple of 4, not 6"},
      {R"({"minLength":2})", R"("éé")", R"("é")", "must have at least 2 characters, not 1"},
      {R"({"maxLength":1})", R"("é")", R"("ab")", "must have at most 1 character, not 2"},
      {R"({"pattern":"^[a-z]+\\u00e9$"})", R"("abé")", R"("ab")",
       R"(must match "^[a-z]+\\u00e9$", not be "ab")"},
      {R"({"pattern":"b"})", R"("abc")", R"("ac")", R"(must match "b", not be "ac")"},
      {R"({"items":{"type":"integer"}})", "[1,2]", "[1,true]", "[1]: must be an integer, not true"},
      {R"({"items":[true,{"type":"string"}],"additionalItems":false})", R"([1,"a"])",
       R"([1,"a",2])", "[2]: is not allowed"},
      {R"({"additionalItems":false})", "[1]", nullptr, nullptr},
      {R"({"contains":{"const":7}})", "[1,7]", "[1]",
       R"(has no item that fits "#/properties/x/contains")"},
      {R"({"minItems":1})", "[0]", "[]", "must have at least 1 item, not 0"},
      {R"({"maxItems":1})", "[0]", "[0,1]", "must have at most 1 item, not 2"},
      {R"({"uniqueItems":true})", R"([1,"1",true,[1]])", R"(["a","b","a"])", R"(has "a" twice)"},
      {R"({"minProperties":1})", R"({"a":1})", "{}", "must have at least 1 key, not 0"},
      {R"({"maxProperties":1})", R"({"a":1})", R"({"a":1,"b":2})",
       "must have at most 1 key, not 2"},
      {R"({"required":["a"]})", R"({"a":1})", R"({"b":1})", ".a: is missing"},
      {R"({"additionalProperties":{"type":"string"}})", R"({"a":"b"})", R"({"a":1})",
       ".a: must be a string, not 1"},
      {R"({"patternProperties":{"^p_":{"type":"integer"}},"additionalProperties":false})",
       R"({"p_a":1})", R"({"p_a":"b"})", ".p_a: must be an integer, not a string"},
      {R"({"propertyNames":{"maxLength":2}})", R"({"ab":1})", R"({"abc":1})",
       ".abc: its name must have at most 2 characters, not 3"},
      {R"({"dependencies":{"a":["b"]}})", R"({"c":1})", R"({"a":1})",
       R"(.b: is missing beside "a")"},
      {R"({"dependencies":{"a":{"required":["c"]}}})", R"({"a":1,"c":2})", R"({"a":1})",
       ".c: is missing"},
      {R"({"allOf":[{"minimum":1},{"maximum":3}]})", "2", "4", "must be at most 3, not 4"},
      {R"({"anyOf":[{"type":"string"},{"minimum":3}]})", "3", "2", "must be at least 3, not 2"},
      {R"({"oneOf":[{"multipleOf":2},{"multipleOf":3}]})", "3", "6",
       "fits 2 of its 2 alternatives, but must fit exactly one"},
      {R"({"not":{"const":1}})", "2", "1", R"(must not fit "#/properties/x/not")"},
      {R"({"if":{"minimum":10},"then":{"multipleOf":10},"else":{"const":1}})", "20", "25",
       "must be a multiple of 10, not 25"},
      {R"({"if":{"minimum":10},"then":{"multipleOf":10},"else":{"const":1}})", "1", "2",
       "must be 1, not 2"},
      {"false", nullptr, "1", "is not allowed"},
      {"true", "1", nullptr, nullptr},
      {R"({"format":"email","title":"t","default":1,"unheardOf":{}})", "1", nullptr, nullptr},
  };
  for (const auto& [schema, fits, misfits, told] : cases) {
    const auto whole = fmt::format(R"({{"properties":{{"x":{}}}}})", schema);
    if (fits != nullptr) {
      EXPECT_THAT(Check(whole, fmt::format(R"({{"x":{}}})", fits)), IsEmpty()) << schema;
    }
    if (misfits != nullptr) {
      const bool deeper = told[0] == '.' || told[0] == '[';
      EXPECT_THAT(Check(whole, fmt::format(R"({{"x":{}}})", misfits)),
                  ElementsAre(fmt::format("x{}{}", deeper ? "" : ": ", told)))
          << schema;
    }
  }
}

TEST(SchemaTest, KeysThatAreNoBareTomlKeysAreQuotedInPaths) {
  EXPECT_THAT(
      Check(R"({"additionalProperties":{"type":"string"}})", R"({"a b":1,"c.d":2})"),
      ElementsAre(R"("a b": must be a string, not 1)", R"("c.d": must be a string, not 2)"));
}

TEST(SchemaTest, TheAlternativeThatWasMeantSpeaks) {
  const auto* const kSchema = R"({"properties":{"store":{"oneOf":[
      {"properties":{"kind":{"const":"file"},"path":{"type":"string"}},"required":["kind","path"]},
      {"properties":{"kind":{"const":"redis"},"port":{"type":"integer"}},"required":["kind"]}]}}})";
  EXPECT_THAT(Check(kSchema, R"({"store":{"kind":"redis","port":"x"}})"),
              ElementsAre("store.port: must be an integer, not a string"));
  EXPECT_THAT(Check(kSchema, R"({"store":{"kind":"file"}})"),
              ElementsAre("store.path: is missing"));
}

TEST(SchemaTest, AlternativesOfWhichNoneWasMeantAreAllNamed) {
  EXPECT_THAT(Check(R"({"properties":{"x":{"anyOf":[{"type":"string"},{"type":"integer"}]}}})",
                    R"({"x":[]})"),
              ElementsAre("x: fits none of its 2 alternatives: must be a string, not an array; or "
                          "must be an integer, not an array"));
}

TEST(SchemaTest, FollowsReferencesWithinItself) {
  const auto* const kSchema = R"({"$id":"https://example.org/tree.json",
    "definitions":{"no/de":{"properties":{"next":{"$ref":"#/definitions/no~1de"},
                                          "v":{"$ref":"#count"}}},
                   "n":{"$id":"#count","type":"integer"},
                   "percent%":{"const":1}},
    "properties":{"head":{"$ref":"https://example.org/tree.json#/definitions/no~1de"},
                  "p":{"$ref":"#/definitions/percent%25"}}})";
  EXPECT_THAT(Check(kSchema, R"({"head":{"next":{"next":{"v":1}}},"p":1})"), IsEmpty());
  EXPECT_THAT(Check(kSchema, R"({"head":{"next":{"next":{"v":"x"}}}})"),
              ElementsAre("head.next.next.v: must be an integer, not a string"));
}

TEST(SchemaTest, RefusesWhatIsNoSchemaAndSaysWhere) {
  EXPECT_EQ(Refusal(""), "is not JSON: line 1, column 1");
  EXPECT_EQ(Refusal("{\n  \"type\": }"), "is not JSON: line 2, column 11");
  EXPECT_EQ(Refusal("[]"), "must be an object");
  EXPECT_EQ(Refusal("true"), "must be an object");
  EXPECT_EQ(Refusal(R"({"properties":{"a":{"type":"strng"}}})"),
            R"(at "#/properties/a": there is no type "strng")");
  EXPECT_EQ(Refusal(R"({"items":[{"minimum":"1"}]})"),
            R"(at "#/items/0": "minimum" must be a number)");
  EXPECT_EQ(Refusal(R"({"maxLength":-1})"),
            R"(at "#": "maxLength" must be a whole number that is not negative)");
  EXPECT_EQ(Refusal(R"({"properties":{"a":3}})"),
            R"(at "#/properties/a": a schema must be an object, true or false)");
  EXPECT_EQ(Refusal(R"({"enum":[]})"), R"(at "#": "enum" must be a list that is not empty)");
  EXPECT_EQ(Refusal(R"({"minimum":1e999})"), "is not JSON: a number is too large");
}

TEST(SchemaTest, RefusesOtherDraftsRatherThanOverlookTheirKeywords) {
  EXPECT_THAT(Refusal(R"({"$schema":"https://json-schema.org/draft/2020-12/schema"})"),
              HasSubstr("must be draft 7"));
  EXPECT_EQ(Refusal(R"({"$schema":"http://json-schema.org/draft-07/schema#"})"), "compiled");
  EXPECT_EQ(Refusal(R"({"properties":{"a":{"prefixItems":[true]}}})"),
            R"(at "#/properties/a": "prefixItems" is of a later draft than draft 7)");
}

TEST(SchemaTest, RefusesReferencesToOtherDocumentsByName) {
  EXPECT_EQ(
      Refusal(R"({"properties":{"a":{"$ref":"http://example.org/a.json#/x"}}})"),
      R"(at "#/properties/a": "$ref" "http://example.org/a.json#/x" leads out of the schema; )"
      R"(only references that begin with "#" are followed)");
  EXPECT_THAT(Refusal(R"({"$ref":"file:///etc/passwd"})"), HasSubstr("leads out of the schema"));
  EXPECT_THAT(Refusal(R"({"$ref":"#/definitions/none"})"), HasSubstr("leads nowhere"));
  EXPECT_THAT(Refusal(R"({"$ref":"#nothing"})"), HasSubstr("leads nowhere"));
  EXPECT_THAT(Refusal(R"({"properties":{"a":{"$id":"b.json"}}})"), HasSubstr("not supported"));
}

TEST(SchemaTest, RefusesCirclesThatLookAtNothingNew) {
  for (const auto* schema :
       {R"({"$ref":"#"})", R"({"allOf":[{"$ref":"#"}]})", R"({"not":{"anyOf":[{"$ref":"#"}]}})",
        R"({"if":{"$ref":"#"}})", R"({"dependencies":{"a":{"$ref":"#"}}})",
        R"({"definitions":{"a":{"$ref":"#/definitions/b"},"b":{"$ref":"#/definitions/a"}}})"}) {
    EXPECT_THAT(Refusal(schema), HasSubstr("goes in a circle without an end")) << schema;
  }
  EXPECT_EQ(Refusal(R"({"additionalProperties":{"$ref":"#"},"items":{"$ref":"#"}})"), "compiled");
}

TEST(SchemaTest, RefusesChainsOfReferencesThatWouldOverflowTheStack) {
  std::string definitions;
  constexpr int kLinks = 5000;
  for (int i = 0; i < kLinks; ++i)
    definitions += fmt::format(R"("d{}":{{"$ref":"#/definitions/d{}"}},)", i, i + 1);
  definitions += fmt::format(R"("d{}":true)", kLinks);
  EXPECT_THAT(Refusal(fmt::format(R"({{"definitions":{{{}}}}})", definitions)),
              HasSubstr("more than 32 references"));
}

TEST(SchemaTest, RefusesPatternsBeyondLinearTime) {
  EXPECT_THAT(Refusal(R"({"pattern":"(?=a)b"})"),
              AllOf(HasSubstr(R"("pattern" "(?=a)b")"), HasSubstr("linear time")));
  EXPECT_THAT(Refusal(R"({"pattern":"(a)\\1"})"), HasSubstr("linear time"));
  EXPECT_THAT(Refusal(R"({"pattern":"[a-\u001b]"})"), HasSubstr(R"(range: "a-\u001B")"))
      << "nothing of the pattern reaches a terminal as it is";
  EXPECT_THAT(Refusal(R"({"pattern":"(((a{100}){100}){100}){100}"})"), HasSubstr("linear time"));
  EXPECT_THAT(Refusal(R"({"pattern":"("})"), HasSubstr("pattern"));
  EXPECT_THAT(Refusal(fmt::format(R"({{"pattern":"{}"}})", std::string(5000, 'a'))),
              HasSubstr("at most 4096 bytes"));
  std::string many;
  for (int i = 0; i < 100; ++i)
    many += fmt::format(R"({}"a{}":{{"pattern":"[a-z]{{900}}"}})", i > 0 ? "," : "", i);
  EXPECT_THAT(Refusal(fmt::format(R"({{"properties":{{{}}}}})", many)),
              HasSubstr("all patterns together are too large"));
}

TEST(SchemaTest, RefusesWhatIsTooLargeOrTooDeep) {
  EXPECT_EQ(Refusal(fmt::format(R"({{"title":"{}"}})", std::string(kMaxSchemaBytes, 'a'))),
            "has 262156 bytes, at most 262144 are allowed");
  std::string deep;
  for (int i = 0; i < 100'000; ++i) deep += '[';
  EXPECT_EQ(Refusal(deep), "is nested deeper than 64 levels");
  std::string many = R"({"anyOf":[true)";
  for (int i = 0; i < 20'000; ++i) many += ",true";
  EXPECT_THAT(Refusal(many + "]}"), HasSubstr("more than 16384 schemas"));
}

// ── Hostile schemas that compile: they cost a bounded time, whatever is checked.

class Watch {
 public:
  double Seconds() const {
    return std::chrono::duration<double>(std::chrono::steady_clock::now() - start_).count();
  }

 private:
  std::chrono::steady_clock::time_point start_ = std::chrono::steady_clock::now();
};

// Unoptimized under sanitizers this takes longer, but never without end.
constexpr double kSomeSeconds = 20;

TEST(SchemaTest, AlternativesThatDoubleAtEachStepRunOutOfSteps) {
  std::string definitions;
  constexpr int kLevels = 14;
  for (int i = 0; i < kLevels; ++i) {
    const auto next = fmt::format(R"({{"$ref":"#/definitions/d{}"}})", i + 1);
    definitions += fmt::format(R"("d{}":{{"anyOf":[{},{},{},{}]}},)", i, next, next, next, next);
  }
  const Watch watch;
  EXPECT_THAT(Check(fmt::format(R"({{"definitions":{{{}"d{}":false}},"$ref":"#/definitions/d0"}})",
                                definitions, kLevels),
                    "{}"),
              ElementsAre(HasSubstr("cannot be checked in 2000000 steps")));
  EXPECT_LT(watch.Seconds(), kSomeSeconds);
}

TEST(SchemaTest, PatternsThatExplodeElsewhereAreMatchedInTime) {
  const std::string text = std::string(900'000, 'a') + "!";
  const Watch watch;
  for (const auto* pattern : {"^(a+)+$", "^(a|a)*$", "^(a|b)*$", "(x+x+)+y"}) {
    EXPECT_THAT(Check(fmt::format(R"({{"properties":{{"x":{{"pattern":"{}"}}}}}})", pattern),
                      fmt::format(R"({{"x":"{}"}})", text)),
                ElementsAre(HasSubstr("must match")))
        << pattern;
  }
  EXPECT_LT(watch.Seconds(), kSomeSeconds);
}

TEST(SchemaTest, LargePatternsOnLargeTextsRunOutOfSteps) {
  const std::string text(900'000, 'a');
  const Watch watch;
  EXPECT_THAT(Check(R"({"properties":{"x":{"pattern":"[ab]*a[ab]{800}c"}}})",
                    fmt::format(R"({{"x":"{}"}})", text)),
              ElementsAre(HasSubstr("cannot be checked")));
  EXPECT_LT(watch.Seconds(), kSomeSeconds);
}

TEST(SchemaTest, ManyRequiredKeysInManyTablesRunOutOfSteps) {
  std::string required;
  for (int i = 0; i < 30'000; ++i) required += fmt::format(R"({}"k{}")", i > 0 ? "," : "", i);
  std::string items = "{}";
  for (int i = 0; i < 300'000; ++i) items += ",{}";
  const Watch watch;
  EXPECT_THAT(
      Check(fmt::format(R"({{"additionalProperties":{{"items":{{"not":{{"required":[{}]}}}}}}}})",
                        required),
            fmt::format(R"({{"x":[{}]}})", items)),
      ElementsAre(HasSubstr("cannot be checked")));
  EXPECT_LT(watch.Seconds(), kSomeSeconds);
}

TEST(SchemaTest, AHundredMisfitsAreTold) {
  std::string items = "1";
  for (int i = 0; i < 5000; ++i) items += ",1";
  EXPECT_THAT(Check(R"({"additionalProperties":{"items":{"type":"string"}}})",
                    fmt::format(R"({{"x":[{}]}})", items)),
              SizeIs(kMaxMisfits));
}

TEST(SchemaTest, SettingsOfTheGreatestSizeAreWithinTheSteps) {
  std::string items = R"({"name":"a1","port":1})";
  for (int i = 0; i < 30'000; ++i) items += R"(,{"name":"b2","port":65535})";
  EXPECT_THAT(Check(R"({"properties":{"x":{"items":{"$ref":"#/definitions/s"}}},
                        "definitions":{"s":{"type":"object","required":["name","port"],
                          "additionalProperties":false,
                          "properties":{"name":{"type":"string","pattern":"^[a-z][a-z0-9]*$"},
                                        "port":{"type":"integer","maximum":65535}}}}})",
                    fmt::format(R"({{"x":[{}]}})", items)),
              IsEmpty());
}

TEST(SchemaTest, MessagesArePrintableWhateverTheSchemaAndTheSettingsSay) {
  const std::string control = "\\u001b[31m";
  EXPECT_THAT(
      Refusal(fmt::format(R"({{"properties":{{"{}":{{"type":"{}"}}}}}})", control, control)),
      testing::Not(HasSubstr("\x1b")));
  EXPECT_THAT(Check(fmt::format(R"({{"enum":["{}"],"additionalProperties":false}})", control),
                    fmt::format(R"({{"{}":"{}"}})", control, control)),
              testing::Each(testing::Not(HasSubstr("\x1b"))));
  EXPECT_THAT(
      Check(fmt::format(R"({{"properties":{{"a\n{}":{{}}}},"additionalProperties":false}})", "b"),
            R"({"a\nc":"x"})"),
      testing::Each(testing::Not(HasSubstr("\n"))));
}

}  // namespace
}  // namespace plugind::config
