// A JSON object on one line. What is deeper or has more keys than a log line ever has is not taken
// apart, and so stays whole as a raw line.
#include <nlohmann/json.hpp>

#include "daemon/observe/log_line.h"
#include "daemon/observe/text.h"

namespace plugind::observe {
namespace {

constexpr size_t kMaxDepth = 16;
constexpr size_t kMaxKeys = 128;

// Collects the keys of the outermost object in their order, each value as text: strings as they
// are, anything else as JSON. Returning false ends the parsing.
class KeyCollector final : public nlohmann::json_sax<nlohmann::json> {
 public:
  Fields Take() { return std::move(keys_); }

  bool null() override { return Scalar("null"); }
  bool boolean(bool value) override { return Scalar(value ? "true" : "false"); }
  bool number_integer(number_integer_t value) override { return Scalar(std::to_string(value)); }
  bool number_unsigned(number_unsigned_t value) override { return Scalar(std::to_string(value)); }
  bool number_float(number_float_t, const string_t& digits) override { return Scalar(digits); }
  bool string(string_t& value) override {
    if (depth_ != 1) {
      BeginValue();
      AppendJsonString(Value(), value);
      return true;
    }
    Value() = std::move(value);
    return true;
  }
  bool binary(binary_t&) override { return false; }

  bool start_object(size_t) override { return Open('{'); }
  bool end_object() override { return Close('}'); }
  bool start_array(size_t) override { return Open('['); }
  bool end_array() override { return Close(']'); }

  bool key(string_t& key) override {
    if (depth_ == 1) {
      if (keys_.size() == kMaxKeys) return false;
      keys_.emplace_back(std::move(key), std::string());
      return true;
    }
    BeginValue();
    AppendJsonString(Value(), key);
    Value().push_back(':');
    comma_ = false;
    return true;
  }

  bool parse_error(size_t, const std::string&, const nlohmann::detail::exception&) override {
    return false;
  }

 private:
  std::string& Value() { return keys_.back().second; }

  void BeginValue() {
    if (comma_) Value().push_back(',');
    comma_ = true;
  }

  bool Scalar(std::string_view text) {
    if (depth_ > 1) BeginValue();
    Value().append(text);
    return true;
  }

  bool Open(char bracket) {
    if (++depth_ > kMaxDepth) return false;
    if (depth_ == 1) return true;  // the line itself
    if (depth_ > 2) BeginValue();
    Value().push_back(bracket);
    comma_ = false;
    return true;
  }

  bool Close(char bracket) {
    if (--depth_ == 0) return true;
    Value().push_back(bracket);
    comma_ = true;
    return true;
  }

  Fields keys_;
  size_t depth_ = 0;
  bool comma_ = false;  // whether the next nested value follows another one
};

}  // namespace

std::optional<ParsedLine> ParseJsonLine(std::string_view line) {
  const std::string text = ValidUtf8(line);
  KeyCollector collector;
  if (!nlohmann::json::sax_parse(text, &collector)) return std::nullopt;
  ParsedLine parsed;
  if (!AssignKeys(collector.Take(), parsed)) return std::nullopt;
  return parsed;
}

}  // namespace plugind::observe
