// What a plugin answers to Negotiate and to Configure, as bytes: the first one says to which. What
// must hold: an agreement names only what the host offered, in versions that it has, bounded and
// printable; a refusal is one printable line.
#include <fmt/format.h>

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <string>
#include <string_view>

#include "daemon/base/status.h"
#include "daemon/rpc/contract_messages.h"
#include "daemon/supervisor/negotiation.h"

namespace plugind::supervisor {
namespace {

constexpr size_t kLongestReason = 64 * 1024;  // both lists

void Require(bool holds, std::string_view what, std::string_view detail) {
  if (holds) return;
  fmt::print(stderr, "{}: {}\n", what, detail);
  std::abort();
}

void RequirePrintable(std::string_view text) {
  Require(std::none_of(text.begin(), text.end(),
                       [](char c) { return static_cast<unsigned char>(c) < 0x20 || c == 0x7f; }),
          "unprintable", text);
}

HostOffer Offer() {
  HostOffer offer{"kv", "7f3a", 1, {1, 2}, {}};
  for (const auto* name : {kConfigReload, kDrain, kPeerCalls, kLogStructured, kTrace})
    offer.capabilities.push_back({name, {"1.0"}, false});
  offer.capabilities.push_back({"kv.store", {"1.4", "2.1"}, true});
  offer.capabilities.push_back({"kv.any", {}, true});
  return offer;
}

bool HasVersion(const Capability& capability, const std::string& version) {
  const auto dot = version.find('.');
  Require(dot != std::string::npos && dot > 0 && dot + 1 < version.size() &&
              version.find_first_not_of("0123456789.") == std::string::npos,
          "no version", version);
  if (capability.versions.empty()) return true;
  const int minor = std::atoi(version.c_str() + dot + 1);
  return std::any_of(capability.versions.begin(), capability.versions.end(),
                     [&](const std::string& highest) {
                       return highest.starts_with(version.substr(0, dot + 1)) &&
                              minor <= std::atoi(highest.c_str() + highest.find('.') + 1);
                     });
}

void ReadNegotiateAnswer(const std::string& bytes) {
  const auto answer = rpc::ParseNegotiateAnswer(bytes);
  if (!answer.ok()) return;
  static const HostOffer kOffer = Offer();
  const auto agreement = Agree(kOffer, *answer);
  if (!agreement.ok()) {
    Require(absl::IsInvalidArgument(agreement.status()) ||
                absl::IsFailedPrecondition(agreement.status()),
            "another code", agreement.status().ToString());
    Require(Message(agreement.status()).size() <= kLongestReason, "a long reason", "");
    return RequirePrintable(std::string(Message(agreement.status())));
  }
  RequirePrintable(agreement->version);
  RequirePrintable(agreement->sdk);
  Require(agreement->services.size() <= kMaxServices, "many services", "");
  Require(std::is_sorted(agreement->services.begin(), agreement->services.end()), "unsorted", "");
  for (const auto& service : agreement->services) RequirePrintable(service);
  for (const auto& [name, version] : agreement->capabilities) {
    const auto offered = std::find_if(
        kOffer.capabilities.begin(), kOffer.capabilities.end(),
        [&wanted = name](const Capability& capability) { return capability.name == wanted; });
    Require(offered != kOffer.capabilities.end(), "never offered", name);
    Require(HasVersion(*offered, version), "not a version of the host's", version);
  }
  for (const auto& offered : kOffer.capabilities)
    Require(!offered.required || agreement->Has(offered.name), "missing", offered.name);
}

}  // namespace
}  // namespace plugind::supervisor

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  if (size == 0) return 0;
  const std::string bytes(reinterpret_cast<const char*>(data + 1), size - 1);
  if (data[0] % 2 == 0) {
    plugind::supervisor::ReadNegotiateAnswer(bytes);
  } else {
    // Its texts are shown by daemon/supervisor, which shortens and escapes them.
    plugind::rpc::ParseConfigureAnswer(bytes).status().IgnoreError();
  }
  return 0;
}
