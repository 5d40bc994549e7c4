#include "daemon/observe/exposition.h"

#include <gtest/gtest.h>

#include <cmath>
#include <vector>

namespace plugind::observe {
namespace {

using Type = Exposition::Type;

TEST(ExpositionTest, AFamilyIsItsHelpItsTypeAndItsSamples) {
  Exposition page;
  page.Family("plugind_calls_total", Type::kCounter, "Calls by \\ and\nby \"kind\".");
  page.Sample({{"plugin", "kv"}, {"outcome", "ok"}}, uint64_t{18446744073709551615U});
  page.Family("up_seconds", Type::kGauge, "Up.");
  page.Sample({}, 0.1);
  EXPECT_EQ(page.Take(),
            "# HELP plugind_calls_total Calls by \\\\ and\\nby \"kind\".\n"
            "# TYPE plugind_calls_total counter\n"
            "plugind_calls_total{plugin=\"kv\",outcome=\"ok\"} 18446744073709551615\n"
            "# HELP up_seconds Up.\n"
            "# TYPE up_seconds gauge\n"
            "up_seconds 0.1\n");
}

TEST(ExpositionTest, ALabelStaysWithinItsQuotesWhateverItSays) {
  Exposition page;
  page.Family("a", Type::kGauge, "A.");
  page.Sample({{"method", "/x\"} 1\nevil{a=\"\\"}}, uint64_t{1});
  page.Sample({{"method", "\xff\xc3\xa5\x01"}}, uint64_t{2});
  EXPECT_EQ(page.Take(),
            "# HELP a A.\n# TYPE a gauge\n"
            "a{method=\"/x\\\"} 1\\nevil{a=\\\"\\\\\"} 1\n"
            "a{method=\"\xEF\xBF\xBD\xc3\xa5\x01\"} 2\n");
}

TEST(ExpositionTest, AHistogramIsCumulativeAndEndsWithAllAtInfinity) {
  Exposition page;
  page.Family("d", Type::kHistogram, "D.");
  page.Histogram({{"plugin", "kv"}}, std::vector<double>{0.000001, 0.5},
                 std::vector<uint64_t>{1, 2, 3}, 7.25);
  EXPECT_EQ(page.Take(),
            "# HELP d D.\n# TYPE d histogram\n"
            "d_bucket{plugin=\"kv\",le=\"1e-06\"} 1\n"
            "d_bucket{plugin=\"kv\",le=\"0.5\"} 3\n"
            "d_bucket{plugin=\"kv\",le=\"+Inf\"} 6\n"
            "d_sum{plugin=\"kv\"} 7.25\n"
            "d_count{plugin=\"kv\"} 6\n");
}

TEST(ExpositionTest, NumbersThatAreNoneHaveTheirNames) {
  Exposition page;
  page.Family("a", Type::kGauge, "A.");
  page.Sample({}, NAN);
  page.Sample({}, -HUGE_VAL);
  EXPECT_EQ(page.Take(), "# HELP a A.\n# TYPE a gauge\na NaN\na -Inf\n");
}

}  // namespace
}  // namespace plugind::observe
