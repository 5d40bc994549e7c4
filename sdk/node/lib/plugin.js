// The builder: what the author says of the plugin, and serve().
"use strict";

const fs = require("node:fs");

const { Capabilities } = require("./capabilities");
const { Lifeline } = require("./lifeline");
const { removeStale } = require("./listener");
const { ignoreLostReaders, log } = require("./log");
const { checkSupported, chooseVersion, mismatch, readOffer, socketPath } = require("./offer");
const { Session, serviceName } = require("./session");

// ms; what is left of the lease when the parent's death has been seen.
const ORPHANED_TIMEOUT = 1000;

// onConfigure may throw this, or anything else: either way the settings before stay in force.
class ConfigError extends Error {
  constructor(violations) {
    super(
      violations.map(({ field, reason }) => (field ? `${field}: ${reason}` : reason)).join("; "),
    );
    this.name = "ConfigError";
    this.violations = violations;
  }
}

let startSession;

class Plugin {
  #name;
  #version;
  #services = [];
  #capabilities = new Capabilities();
  #protocolVersions = [];
  #cookie = { key: "PLUGIND_PLUGIN", value: "1" };
  #configSchema = "";
  #hooks = {};
  #serverOptions = {};
  #shutdownTimeout = 5000;
  #session;
  #stop = () => {};

  static {
    startSession = (plugin, offer, stop) => plugin.#start(offer, stop);
  }

  constructor(name, version) {
    this.#name = name;
    this.#version = version;
  }

  service(definition, implementation) {
    const plain = typeof definition === "function" ? definition.service : definition;
    if (typeof plain !== "object" || Object.keys(plain).length === 0) {
      throw new TypeError(
        "service() takes a service as grpc-js and proto-loader make it, e.g. greeter.v1.Greeter",
      );
    }
    this.#services.push([plain, implementation]);
    return this;
  }

  provides(capability, version = "1.0") {
    this.#capabilities.add(capability, version, false);
    return this;
  }

  requires(capability, version = "1.0") {
    this.#capabilities.add(capability, version === "" ? undefined : version, true);
    return this;
  }

  configSchema(schema) {
    const text = typeof schema === "string" ? schema : JSON.stringify(schema);
    JSON.parse(text); // now, and not when a host asks
    this.#configSchema = text;
    return this;
  }

  onConfigure(hook) {
    return this.#hook("onConfigure", hook);
  }

  onDrain(hook) {
    return this.#hook("onDrain", hook);
  }

  onStart(hook) {
    return this.#hook("onStart", hook);
  }

  onShutdown(hook) {
    return this.#hook("onShutdown", hook);
  }

  cookie(key, value) {
    this.#cookie = { key, value };
    return this;
  }

  protocolVersion(version) {
    this.#protocolVersions.push(version);
    return this;
  }

  serverOptions(options) {
    this.#serverOptions = options;
    return this;
  }

  shutdownTimeout(milliseconds) {
    this.#shutdownTimeout = milliseconds;
    return this;
  }

  // ---- While it serves ----

  agreed(capability) {
    const agreed = this.#session?.contract.agreed ?? {};
    return Object.hasOwn(agreed, capability) ? agreed[capability] : undefined;
  }

  settings() {
    return this.#session?.contract.settings ?? {};
  }

  peer(name) {
    return this.#serving("peer").host.peer(name);
  }

  identity() {
    return this.#serving("identity").host.identity();
  }

  peers() {
    return this.#serving("peers").host.peers();
  }

  setStatus(text) {
    return this.#serving("setStatus").host.setStatus(text);
  }

  setServing(serving) {
    this.#serving("setServing").health.set(serving);
  }

  log(level, message, fields) {
    log(level, message, fields);
  }

  stop() {
    this.#stop();
  }

  async serve() {
    if (process.argv.includes("--plugind-info")) {
      const { info } = require("./explain");
      fs.writeSync(1, `${JSON.stringify(info(this.#description()), null, 2)}\n`);
      process.exit(0);
    }
    const found = process.env[this.#cookie.key];
    if (found !== this.#cookie.value) {
      const { explanation } = require("./explain");
      fs.writeSync(2, explanation(this.#description(), this.#cookie, found));
      process.exit(1);
    }
    try {
      await this.#serve(readOffer(process.env));
    } catch (error) {
      log("error", error?.message ?? error, { plugin: this.#name, stack: error?.stack });
      process.exit(1);
    }
    // The author's timers and connections do not keep it alive.
    process.exit(0);
  }

  async #serve(offer) {
    checkSupported(offer);
    const lifeline = new Lifeline();
    const session = this.#start(offer, () => lifeline.stop());
    // A print before the handshake would be taken for a broken one.
    if (!offer.fromPlugind) session.output.capture();
    await session.begin();
    const certificate =
      offer.clientCertificate === "" ? "" : session.secure(offer.clientCertificate);
    const path = socketPath(offer);
    if (offer.fromPlugind) removeStale(path);
    const version = chooseVersion(offer.protocolVersions, this.#versions());
    const disagreement = mismatch(this.#name, offer.protocolVersions, this.#versions());
    if (disagreement !== "") fs.writeSync(2, `${disagreement}\n`);
    const line = `1|${version}|unix|${path}|grpc${certificate && `|${certificate}`}\n`;
    await session.listen(path, offer.socketGroup, () => {
      // One write: hosts take a partial line for the whole.
      fs.writeSync(1, line);
      ignoreLostReaders();
    });

    const end = await lifeline.ended;
    if (end === "orphaned") log("warn", "the host is gone; stopping", { plugin: this.#name });
    const most = end === "orphaned" ? ORPHANED_TIMEOUT : Infinity;
    await session.close(Math.min(this.#shutdownTimeout, most), (message, fields) => {
      log("error", message, { plugin: this.#name, ...fields });
    });
  }

  #start(offer, stop) {
    if (this.#session !== undefined) throw new Error("a plugin is served once");
    const plugin = {
      description: { ...this.#description(), ...this.#hooks },
      services: this.#services,
      serverOptions: this.#serverOptions,
      onStart: this.#hooks.onStart,
      onShutdown: this.#hooks.onShutdown,
    };
    this.#stop = stop;
    this.#session = new Session(plugin, offer, stop);
    return this.#session;
  }

  #description() {
    const { onConfigure, onDrain } = this.#hooks;
    return {
      name: this.#name,
      version: this.#version,
      services: this.#services.map(([definition]) => serviceName(definition)).sort(),
      protocolVersions: this.#versions(),
      capabilities: this.#capabilities.list({
        configurable: onConfigure !== undefined,
        drainable: onDrain !== undefined,
      }),
      configSchema: this.#configSchema,
    };
  }

  #versions() {
    return this.#protocolVersions.length > 0 ? this.#protocolVersions : [1];
  }

  #hook(name, hook) {
    if (typeof hook !== "function") throw new TypeError(`${name}() takes a function`);
    this.#hooks[name] = hook;
    return this;
  }

  #serving(what) {
    if (this.#session === undefined)
      throw new Error(`${what}() works while the plugin is being served`);
    return this.#session;
  }
}

module.exports = { ConfigError, Plugin, startSession };
