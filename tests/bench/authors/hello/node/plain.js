// The floor by hand: handshake, health, SIGTERM.
"use strict";

const grpc = require("@grpc/grpc-js");
const { definition, methods } = require("./service.js");

const bytes = (value) => value;
const health = {
  Check: {
    path: "/grpc.health.v1.Health/Check",
    requestStream: false,
    responseStream: false,
    requestDeserialize: bytes,
    requestSerialize: bytes,
    responseDeserialize: bytes,
    responseSerialize: bytes,
  },
};

const path = `${process.env.PLUGIN_UNIX_SOCKET_DIR}/p.sock`;
const server = new grpc.Server();
server.addService(definition, methods);
server.addService(health, { Check: (call, callback) => callback(null, Buffer.from([8, 1])) });
server.bindAsync(`unix:${path}`, grpc.ServerCredentials.createInsecure(), (error) => {
  if (error) throw error;
  process.stdout.write(`1|1|unix|${path}|grpc\n`);
});
process.on("SIGTERM", () => server.tryShutdown(() => process.exit(0)));
