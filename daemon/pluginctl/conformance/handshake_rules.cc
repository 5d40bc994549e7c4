// The line with which it begins.
#include <sys/stat.h>

#include <algorithm>
#include <cstring>

#include "daemon/pluginctl/conformance/bench.h"
#include "daemon/pluginctl/text.h"

namespace plugind::pluginctl::conformance {
namespace {

constexpr uint32_t kUnheardOf = 4'000'000'000;  // a version that no plugin serves
constexpr size_t kMostLinesBefore = 64;
constexpr size_t kMostBytesBefore = size_t{64} * 1024;

Finding Outcome(const std::string& wrong) { return wrong.empty() ? Passed() : Failed(wrong); }

// The rules about the line itself have nothing to look at where there is none.
template <typename Look>
Finding LookAtLine(Bench& bench, Look look) {
  ASSIGN_OR_RETURN(Instance * first, bench.First());
  if (!first->has_handshake()) return Skipped("there is no handshake");
  return look(*first);
}

Finding InTime(Bench& bench) {
  ASSIGN_OR_RETURN(Instance * first, bench.First());
  if (!first->has_handshake()) return first->NoHandshake();
  const Milliseconds took = first->handshake().took;
  if (took > bench.subject().timeout) {
    return Failed(fmt::format("it came after {} ms; a host waits {} ms", took.count(),
                              bench.subject().timeout.count()));
  }
  return Passed(fmt::format("after {} ms", took.count()));
}

Finding Noise(Bench& bench) {
  return LookAtLine(bench, [](Instance& first) {
    const auto& before = first.handshake().before;
    size_t bytes = 0;
    for (const std::string& line : before) bytes += line.size() + 1;
    if (before.size() > kMostLinesBefore || bytes > kMostBytesBefore)
      return Failed(fmt::format("{} lines of {} bytes in all", before.size(), bytes));
    if (before.empty()) return Passed();
    return Passed(fmt::format("there is \"{}\", which hosts made with go-plugin do not forgive",
                              Printable(before.front())));
  });
}

Finding Fields(Bench& bench) {
  return LookAtLine(bench, [](Instance& first) { return Outcome(WrongFields(first.handshake())); });
}

Finding Core(Bench& bench) {
  return LookAtLine(bench, [](Instance& first) { return Outcome(WrongCore(first.handshake())); });
}

Finding Network(Bench& bench) {
  return LookAtLine(bench, [&](Instance& first) {
    return Outcome(WrongNetwork(first.handshake(), bench.subject().allow_tcp));
  });
}

Finding Address(Bench& bench) {
  return LookAtLine(bench, [](Instance& first) {
    return Outcome(WrongAddress(first.handshake(), first.directory()));
  });
}

Finding Protocol(Bench& bench) {
  return LookAtLine(bench,
                    [](Instance& first) { return Outcome(WrongProtocol(first.handshake())); });
}

Finding Listening(Bench& bench) {
  return LookAtLine(bench, [](Instance& first) {
    const int error = first.handshake().connected.value_or(0);
    // Its place is told by another rule.
    if (!WrongAddress(first.handshake(), first.directory()).empty() && error != ECONNREFUSED)
      return Skipped("the address is not one to connect to");
    return error == 0 ? Passed() : Failed(fmt::format("connect: {}", std::strerror(error)));
  });
}

Finding SocketMode(Bench& bench) {
  return LookAtLine(bench, [](Instance& first) {
    if (first.handshake().field(kNetwork) != "unix") return Skipped("it listens on TCP");
    struct stat file {};
    if (stat(std::string(first.handshake().field(kAddress)).c_str(), &file) != 0)
      return Skipped("there is no file at the address");
    // Who may write may connect.
    if ((file.st_mode & S_IWOTH) == 0) return Passed();
    return Failed(fmt::format("its mode is {:04o}; expected 0600", file.st_mode & 07777U));
  });
}

Finding Version(Bench& bench) {
  return LookAtLine(bench, [](Instance& first) {
    return Outcome(WrongVersion(first.handshake(), first.offered()));
  });
}

Finding VersionChoice(Bench& bench) {
  ASSIGN_OR_RETURN(Instance * first, bench.First());
  if (!first->has_handshake()) return Skipped("there is no handshake");
  std::vector<uint32_t> offered = bench.subject().protocol_versions;
  std::ranges::reverse(offered);
  offered.insert(offered.begin(), kUnheardOf);
  ASSIGN_OR_RETURN(const auto other, bench.Begin({.versions = offered}));
  const auto choice = [](Instance& instance) {
    return instance.has_handshake() ? Printable(instance.handshake().field(kApp)) : "nothing";
  };
  if (choice(*other) == choice(*first)) return Passed();
  return Failed(fmt::format("offered {} it answers {}; offered {} as well and in another order, {}",
                            fmt::join(first->offered(), ","), choice(*first), kUnheardOf,
                            choice(*other)));
}

Finding VersionUnknown(Bench& bench) {
  ASSIGN_OR_RETURN(Instance * first, bench.First());
  if (!first->has_handshake()) return Skipped("there is no handshake");
  ASSIGN_OR_RETURN(const auto instance, bench.Begin({.versions = {kUnheardOf}}));
  if (instance->has_handshake()) {
    const auto version = ParseNumber(instance->handshake().field(kApp));
    if (version && *version != kUnheardOf) return Passed();
    return Failed(fmt::format("offered {} alone it answers {}", kUnheardOf,
                              Printable(instance->handshake().field(kApp))));
  }
  const auto ended = instance->process().AwaitEnd(DeadlineAfter(Milliseconds(500)));
  instance->process().AwaitSilence(DeadlineAfter(Milliseconds(500)));
  if (ended && ended->signal == 0 && ended->code != 0 && !instance->process().Stderr().empty())
    return Passed("it exits and says why");
  const absl::Status seen = instance->NoHandshake();
  return Failed(fmt::format("offered {} alone: {}", kUnheardOf, Message(seen)));
}

Finding OneLine(Bench& bench) {
  return LookAtLine(bench, [](Instance& first) {
    // Long enough for a second print, wherever it comes from.
    const Deadline deadline = DeadlineAfter(Milliseconds(200));
    while (const auto line = first.process().NextLine(deadline))
      if (LooksLikeHandshake(line->text))
        return Failed(fmt::format("a second one followed: \"{}\"", Printable(line->text)));
    return Passed();
  });
}

constexpr Rule kRules[] = {
    {"handshake-in-time", Level::kFloor, Needs::kNothing,
     "It prints the handshake before the host's deadline.", InTime},
    {"handshake-fields", Level::kFloor, Needs::kNothing,
     "The handshake has all five fields and ends with a newline; it has no certificate and no "
     "multiplexing that the host did not ask for.",
     Fields},
    {"handshake-core", Level::kFloor, Needs::kNothing, "CORE is 1.", Core},
    {"handshake-network", Level::kFloor, Needs::kNothing,
     "NETWORK is unix; or tcp, where that is allowed.", Network},
    {"handshake-address", Level::kFloor, Needs::kNothing,
     "ADDRESS is the absolute path of a socket in PLUGIN_UNIX_SOCKET_DIR, of 107 bytes at most; "
     "with tcp, a port on a loopback address.",
     Address},
    {"handshake-protocol", Level::kFloor, Needs::kNothing, "PROTOCOL is grpc.", Protocol},
    {"handshake-listening", Level::kFloor, Needs::kNothing,
     "When the handshake is printed it listens already.", Listening},
    {"handshake-socket-mode", Level::kFloor, Needs::kNothing,
     "Others may not connect to its socket, by the mode of the file.", SocketMode},
    {"handshake-noise", Level::kFloor, Needs::kNothing,
     "Before the handshake it prints at most 64 lines and 64 KiB on stdout; best, nothing.", Noise},
    {"handshake-one-line", Level::kFloor, Needs::kNothing, "It prints one handshake only.",
     OneLine},
    {"handshake-version", Level::kFloor, Needs::kNothing, "APP is one of PLUGIN_PROTOCOL_VERSIONS.",
     Version},
    {"handshake-version-choice", Level::kFloor, Needs::kNothing,
     "Versions that it does not know and the order of the list make no difference to its choice.",
     VersionChoice},
    {"handshake-version-unknown", Level::kFloor, Needs::kNothing,
     "Offered no version that it knows, it answers with one of its own or exits with a message.",
     VersionUnknown},
};

}  // namespace

std::span<const Rule> HandshakeRules() { return kRules; }

}  // namespace plugind::pluginctl::conformance
