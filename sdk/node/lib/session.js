// One served plugin: its gRPC server with everything that hosts expect of it. serve() has one for
// the process; the fake host of plugind/testing has one for each test.
//
// Each module makes a start longer. What only the host's calls need is evaluated when the handshake
// is out, while the host connects; and what few ask for is loaded when they do.
"use strict";

const { listen } = require("./listener");
const { Running } = require("./running");

// A connection that is closed in order loses what its last call has just written. Fixed in Node 20.
const LOSES_LAST_FRAMES = Number.parseInt(process.versions.node, 10) < 20;

// ms, in which what the last calls have written gets out and peers close their connections. One that
// does not run just now never does.
const GOODBYE = 100;

// grpc-js's accounts of connections and calls, which no service of ours shows.
const SERVER_OPTIONS = { "grpc.enable_channelz": 0 };

function serviceName(definition) {
  const [first] = Object.values(definition);
  return first.path.split("/")[1];
}

class Session {
  #server;
  #listener;
  #plugin;
  #credentials;
  #names;
  #offer;
  #stop;
  #running = new Running();
  #contract;
  #health;
  #host;
  #output;
  #reflection;

  // plugin: what the builder has collected (lib/plugin.js); stop() begins the end.
  constructor(plugin, offer, stop) {
    const grpc = require("@grpc/grpc-js");
    this.#plugin = plugin;
    this.#server = new grpc.Server({ ...SERVER_OPTIONS, ...plugin.serverOptions });
    this.#names = plugin.services.map(([definition]) => serviceName(definition));
    this.#offer = offer;
    this.#stop = stop;
    for (const [definition, implementation] of plugin.services) {
      this.#server.addService(definition, this.#running.methods(definition, implementation));
    }
    this.#credentials = grpc.ServerCredentials.createInsecure();
  }

  get contract() {
    this.#contract ??= new (require("./contract").Contract)(this.#plugin.description, this.#stop);
    return this.#contract;
  }

  get health() {
    this.#health ??= new (require("./health").Health)(this.#names);
    return this.#health;
  }

  get host() {
    this.#host ??= new (require("./host").Host)(this.#offer.hostAddress);
    return this.#host;
  }

  get output() {
    this.#output ??= new (require("./output").Output)();
    return this.#output;
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

  // announce() says where: it runs as soon as the socket is there. Connections are looked at when
  // this has returned to the event loop, with everything that is behind them in place.
  async listen(path, group = "", announce = () => {}) {
    const injector = this.#server.createConnectionInjector(this.#credentials);
    this.#listener = await listen(path, group, (socket) => injector.injectConnection(socket));
    announce();
    this.#addInfrastructure();
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
    this.#output?.release();
    this.#output?.end();
    const goodbye = () => new Promise((resolve) => setTimeout(resolve, GOODBYE));
    const none = this.#running.none().then(goodbye);
    if (LOSES_LAST_FRAMES) await within(deadline, none);
    const closed = new Promise((resolve) => this.#server.tryShutdown(resolve));
    await within(deadline, Promise.race([closed, none]));
    this.#server.forceShutdown();
  }

  // What hosts expect beside the author's services.
  #addInfrastructure() {
    const { services } = require("./messages");
    const controller = {
      Shutdown: (call, callback) => {
        callback(null, {});
        this.#stop();
      },
    };
    const reflection = {
      ServerReflectionInfo: (call) => {
        this.#reflection ??= this.#makeReflection([...handlers.keys()]).handlers;
        this.#reflection.ServerReflectionInfo(call);
      },
    };
    const handlers = new Map([
      [services.plugin, this.contract.handlers],
      [services.health, this.health.handlers],
      [services.controller, controller],
      [services.reflection, reflection],
      [services.reflectionAlpha, reflection],
    ]);
    // plugind reads stdout itself: nothing would ever come.
    if (!this.#offer.fromPlugind) handlers.set(services.stdio, this.output.handlers);
    for (const [service, methods] of handlers) this.#server.addService(service, methods);
  }

  #makeReflection(infrastructure) {
    const { Reflection } = require("./reflection");
    const definitions = this.#plugin.services.map(([definition]) => definition);
    return new Reflection([...this.#names, ...infrastructure.map(serviceName)].sort(), definitions);
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
