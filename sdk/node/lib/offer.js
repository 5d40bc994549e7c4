// What the host says in the environment: the cookie, what it offers, and where the plugin listens.
"use strict";

const path = require("node:path");

// Go's strconv.ParseBool, with which go-plugin reads it.
const TRUE = new Set(["1", "t", "T", "true", "TRUE", "True"]);

function readOffer(environment) {
  const variable = (name) => environment[name] ?? "";
  const instance = variable("PLUGIND_INSTANCE");
  return {
    // Under plugind, stdout is read for ever and the socket's directory is this process's own.
    fromPlugind: instance !== "",
    protocolVersions: variable("PLUGIN_PROTOCOL_VERSIONS"),
    socketDirectory: path.resolve(
      variable("PLUGIN_UNIX_SOCKET_DIR") || variable("TMPDIR") || "/tmp",
    ),
    socketGroup: variable("PLUGIN_UNIX_SOCKET_GROUP"),
    clientCertificate: variable("PLUGIN_CLIENT_CERT"),
    multiplex: TRUE.has(variable("PLUGIN_MULTIPLEX_GRPC")),
    hostAddress: variable("PLUGIND_HOST_ADDRESS"),
  };
}

function checkSupported(offer) {
  if (offer.multiplex) {
    throw new Error(
      "the host asks for gRPC multiplexing (PLUGIN_MULTIPLEX_GRPC is set), which the Node " +
        "SDK does not support; turn GRPCBrokerMultiplex off in the host's ClientConfig",
    );
  }
}

function numbers(list) {
  return list
    .split(",")
    .filter((entry) => /^\d+$/.test(entry.trim()))
    .map(Number);
}

// The highest version that both have; without one the plugin's lowest, and the host says what is
// wrong.
function chooseVersion(offered, own) {
  const common = numbers(offered).filter((version) => own.includes(version));
  return common.length > 0 ? Math.max(...common) : Math.min(...own);
}

// What the host cannot know: the plugin's versions. "" if one is common, or none was offered.
function mismatch(name, offered, own) {
  const theirs = numbers(offered);
  if (theirs.length === 0 || theirs.some((version) => own.includes(version))) return "";
  const shown = (list) => [...new Set(list)].sort((a, b) => a - b).join(", ");
  return `${name} serves protocol versions ${shown(own)}; its host offers ${shown(theirs)}`;
}

// plugind's directory is this process's own; others are shared, and the name must be free.
function socketPath(offer) {
  if (offer.fromPlugind) return path.join(offer.socketDirectory, "p.sock");
  const unique = `${process.pid}-${process.hrtime.bigint().toString(36)}`;
  return path.join(offer.socketDirectory, `plugin-${unique}.sock`);
}

// A group by name or number.
function groupId(group) {
  if (/^\d+$/.test(group)) return Number(group);
  const line = require("node:fs")
    .readFileSync("/etc/group", "utf8")
    .split("\n")
    .find((entry) => entry.startsWith(`${group}:`));
  if (line === undefined) throw new Error(`PLUGIN_UNIX_SOCKET_GROUP: there is no group ${group}`);
  return Number(line.split(":")[2]);
}

module.exports = { checkSupported, chooseVersion, groupId, mismatch, readOffer, socketPath };
