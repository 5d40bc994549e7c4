// The messages and services that hosts and plugins share, as tables; ../proto has the files that
// they come from. Those of a plugin's own calls are in host_messages.js.
"use strict";

const { Struct } = require("./struct");
const { Message } = require("./wire");

const Empty = new Message({});

// proto/plugind/plugin/v1/plugin.proto
const Capability = new Message({
  name: [1, "string"],
  versions: [2, "string", "repeated"],
  required: [3, "bool"],
});
const Sdk = new Message({ language: [1, "string"], version: [2, "string"] });
const Violation = new Message({ field: [1, "string"], reason: [2, "string"] });
const Duration = new Message({ seconds: [1, "int64"], nanos: [2, "int32"] });
const NegotiateRequest = new Message({
  host: [1, "string"],
  hostVersion: [2, "string"],
  plugin: [3, "string"],
  instance: [4, "string"],
  protocolVersion: [5, "uint32"],
  offeredProtocolVersions: [6, "uint32", "repeated"],
  capabilities: [7, Capability, "repeated"],
});
const NegotiateResponse = new Message({
  name: [1, "string"],
  version: [2, "string"],
  services: [3, "string", "repeated"],
  capabilities: [4, Capability, "repeated"],
  configSchema: [5, "string"],
  sdk: [6, Sdk],
});
const ConfigureRequest = new Message({
  settings: [1, Struct],
  capabilities: [2, "string", "map"],
  generation: [3, "uint64"],
});
const ConfigureResponse = new Message({ violations: [1, Violation, "repeated"] });
const DrainRequest = new Message({ timeout: [1, Duration] });
const ShutdownRequest = new Message({ timeout: [1, Duration] });

// grpc/health/v1/health.proto
const HealthCheckRequest = new Message({ service: [1, "string"] });
const HealthCheckResponse = new Message({ status: [1, "enum"] });

// proto/plugin/go_plugin.proto
const StdioData = new Message({ channel: [1, "enum"], data: [2, "bytes"] });

// service("pkg.Service", { Method: [Request, Response, "both"] }): a definition as grpc-js takes
// it. The third names what is a stream: "" or absent, "answers", "both".
function service(name, methods) {
  const definition = {};
  for (const [method, [request, response, streams = ""]] of Object.entries(methods)) {
    definition[method] = {
      path: `/${name}/${method}`,
      requestStream: streams === "both",
      responseStream: streams !== "",
      requestSerialize: (value) => request.encode(value),
      requestDeserialize: (bytes) => request.decode(bytes),
      responseSerialize: (value) => response.encode(value),
      responseDeserialize: (bytes) => response.decode(bytes),
    };
  }
  return definition;
}

// A table of lib/reflection_messages.js, which is loaded with its first message.
function late(name) {
  const table = () => require("./reflection_messages")[name];
  return { encode: (value) => table().encode(value), decode: (bytes) => table().decode(bytes) };
}

const reflection = {
  ServerReflectionInfo: [late("ServerReflectionRequest"), late("ServerReflectionResponse"), "both"],
};

const services = {
  plugin: service("plugind.plugin.v1.Plugin", {
    Negotiate: [NegotiateRequest, NegotiateResponse],
    Configure: [ConfigureRequest, ConfigureResponse],
    Drain: [DrainRequest, Empty],
    Shutdown: [ShutdownRequest, Empty],
  }),
  health: service("grpc.health.v1.Health", {
    Check: [HealthCheckRequest, HealthCheckResponse],
    Watch: [HealthCheckRequest, HealthCheckResponse, "answers"],
  }),
  controller: service("plugin.GRPCController", { Shutdown: [Empty, Empty] }),
  stdio: service("plugin.GRPCStdio", { StreamStdio: [Empty, StdioData, "answers"] }),
  reflection: service("grpc.reflection.v1.ServerReflection", reflection),
  reflectionAlpha: service("grpc.reflection.v1alpha.ServerReflection", reflection),
};

module.exports = {
  Empty,
  service,
  services,
  messages: {
    Capability,
    ConfigureRequest,
    ConfigureResponse,
    DrainRequest,
    Duration,
    HealthCheckRequest,
    HealthCheckResponse,
    NegotiateRequest,
    NegotiateResponse,
    Sdk,
    ShutdownRequest,
    StdioData,
    Violation,
  },
};
