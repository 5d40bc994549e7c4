#include "daemon/pluginctl/conformance/report.h"

#include <fmt/format.h>

#include <algorithm>
#include <nlohmann/json.hpp>

#include "daemon/pluginctl/text.h"

namespace plugind::pluginctl::conformance {
namespace {

constexpr size_t kStderrLines = 10;

// As JSON and YAML have it in common: in quotes, on one line, ASCII but for well-formed UTF-8.
std::string Quoted(std::string_view text) {
  return nlohmann::json(std::string(text))
      .dump(-1, ' ', false, nlohmann::json::error_handler_t::replace);
}

// A description ends at "#" and takes no line break; a backslash before either makes it plain.
std::string TapText(std::string_view text) {
  std::string escaped;
  for (const char c : Printable(text)) {
    if (c == '#' || c == '\\') escaped += '\\';
    escaped += c;
  }
  return escaped;
}

// XML 1.0 has no way to say most control characters; Printable leaves none of them.
std::string Xml(std::string_view text) {
  std::string escaped;
  for (const char c : Printable(text)) {
    switch (c) {
      case '&':
        escaped += "&amp;";
        break;
      case '<':
        escaped += "&lt;";
        break;
      case '>':
        escaped += "&gt;";
        break;
      case '"':
        escaped += "&quot;";
        break;
      default:
        escaped += c;
    }
  }
  return escaped;
}

std::string Seconds(std::chrono::milliseconds time) {
  return fmt::format("{}.{:03}", time.count() / 1000, time.count() % 1000);
}

std::string_view Name(Verdict verdict) {
  switch (verdict) {
    case Verdict::kPassed:
      return "passed";
    case Verdict::kFailed:
      return "failed";
    case Verdict::kSkipped:
      return "skipped";
  }
  return "";
}

std::string TapDetails(const Result& result) {
  std::string yaml = "  ---\n";
  yaml += fmt::format("  rule: {}\n", Quoted(result.rule->text));
  yaml += fmt::format("  seen: {}\n", Quoted(Printable(result.finding.seen)));
  yaml += fmt::format("  see: {}\n", Quoted(See(*result.rule)));
  const auto lines = LastLines(result.stderr_tail, kStderrLines);
  if (!lines.empty()) yaml += "  stderr:\n";
  for (const std::string& line : lines) yaml += fmt::format("    - {}\n", Quoted(line));
  return yaml + "  ...\n";
}

}  // namespace

std::string_view Name(Level level) {
  switch (level) {
    case Level::kFloor:
      return "floor";
    case Level::kContract:
      return "contract";
    case Level::kAdvice:
      return "advice";
  }
  return "";
}

size_t Report::Count(Verdict verdict) const {
  return static_cast<size_t>(std::ranges::count_if(
      results, [&](const Result& result) { return result.finding.verdict == verdict; }));
}

std::string See(const Rule& rule) { return fmt::format("{}#{}", kPage, rule.id); }

std::string ToTap(const Report& report) {
  std::string tap = fmt::format("TAP version 13\n1..{}\n", report.results.size());
  size_t number = 0;
  for (const Result& result : report.results) {
    const Finding& finding = result.finding;
    const bool failed = finding.verdict == Verdict::kFailed;
    tap += fmt::format("{}ok {} - {}", failed ? "not " : "", ++number, result.rule->id);
    if (finding.verdict == Verdict::kSkipped) tap += " # SKIP " + TapText(finding.seen);
    tap += '\n';
    if (failed) tap += TapDetails(result);
    if (finding.verdict == Verdict::kPassed && !finding.seen.empty())
      tap += fmt::format("# {}: {}\n", result.rule->id, Printable(finding.seen));
  }
  return tap;
}

std::string ToJunit(const Report& report) {
  std::string xml = "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n";
  xml += fmt::format(
      "<testsuite name=\"{}\" tests=\"{}\" failures=\"{}\" errors=\"0\" skipped=\"{}\" "
      "time=\"{}\">\n",
      Xml(report.plugin), report.results.size(), report.Count(Verdict::kFailed),
      report.Count(Verdict::kSkipped), Seconds(report.took));
  for (const Result& result : report.results) {
    xml += fmt::format("  <testcase classname=\"plugind.{}\" name=\"{}\" time=\"{}\">\n",
                       Name(result.rule->level), result.rule->id, Seconds(result.took));
    const std::string seen = Xml(result.finding.seen);
    switch (result.finding.verdict) {
      case Verdict::kFailed:
        xml += fmt::format("    <failure message=\"{}\">{} See {}</failure>\n", seen,
                           Xml(result.rule->text), See(*result.rule));
        break;
      case Verdict::kSkipped:
        xml += fmt::format("    <skipped message=\"{}\"/>\n", seen);
        break;
      case Verdict::kPassed:
        if (!seen.empty()) xml += fmt::format("    <system-out>{}</system-out>\n", seen);
        break;
    }
    const auto lines = LastLines(result.stderr_tail, kStderrLines);
    if (!lines.empty()) {
      xml += "    <system-err>";
      for (const std::string& line : lines) xml += Xml(line) + '\n';
      xml += "</system-err>\n";
    }
    xml += "  </testcase>\n";
  }
  return xml + "</testsuite>\n";
}

std::string ToJson(const Report& report) {
  using nlohmann::ordered_json;
  ordered_json rules = ordered_json::array();
  for (const Result& result : report.results) {
    ordered_json rule = {{"id", result.rule->id},
                         {"level", Name(result.rule->level)},
                         {"verdict", Name(result.finding.verdict)},
                         {"seen", result.finding.seen},
                         {"rule", result.rule->text},
                         {"see", See(*result.rule)},
                         {"milliseconds", result.took.count()}};
    if (!result.stderr_tail.empty()) rule["stderrTail"] = result.stderr_tail;
    rules.push_back(std::move(rule));
  }
  const ordered_json document = {{"plugin", report.plugin},
                                 {"contract", report.contract},
                                 {"passed", report.Count(Verdict::kPassed)},
                                 {"failed", report.Count(Verdict::kFailed)},
                                 {"skipped", report.Count(Verdict::kSkipped)},
                                 {"milliseconds", report.took.count()},
                                 {"rules", std::move(rules)}};
  return document.dump(-1, ' ', false, ordered_json::error_handler_t::replace) + '\n';
}

std::string ToText(const Report& report, const Terminal& terminal) {
  std::string text;
  for (const Result& result : report.results) {
    const Finding& finding = result.finding;
    const std::string seen = Printable(finding.seen);
    switch (finding.verdict) {
      case Verdict::kPassed:
        text += terminal.Paint(Colour::kGreen, "ok  ");
        text += fmt::format("  {}", result.rule->id);
        if (!seen.empty()) text += terminal.Paint(Colour::kDim, "  " + seen);
        break;
      case Verdict::kSkipped:
        text += terminal.Paint(Colour::kDim, fmt::format("skip  {}  {}", result.rule->id, seen));
        break;
      case Verdict::kFailed:
        text += terminal.Paint(Colour::kRed, "FAIL");
        text += "  " + terminal.Paint(Colour::kBold, result.rule->id);
        text += fmt::format("\n        seen  {}\n        rule  {}\n        see   {}", seen,
                            result.rule->text, See(*result.rule));
        for (const std::string& line : LastLines(result.stderr_tail, kStderrLines))
          text += terminal.Paint(Colour::kDim, "\n        stderr| " + line);
        break;
    }
    text += '\n';
  }
  const size_t failed = report.Count(Verdict::kFailed);
  text += fmt::format(
      "{}: {} passed, {}, {} skipped, in {} s\n",
      report.contract ? "the contract and the floor" : "the floor", report.Count(Verdict::kPassed),
      terminal.Paint(failed == 0 ? Colour::kNone : Colour::kRed, fmt::format("{} failed", failed)),
      report.Count(Verdict::kSkipped), Seconds(report.took));
  return text;
}

}  // namespace plugind::pluginctl::conformance
