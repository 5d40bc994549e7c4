// A page of metrics in Prometheus's text format, version 0.0.4. Pure.
//
//   Exposition page;
//   page.Family("plugind_plugin_ready", Exposition::Type::kGauge, "Whether it is READY.");
//   page.Sample({{"plugin", "kv"}}, 1);
//
//   # HELP plugind_plugin_ready Whether it is READY.
//   # TYPE plugind_plugin_ready gauge
//   plugind_plugin_ready{plugin="kv"} 1
//
// Names are our own words; values of labels may be anybody's, and stay within their quotes.
#pragma once

#include <cstdint>
#include <initializer_list>
#include <span>
#include <string>
#include <string_view>
#include <utility>

namespace plugind::observe {

inline constexpr char kExpositionType[] = "text/plain; version=0.0.4; charset=utf-8";

class Exposition {
 public:
  enum class Type {
    kCounter,  // its name ends in _total
    kGauge,
    kHistogram,
  };
  using Label = std::pair<std::string_view, std::string_view>;
  using Labels = std::initializer_list<Label>;

  // What the samples up to the next call belong to. Each family once.
  void Family(std::string_view name, Type type, std::string_view help);
  void Sample(Labels labels, uint64_t value);
  void Sample(Labels labels, double value);
  // `counts`: of each bucket alone; `bounds`: their inclusive upper bounds in seconds, rising. One
  // more count than bounds: what is beyond the last.
  void Histogram(Labels labels, std::span<const double> bounds, std::span<const uint64_t> counts,
                 double sum);

  std::string Take() { return std::move(text_); }

 private:
  void Name(std::string_view suffix, Labels labels, std::string_view le);

  std::string text_;
  std::string family_;
};

}  // namespace plugind::observe
