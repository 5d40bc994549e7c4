// One served plugin: its gRPC server with everything that hosts expect of it. serve() has one for
// the process; the fake host of plugind/testing has one for each test.
"use strict";

const { setTimeout: sleep } = require("node:timers/promises");

const { Contract } = require("./contract");
const { Health } = require("./health");
const { Host } = require("./host");
const { listen } = require("./listener");
const { services } = require("./messages");
const { Output } = require("./output");
const { Reflection } = require("./reflection");
const { Running } = require("./running");

// A connection that is closed in order loses what its last call has just written. Fixed in Node 20.
const LOSES_LAST_FRAMES = Number.parseInt(process.versions.node, 10) < 20;

// ms, in which what the last calls have written gets out and peers close their connections. One that
// does not run just now never does.
const GOODBYE = 100;

const INFRASTRUCTURE = [
  services.health,
  services.reflection,
  services.reflectionAlpha,
  services.controller,
  services.stdio,
  services.plugin,
];

function serviceName(definition) {
  const [first] = Object.values(definition);
  return first.path.split("/")[1];
}

class Session {
  #server;
  #listener;
  #plugin;
  #credentials;
  #running = new Running();

  // plugin: what the builder has collected (lib/plugin.js); stop() begins the end.
  constructor(plugin, offer, stop) {
    const grpc = require("@grpc/grpc-js");
    this.#plugin = plugin;
    this.#server = new grpc.Server(plugin.serverOptions);
    this.output = new Output();
    this.host = new Host(offer.hostAddress);
    this.contract = new Contract(plugin.description, stop);
    const names = plugin.services.map(([definition]) => serviceName(definition));
    this.health = new Health(names);
    for (const [definition, implementation] of plugin.services) {
      this.#server.addService(definition, this.#running.methods(definition, implementation));
    }
    const everything = [...names, ...INFRASTRUCTURE.map(serviceName)].sort();
    const reflection = new Reflection(
      everything,
      plugin.services.map(([definition]) => definition),
    );
    const controller = {
      Shutdown: (call, callback) => {
        callback(null, {});
        stop();
      },
    };
    this.#server.addService(services.health, this.health.handlers);
    this.#server.addService(services.reflection, reflection.handlers);
    this.#server.addService(services.reflectionAlpha, reflection.handlers);
    this.#server.addService(services.controller, controller);
    this.#server.addService(services.stdio, this.output.handlers);
    this.#server.addService(services.plugin, this.contract.handlers);
    this.#credentials = grpc.ServerCredentials.createInsecure();
  }

  // The author's say before anybody is told that the plugin is up.
  async begin() {
    await this.#plugin.onStart?.();
  }

  // AutoMTLS: from here on only the holder of the host's certificate is served. Returns ours, as
  // the handshake has it.
  secure(clientCertificate) {
    const grpc = require("@grpc/grpc-js");
    const { key, certificate, der } = require("./certificate").makeCertificate();
    const pair = { private_key: Buffer.from(key), cert_chain: Buffer.from(certificate) };
    this.#credentials = grpc.ServerCredentials.createSsl(
      Buffer.from(clientCertificate),
      [pair],
      true,
    );
    return der.toString("base64").replace(/=+$/, "");
  }

  async listen(path, group = "") {
    const injector = this.#server.createConnectionInjector(this.#credentials);
    this.#listener = await listen(path, group, (socket) => injector.injectConnection(socket));
  }

  // Health first, so that the host sends no more; then no new connections; then the author's say;
  // then the streams of the SDK, which the server would otherwise wait for; then the running calls,
  // within `timeout` ms.
  async close(timeout, complain) {
    const deadline = Date.now() + timeout;
    this.health.end();
    this.#listener?.close();
    const { onShutdown } = this.#plugin;
    if (onShutdown !== undefined) {
      await within(deadline, Promise.resolve().then(onShutdown)).catch((error) => {
        complain("onShutdown threw; going on without it", { error });
      });
    }
    this.output.release();
    this.output.end();
    const none = this.#running.none().then(() => sleep(GOODBYE));
    if (LOSES_LAST_FRAMES) await within(deadline, none);
    const closed = new Promise((resolve) => this.#server.tryShutdown(resolve));
    await within(deadline, Promise.race([closed, none]));
    this.#server.forceShutdown();
  }
}

// Until the promise is settled, or the time is up.
function within(deadline, promise) {
  let timer;
  const timeout = new Promise((resolve) => {
    timer = setTimeout(resolve, Math.max(0, deadline - Date.now()));
  });
  return Promise.race([promise, timeout]).finally(() => clearTimeout(timer));
}

module.exports = { Session, serviceName };
