// Plugin: the plugin contract. Capabilities and settings at its start, new settings while it runs,
// and what its own code does before it ends.
#include <utility>

#include "daemon/observe/text.h"
#include "daemon/supervisor/kept_settings.h"
#include "daemon/supervisor/plugin.h"

namespace plugind::supervisor {
namespace {

constexpr Duration kNegotiateAgain = std::chrono::milliseconds(100);
constexpr size_t kMaxViolations = 16;      // in a reason
constexpr size_t kMaxViolationText = 256;  // bytes, each of field and reason

std::string Shown(std::string_view text) {
  return observe::Sanitized(text.substr(0, observe::Utf8Prefix(text, kMaxViolationText)));
}

std::string Describe(const std::vector<Violation>& violations) {
  std::string all;
  for (size_t i = 0; i < violations.size(); ++i) {
    if (i == kMaxViolations) return all + fmt::format("; and {} more", violations.size() - i);
    const auto& [field, reason] = violations[i];
    if (i > 0) all += "; ";
    all += field.empty() ? Shown(reason) : fmt::format("{}: {}", Shown(field), Shown(reason));
  }
  return all;
}

}  // namespace

void Plugin::Negotiate() {
  SetPhase(Phase::kNegotiate);
  const HostOffer offer = OfferTo(*config_, record_.instance, *record_.handshake);
  client_->Negotiate(offer, config_->start_timeout,
                     [this, offer](const absl::StatusOr<PluginAnswer>& answer) {
                       if (!HasEnded() && state() == State::kStarting) OnAnswer(offer, answer);
                     });
}

void Plugin::OnAnswer(const HostOffer& offer, const absl::StatusOr<PluginAnswer>& answer) {
  if (absl::IsUnimplemented(answer.status())) {
    const absl::Status floor = AgreeOnNothing(offer);
    return floor.ok() ? WarmUp() : FailStart(std::string(Message(floor)), true);
  }
  if (absl::IsUnavailable(answer.status())) return NegotiateAgain(answer.status());
  if (!answer.ok()) {
    return FailStart(fmt::format("it did not negotiate: {}", Message(answer.status())), false);
  }
  auto agreement = Agree(offer, *answer);
  if (!agreement.ok()) return FailStart(std::string(Message(agreement.status())), true);
  const uint64_t configured = SettingsFingerprint(config_->settings);
  const bool refused_before =
      record_.automatic && !accepted_settings_.empty() && configured == record_.refused_settings;
  const absl::Status learnt = around_.learn_schema(*config_, answer->config_schema);
  if (!learnt.ok() && !refused_before) {
    record_.refused_settings = configured;
    record_.refusal = Message(learnt);
    return FailStart(record_.refusal, true);
  }
  record_.terms.served = true;
  record_.terms.version = std::move(agreement->version);
  record_.terms.sdk = std::move(agreement->sdk);
  record_.terms.capabilities = std::move(agreement->capabilities);
  record_.services = std::move(agreement->services);
  log_->SetStructured(record_.terms.Allows(kLogStructured));
  SetPhase(Phase::kConfigure);
  HandOver(refused_before ? accepted_settings_ : config_->settings);
}

// The connection broke. Usually the process is dead, which the keeper is about to report with the
// cause.
void Plugin::NegotiateAgain(const absl::Status& why) {
  contract_trouble_ = Message(why);
  negotiate_again_.Set(around_.loop.clock().Now() + kNegotiateAgain, [this] { ConnectClient(); });
}

void Plugin::HandOver(const std::string& settings) {
  configuring_ = true;
  client_->Configure({settings, record_.terms.capabilities, record_.terms.generation + 1},
                     config_->start_timeout,
                     [this, settings](const absl::StatusOr<std::vector<Violation>>& answer) {
                       configuring_ = false;
                       if (HasEnded()) return;
                       OnConfigured(settings, answer);
                     });
}

void Plugin::OnConfigured(const std::string& settings,
                          const absl::StatusOr<std::vector<Violation>>& answer) {
  const bool starting = state() == State::kStarting;
  // On its way out: its next process is handed what is configured then.
  if (!starting && state() != State::kReady && state() != State::kUnready) return;
  if (!starting && absl::IsUnavailable(answer.status())) {
    // No answer, and no refusal: the connection broke. Either the process is dead, or the next
    // check of its health connects anew, and this is tried again.
    unanswered_ = true;
    return;
  }
  if (absl::IsUnimplemented(answer.status())) {
    if (settings != "{}") {
      log_->AppendNotice(observe::Level::kWarn, "it has a [config] table and takes no settings");
    }
    if (starting) WarmUp();
    return;
  }
  if (answer.ok() && answer->empty()) {
    TakenOver(settings);
    return starting ? WarmUp() : HandOverWhatIsNew();
  }
  std::string why;
  if (answer.ok()) {
    why = Describe(*answer);
  } else if (absl::IsInvalidArgument(answer.status())) {
    why = Shown(Message(answer.status()));
  } else if (starting && absl::IsUnavailable(answer.status())) {
    return NegotiateAgain(answer.status());
  } else if (starting) {
    return FailStart(fmt::format("it did not take its settings: {}", Message(answer.status())),
                     false);
  } else {
    why = fmt::format("whether it took them is not known: {}", Message(answer.status()));
  }
  record_.refused_settings = SettingsFingerprint(settings);
  record_.refusal = why;
  if (starting) return FailStart("it refuses its settings: " + why, true);
  Save();
  log_->AppendNotice(observe::Level::kWarn,
                     "it refuses its new settings and goes on with the old ones: " + why);
  Announce(state(), "settings-refused", why);
  around_.changed();
  HandOverWhatIsNew();
}

void Plugin::TakenOver(const std::string& settings) {
  Terms& terms = record_.terms;
  terms.takes_settings = true;
  ++terms.generation;
  terms.settings = SettingsFingerprint(settings);
  terms.settings_at = around_.loop.clock().WallNow();
  if (settings == config_->settings) ForgetRefusal();
  if (settings != accepted_settings_) {
    accepted_settings_ = settings;
    const UniqueFd memory = KeepSettings(settings);
    if (memory.valid()) around_.keeper.KeepFd(SettingsFdName(name()), memory);
  }
  Save();
  if (state() != State::kStarting) Announce(state(), "configured", "");
  around_.changed();
}

void Plugin::HandOverWhatIsNew() {
  if (configuring_ || !record_.terms.takes_settings || client_ == nullptr) return;
  if (state() != State::kReady && state() != State::kUnready) return;
  unanswered_ = false;
  const uint64_t wanted = SettingsFingerprint(config_->settings);
  if (wanted == record_.terms.settings) {
    if (record_.refused_settings == 0) return;
    ForgetRefusal();  // the configuration is back at what is in force
    Save();
    Announce(state(), "configured", "its settings are again those in force");
    around_.changed();
    return;
  }
  if (wanted == record_.refused_settings) return;
  if (!record_.terms.Allows(kConfigReload)) {
    return Replace("its settings have changed, and it did not agree on config.reload");
  }
  HandOver(config_->settings);
}

void Plugin::ForgetRefusal() {
  record_.refused_settings = 0;
  record_.refusal.clear();
}

void Plugin::SetStatusText(std::string_view text) {
  if (!HasProcess(state()) || HasEnded()) return;
  std::string shown = observe::Sanitized(text);
  if (shown == record_.terms.status_text) return;
  record_.terms.status_text = std::move(shown);
  Save();
  around_.changed();
}

void Plugin::Drain() {
  calls_drained_ = false;
  plugin_drained_ = !record_.terms.served || !record_.terms.Allows(kDrain) || client_ == nullptr;
  around_.drain(name(), record_.instance);
  drain_.Set(around_.loop.clock().Now() + config_->stop.drain,
             [this] { Handle(Input::kDrained, record_.reason + "; it was not drained in time"); });
  if (plugin_drained_) return;
  // Whatever it answers: one that cannot drain is stopped all the same.
  client_->Drain(config_->stop.drain, [this](const absl::Status&) {
    plugin_drained_ = true;
    ConcludeDrain();
  });
}

void Plugin::OnDrained() {
  calls_drained_ = true;
  ConcludeDrain();
}

void Plugin::ConcludeDrain() {
  if (state() == State::kDraining && calls_drained_ && plugin_drained_) {
    Handle(Input::kDrained, record_.reason);
  }
}

}  // namespace plugind::supervisor
