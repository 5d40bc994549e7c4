// What a host says in the environment, and what the plugin answers with its one line. The wire
// contract is hashicorp/go-plugin's. Pure functions, except for reading the environment.
#pragma once

#include <string>
#include <vector>

namespace plugind::sdk {

// The host's side of the handshake, as the environment has it; a variable that is not set is "".
struct Offer {
  std::string cookie = {};             // the value under the plugin's cookie key
  std::string protocol_versions = {};  // PLUGIN_PROTOCOL_VERSIONS: "1" or "5,6", in any order
  std::string socket_dir = {};         // PLUGIN_UNIX_SOCKET_DIR
  std::string temp_dir = {};           // TMPDIR
  std::string socket_group = {};       // PLUGIN_UNIX_SOCKET_GROUP: a name or a gid
  std::string client_cert = {};        // PLUGIN_CLIENT_CERT: set when the host wants AutoMTLS
  std::string multiplex = {};          // PLUGIN_MULTIPLEX_GRPC
  std::string instance = {};           // PLUGIND_INSTANCE: set only by plugind

  bool FromPlugind() const { return !instance.empty(); }
};

Offer ReadOffer(const std::string& cookie_key);

// Throws Failure, naming the variable, if the host insists on something that this SDK does not
// speak.
void CheckSupported(const Offer& offer);

// The plugin's highest version that `offered` lists; otherwise its lowest, which lets the host
// refuse by name. Entries that are not numbers are passed over. `own` is not empty.
int Negotiate(const std::string& offered, const std::vector<int>& own);

// "NAME serves protocol versions 1, 2; its host offers 8, 9": for whoever reads why the host
// refuses the plugin. "" where they have one in common, or the host offers none.
std::string NothingInCommon(const std::string& name, const std::string& offered,
                            const std::vector<int>& own);

// Where the socket goes: the host's directory, else TMPDIR, else /tmp. Absolute.
std::string SocketDirectory(const Offer& offer);

// "1|VERSION|unix|PATH|grpc\n", or "…|grpc|CERTIFICATE\n" if there is one.
std::string HandshakeLine(int version, const std::string& path, const std::string& certificate);

}  // namespace plugind::sdk
