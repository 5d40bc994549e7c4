#include "daemon/supervisor/record.h"

#include <gtest/gtest.h>
#include <rapidcheck/gtest.h>

#include <map>
#include <string>
#include <vector>

namespace plugind::supervisor {
namespace {

template <typename Enum>
Enum AnyOf(Enum first, Enum last) {
  return static_cast<Enum>(
      *rc::gen::inRange<int>(static_cast<int>(first), static_cast<int>(last) + 1));
}
Instant AnyInstant() { return Instant(Duration(*rc::gen::arbitrary<int64_t>())); }
WallTime AnyWallTime() { return WallTime(Duration(*rc::gen::arbitrary<int64_t>())); }
std::string AnyText() { return *rc::gen::arbitrary<std::string>(); }

Record AnyRecord() {
  Record record;
  record.state = AnyOf(kFirstState, kLastState);
  record.phase = AnyOf(Phase::kNone, Phase::kWarmUp);
  record.wanted = *rc::gen::arbitrary<bool>();
  record.state_since = AnyWallTime();
  record.reason = AnyText();
  record.restarts = *rc::gen::arbitrary<uint32_t>();
  record.ever_started = *rc::gen::arbitrary<bool>();
  record.automatic = *rc::gen::arbitrary<bool>();
  Instant now(std::chrono::hours(1));
  for (const int pause : *rc::gen::container<std::vector<int>>(rc::gen::inRange(0, 100))) {
    now += std::chrono::seconds(pause);
    record.policy.OnFailure({}, {}, now, Duration::zero(), 0.5);
  }
  record.retry_at = AnyInstant();
  if (*rc::gen::arbitrary<bool>()) {
    LastExit exit;
    exit.status = {*rc::gen::arbitrary<int>(), *rc::gen::arbitrary<int>(),
                   *rc::gen::arbitrary<bool>(), *rc::gen::arbitrary<bool>()};
    exit.at = AnyWallTime();
    exit.instance = AnyText();
    exit.pid = *rc::gen::arbitrary<int>();
    record.last_exit = exit;
  }
  record.instance = AnyText();
  record.pid = *rc::gen::arbitrary<int>();
  record.fingerprint = *rc::gen::arbitrary<uint64_t>();
  if (*rc::gen::arbitrary<bool>()) record.identity = tls::Identity{AnyText(), AnyText()};
  if (*rc::gen::arbitrary<bool>()) {
    record.handshake = Handshake{*rc::gen::arbitrary<uint32_t>(),
                                 AnyOf(Network::kUnix, Network::kTcp), AnyText(), AnyText()};
  }
  record.refused_settings = *rc::gen::arbitrary<uint64_t>();
  record.refusal = AnyText();
  record.services = *rc::gen::arbitrary<std::vector<std::string>>();
  record.terms.served = *rc::gen::arbitrary<bool>();
  record.terms.version = AnyText();
  record.terms.sdk = AnyText();
  record.terms.capabilities = *rc::gen::arbitrary<std::map<std::string, std::string>>();
  record.terms.takes_settings = *rc::gen::arbitrary<bool>();
  record.terms.generation = *rc::gen::arbitrary<uint64_t>();
  record.terms.settings = *rc::gen::arbitrary<uint64_t>();
  record.terms.settings_at = AnyWallTime();
  record.terms.status_text = AnyText();
  record.start_deadline = AnyInstant();
  record.ready_since = AnyInstant();
  record.ready_at = AnyWallTime();
  record.was_ready = *rc::gen::arbitrary<bool>();
  record.end_cause = AnyOf(EndCause::kNone, EndCause::kPermanent);
  record.end_reason = AnyText();
  record.rung = AnyOf(StopRung::kNone, StopRung::kKill);
  record.rung_deadline = AnyInstant();
  return record;
}

RC_GTEST_PROP(RecordProperty, WhatOnePlugindWritesTheNextReads, ()) {
  const Record record = AnyRecord();
  const auto read = Record::Decode(record.Encode());
  RC_ASSERT(read.has_value());
  RC_ASSERT(*read == record);
}

RC_GTEST_PROP(RecordProperty, ATruncatedRecordIsNone, ()) {
  const std::string bytes = AnyRecord().Encode();
  const auto size = *rc::gen::inRange<size_t>(0, bytes.size());
  RC_ASSERT(!Record::Decode(std::string_view(bytes).substr(0, size)));
}

RC_GTEST_PROP(RecordProperty, ARecordWithSomethingBehindItIsNone, ()) {
  const auto tail = *rc::gen::nonEmpty<std::string>();
  RC_ASSERT(!Record::Decode(AnyRecord().Encode() + tail));
}

RC_GTEST_PROP(RecordProperty, AFlippedBitIsSurvivedAndGivesValidEnumsOrNothing, ()) {
  std::string bytes = AnyRecord().Encode();
  const auto at = *rc::gen::inRange<size_t>(0, bytes.size());
  const auto bit = *rc::gen::inRange<unsigned>(0, 8);
  bytes[at] = static_cast<char>(static_cast<unsigned char>(bytes[at]) ^ (1U << bit));
  const auto read = Record::Decode(bytes);
  if (!read) return;
  RC_ASSERT(read->state >= kFirstState && read->state <= kLastState);
  RC_ASSERT(read->phase <= Phase::kWarmUp);
  RC_ASSERT(read->end_cause <= EndCause::kPermanent);
  RC_ASSERT(read->rung <= StopRung::kKill);
}

RC_GTEST_PROP(RecordProperty, ArbitraryBytesAreSurvived, (const std::string& bytes)) {
  Record::Decode(bytes);
}

TEST(RecordTest, AnotherLayoutIsNoRecord) {
  std::string bytes = Record().Encode();
  ASSERT_TRUE(Record::Decode(bytes));
  bytes[0] = static_cast<char>(bytes[0] + 1);
  EXPECT_FALSE(Record::Decode(bytes));
}

TEST(RecordTest, StaysFarBelowWhatTheKeeperTakesHoweverLongTheReasons) {
  Record record;
  record.reason.assign(1 << 20, 'r');
  record.end_reason.assign(1 << 20, 'e');
  const config::Quarantine most{.failures = 1000, .window = std::chrono::hours(24)};
  for (int i = 0; i < 999; ++i) record.policy.OnFailure({}, most, Instant(), Duration::zero(), 0.5);
  const std::string bytes = record.Encode();
  EXPECT_LT(bytes.size(), size_t{32} * 1024);
  const auto read = Record::Decode(bytes);
  ASSERT_TRUE(read);
  EXPECT_EQ(read->reason, record.reason.substr(0, read->reason.size()));
  EXPECT_GE(read->reason.size(), 1024U);
  EXPECT_EQ(read->policy, record.policy);
}

}  // namespace
}  // namespace plugind::supervisor
