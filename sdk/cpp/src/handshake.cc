#include "sdk/cpp/src/handshake.h"

#include <algorithm>
#include <charconv>
#include <cstdlib>
#include <filesystem>
#include <set>
#include <string_view>

#include "sdk/cpp/src/failure.h"

namespace plugind::sdk {
namespace {

std::string Environment(const std::string& name) {
  const char* value = std::getenv(name.c_str());
  return value == nullptr ? std::string() : std::string(value);
}

// The spellings that Go's strconv.ParseBool takes for true, which is what go-plugin reads the
// variable with.
bool IsTrue(std::string_view text) {
  return text == "1" || text == "t" || text == "T" || text == "true" || text == "TRUE" ||
         text == "True";
}

// Those of a list like "5,6"; what is no number is passed over.
std::set<int> Versions(std::string_view list) {
  std::set<int> versions;
  while (!list.empty()) {
    const size_t comma = list.find(',');
    const std::string_view entry = list.substr(0, comma);
    list = comma == std::string_view::npos ? std::string_view() : list.substr(comma + 1);
    int version = 0;
    const auto [end, error] = std::from_chars(entry.data(), entry.data() + entry.size(), version);
    if (error == std::errc() && end == entry.data() + entry.size()) versions.insert(version);
  }
  return versions;
}

std::string Listed(const std::set<int>& versions) {
  std::string list;
  for (const int version : versions) {
    list += (list.empty() ? "" : ", ") + std::to_string(version);
  }
  return list;
}

}  // namespace

Offer ReadOffer(const std::string& cookie_key) {
  return {
      .cookie = Environment(cookie_key),
      .protocol_versions = Environment("PLUGIN_PROTOCOL_VERSIONS"),
      .socket_dir = Environment("PLUGIN_UNIX_SOCKET_DIR"),
      .temp_dir = Environment("TMPDIR"),
      .socket_group = Environment("PLUGIN_UNIX_SOCKET_GROUP"),
      .client_cert = Environment("PLUGIN_CLIENT_CERT"),
      .multiplex = Environment("PLUGIN_MULTIPLEX_GRPC"),
      .instance = Environment("PLUGIND_INSTANCE"),
  };
}

void CheckSupported(const Offer& offer) {
  if (IsTrue(offer.multiplex)) {
    throw Failure(
        "the host asks for gRPC multiplexing (PLUGIN_MULTIPLEX_GRPC is set), which the C++ SDK "
        "does not support; turn GRPCBrokerMultiplex off in the host's ClientConfig");
  }
}

int Negotiate(const std::string& offered, const std::vector<int>& own) {
  const std::set<int> theirs = Versions(offered);
  int best = -1;
  for (const int version : own) {
    if (theirs.count(version) > 0) best = std::max(best, version);
  }
  return best >= 0 ? best : *std::min_element(own.begin(), own.end());
}

std::string NothingInCommon(const std::string& name, const std::string& offered,
                            const std::vector<int>& own) {
  const std::set<int> theirs = Versions(offered);
  if (theirs.empty() || theirs.count(Negotiate(offered, own)) > 0) return "";
  return name + " serves protocol versions " + Listed({own.begin(), own.end()}) +
         "; its host offers " + Listed(theirs);
}

std::string SocketDirectory(const Offer& offer) {
  const std::string& dir = !offer.socket_dir.empty() ? offer.socket_dir
                           : !offer.temp_dir.empty() ? offer.temp_dir
                                                     : std::string("/tmp");
  std::error_code error;
  const std::filesystem::path absolute = std::filesystem::absolute(dir, error);
  if (error) throw Failure("the socket's directory " + dir + ": " + error.message());
  return absolute.lexically_normal().string();
}

std::string HandshakeLine(int version, const std::string& path, const std::string& certificate) {
  return "1|" + std::to_string(version) + "|unix|" + path + "|grpc" +
         (certificate.empty() ? "" : "|" + certificate) + "\n";
}

}  // namespace plugind::sdk
