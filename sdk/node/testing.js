// A host for unit tests, in the test's own process; testing.d.ts explains it.
"use strict";

const fs = require("node:fs");
const os = require("node:os");
const path = require("node:path");

const { agreement } = require("./lib/agreement");
const { SDK } = require("./lib/contract");
const { host: hostService } = require("./lib/host_messages");
const { listen } = require("./lib/listener");
const { services } = require("./lib/messages");
const { startSession } = require("./lib/start");

const HOST_CAPABILITIES = ["config.reload", "drain", "log.structured", "peer.calls", "trace"];
const PROTOCOL_VERSION = 1;
const TIMEOUT = 10_000; // ms, for calls of the contract

class FakeHost {
  agreed = {};
  status = "";
  #grpc = require("@grpc/grpc-js");
  #directory = fs.mkdtempSync(path.join(os.tmpdir(), "plugind-test-"));
  #clients = [];
  #peers = new Map();
  #session;
  #contract;
  #door;
  #doorServer;
  #name = "";
  #generation = 0;
  #shutdown;

  static async start(plugin, { settings = {}, capabilities = {}, peers = {} } = {}) {
    const host = new FakeHost();
    try {
      await host.#start(plugin, capabilities, peers);
      const violations = await host.configure(settings);
      if (violations.length > 0) {
        throw new Error(`the plugin refuses its settings: ${JSON.stringify(violations)}`);
      }
      return host;
    } catch (error) {
      await host.stop();
      throw error;
    }
  }

  // A client of one of the plugin's services.
  client(Service) {
    return this.#client(Service, this.#socket("p.sock"));
  }

  // The plugin's answer to new settings: violations, none when it has taken them.
  async configure(settings) {
    const request = { settings, capabilities: this.agreed, generation: ++this.#generation };
    try {
      return (await this.#call("Configure", request)).violations;
    } catch (error) {
      if (error.code !== this.#grpc.status.INVALID_ARGUMENT) throw error;
      return [{ field: "", reason: error.details }];
    }
  }

  async drain(milliseconds = 1000) {
    await this.#call("Drain", {
      timeout: { seconds: Math.floor(milliseconds / 1000), nanos: (milliseconds % 1000) * 1e6 },
    });
  }

  // Asks for the end as a host does, and waits for it.
  async shutdown() {
    await this.#call("Shutdown", {});
    await this.#shutdown;
    await this.stop();
  }

  async stop() {
    await this.#session?.close(1000, (message, { error }) => {
      throw new Error(message, { cause: error });
    });
    this.#session = undefined;
    for (const client of this.#clients) client.close();
    this.#clients = [];
    this.#door?.close();
    this.#doorServer?.forceShutdown();
    fs.rmSync(this.#directory, { recursive: true, force: true });
  }

  async #start(plugin, capabilities, peers) {
    for (const [name, [Service, implementation]] of Object.entries(peers)) {
      this.#peers.set(name, [Service, implementation]);
    }
    await this.#openDoor();
    const offer = { fromPlugind: true, hostAddress: `unix:${this.#socket("host.sock")}` };
    let stopped;
    this.#shutdown = new Promise((resolve) => {
      stopped = resolve;
    });
    this.#session = startSession(plugin, offer, stopped);
    await this.#session.begin();
    await this.#session.listen(this.#socket("p.sock"));
    this.#contract = this.#client(services.plugin, this.#socket("p.sock"));
    const offered = [
      ...HOST_CAPABILITIES.map((name) => ({ name, versions: ["1.0"], required: false })),
      ...Object.entries(capabilities).map(([name, version]) => ({
        name,
        versions: [version].flat(),
        required: false,
      })),
    ];
    const answer = await this.#call("Negotiate", {
      host: "plugind",
      capabilities: offered,
      protocolVersion: PROTOCOL_VERSION,
    });
    this.#name = answer.name;
    const { agreed, missing } = agreement(offered, answer.capabilities);
    if (missing.length > 0)
      throw new Error(`the plugin requires what the host lacks: ${missing.join(", ")}`);
    this.agreed = agreed;
  }

  // What PLUGIND_HOST_ADDRESS leads to: the host's own service, and the peers by the name in the
  // metadata.
  async #openDoor() {
    const grpc = this.#grpc;
    const server = new grpc.Server();
    server.addService(hostService, {
      GetSelf: (call, callback) => callback(null, this.#self()),
      ListPeers: (call, callback) => callback(null, { peers: this.#listed() }),
      SetStatus: (call, callback) => {
        this.status = call.request.text;
        callback(null, {});
      },
    });
    const paths = new Map();
    for (const [name, [Service, implementation]] of this.#peers) {
      const definition = Service.service ?? Service;
      for (const [method, details] of Object.entries(definition)) {
        if (!paths.has(details.path)) paths.set(details.path, { ...details, byPeer: new Map() });
        const handler = implementation[method] ?? implementation[details.originalName];
        paths.get(details.path).byPeer.set(name, handler?.bind(implementation));
      }
    }
    for (const [path, details] of paths) {
      server.addService({ method: details }, { method: this.#toPeer(path, details.byPeer) });
    }
    this.#doorServer = server;
    const injector = server.createConnectionInjector(grpc.ServerCredentials.createInsecure());
    this.#door = await listen(this.#socket("host.sock"), "", (socket) =>
      injector.injectConnection(socket),
    );
  }

  #self() {
    return {
      name: this.#name,
      instance: "fake",
      protocolVersion: PROTOCOL_VERSION,
      capabilities: this.agreed,
      host: "plugind",
      hostVersion: SDK.version,
    };
  }

  #listed() {
    return [...this.#peers.keys()].sort().map((name) => {
      const [Service] = this.#peers.get(name);
      const [method] = Object.values(Service.service ?? Service);
      return { name, state: "READY", services: [method.path.split("/")[1]], methods: ["*"] };
    });
  }

  #toPeer(path, byPeer) {
    return (call, callback) => {
      const [name] = call.metadata.get("plugind-plugin");
      const handler = byPeer.get(name);
      if (handler !== undefined) return handler(call, callback);
      const error = {
        code: this.#grpc.status.UNIMPLEMENTED,
        details: `the peer ${name} has no ${path}`,
      };
      return callback ? callback(error) : call.emit("error", error);
    };
  }

  #socket(name) {
    return path.join(this.#directory, name);
  }

  #client(Service, socket) {
    const Client =
      typeof Service === "function" ? Service : this.#grpc.makeGenericClientConstructor(Service);
    const options = { "grpc.default_authority": "localhost", "grpc.enable_http_proxy": 0 };
    const client = new Client(`unix:${socket}`, this.#grpc.credentials.createInsecure(), options);
    this.#clients.push(client);
    return client;
  }

  #call(method, request) {
    return new Promise((resolve, reject) => {
      this.#contract[method](request, { deadline: Date.now() + TIMEOUT }, (error, answer) => {
        if (error) reject(error);
        else resolve(answer);
      });
    });
  }
}

module.exports = { FakeHost };
