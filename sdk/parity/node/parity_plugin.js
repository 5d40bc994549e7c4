// The parity plugin in Node; see ../README.md.
"use strict";

const { setTimeout: sleep } = require("node:timers/promises");

const { Metadata } = require("@grpc/grpc-js");
const { ConfigError, Plugin, loadProto, log } = require("plugind");

const { parity } = loadProto(`${__dirname}/parity.proto`);

const SCHEMA = {
  type: "object",
  properties: { greeting: { type: "string" }, max: { type: "integer", maximum: 100 } },
};
const PEER_TIMEOUT = 3000; // ms
const UNAVAILABLE = 14;

const plugin = new Plugin("parity-node", "1.2.3");
const peers = new Map();

function peer(name) {
  if (!peers.has(name)) peers.set(name, plugin.peer(name).client(parity.v1.Parity));
  return peers.get(name);
}

plugin.service(parity.v1.Parity, {
  async Echo({ request, metadata }) {
    const entries = Object.entries(metadata.getMap()).filter(([key]) => !key.endsWith("-bin"));
    return { text: request.text, metadata: Object.fromEntries(entries) };
  },

  async Sleep(call) {
    const cancelled = new AbortController();
    call.on("cancelled", () => cancelled.abort());
    await sleep(call.request.milliseconds, undefined, { signal: cancelled.signal }).catch(() => {});
    return {};
  },

  async Print({ request: { text, toStderr } }) {
    if (toStderr) console.error(text);
    else console.log(text);
    return {};
  },

  async Log({ request: { level, message, fields } }) {
    log(level, message, fields);
    return {};
  },

  CallPeer({ request: { name, text, metadata: added } }, callback) {
    const metadata = new Metadata();
    for (const [key, value] of Object.entries(added)) metadata.set(key, value);
    let client;
    try {
      client = peer(name);
    } catch (error) {
      callback(null, { code: UNAVAILABLE, message: error.message });
      return;
    }
    client.Echo({ text }, metadata, { deadline: Date.now() + PEER_TIMEOUT }, (error, echo) => {
      if (error) callback(null, { code: error.code, message: error.details });
      else callback(null, { echo });
    });
  },

  async Agreed({ request }) {
    return { version: plugin.agreed(request.capability) ?? "" };
  },

  async Settings() {
    return { json: JSON.stringify(plugin.settings()) };
  },

  async AskHost() {
    try {
      return { identity: await plugin.identity(), peers: await plugin.peers() };
    } catch ({ code = UNAVAILABLE, details, message }) {
      return { code, message: details ?? message };
    }
  },

  async SetStatus({ request }) {
    await plugin.setStatus(request.text);
    return {};
  },

  async SetServing({ request }) {
    plugin.setServing(request.serving);
    return {};
  },

  async Stop() {
    plugin.stop();
    return {};
  },
});

const { PARITY_COOKIE, PARITY_NO_HOOKS, PARITY_REQUIRES, PARITY_START_FAILS } = process.env;

plugin.protocolVersion(1).protocolVersion(2);
plugin.provides("parity.echo", "1.4").provides("parity.echo", "2.1");
plugin.onStart(() => {
  if (PARITY_START_FAILS) throw new Error(PARITY_START_FAILS);
  log("info", "hook start");
});
plugin.onShutdown(() => log("info", "hook shutdown"));
if (PARITY_NO_HOOKS !== "1") {
  plugin.configSchema(SCHEMA);
  plugin.onConfigure((settings) => {
    log("info", "hook configure");
    if (settings.throw !== undefined) throw new Error(settings.throw);
    if (settings.refuse !== undefined)
      throw new ConfigError([{ field: "refuse", reason: settings.refuse }]);
  });
  plugin.onDrain(async () => {
    await sleep(plugin.settings().drain_ms ?? 0);
    log("info", "hook drain");
  });
}
if (PARITY_COOKIE) plugin.cookie(...PARITY_COOKIE.split(/=(.*)/s, 2));
if (PARITY_REQUIRES) plugin.requires(PARITY_REQUIRES);

plugin.serve();
