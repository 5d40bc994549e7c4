// The contract, through the fake host: what an author's unit test does.
"use strict";

const assert = require("node:assert/strict");
const { test } = require("node:test");

const { Metadata } = require("@grpc/grpc-js");

const { ConfigError, Plugin } = require("..");
const { SDK } = require("../lib/contract");
const { agreement } = require("../lib/agreement");
const { FakeHost } = require("../testing");
const { sample, unary } = require("./support");

const echo = { Echo: async ({ request }) => ({ text: request.text }) };

function samplePlugin() {
  return new Plugin("sample", "1.0.0").service(sample.v1.Sample, echo);
}

async function hosted(t, plugin, options) {
  const host = await FakeHost.start(plugin, options);
  t.after(() => host.stop());
  return host;
}

test("what both sides have is agreed", async (t) => {
  const plugin = samplePlugin()
    .provides("greeter.emoji", "1.4")
    .provides("greeter.emoji", "2.1")
    .provides("greeter.unknown")
    .requires("kv.v1")
    .onConfigure(() => {});
  const host = await hosted(t, plugin, {
    capabilities: { "greeter.emoji": ["1.9", "2.0"], "kv.v1": "1.7" },
  });
  assert.deepEqual(host.agreed, {
    "config.reload": "1.0",
    "greeter.emoji": "2.0",
    "kv.v1": "1.0",
    "log.structured": "1.0",
    "peer.calls": "1.0",
    trace: "1.0",
  });
  assert.equal(plugin.agreed("greeter.emoji"), "2.0");
  assert.equal(plugin.agreed("greeter.unknown"), undefined);
  assert.equal(plugin.agreed("toString"), undefined);
});

test("a host that lacks what is required cannot start the plugin", async () => {
  await assert.rejects(FakeHost.start(samplePlugin().requires("kv.v1")), /lacks: kv\.v1/);
});

test("names and versions of capabilities are checked where they are written", () => {
  assert.throws(() => samplePlugin().provides("a b"), TypeError);
  assert.throws(() => samplePlugin().provides("a", "1"), TypeError);
});

test("agreement: the highest common major, the lower minor", () => {
  const capability = (name, versions, required = false) => ({ name, versions, required });
  const check = (host, plugin) =>
    agreement([capability("x", host)], [capability("x", plugin)]).agreed.x;
  assert.equal(check(["1.4", "2.1"], ["1.9", "2.0"]), "2.0");
  assert.equal(check(["1.4"], ["1.2"]), "1.2");
  assert.equal(check(["1.0"], ["2.0"]), undefined);
  assert.equal(check([], ["1.3", "2.5"]), "2.5");
  assert.equal(check(["10.0", "9.9"], ["9.1", "10.2"]), "10.0");
  assert.deepEqual(agreement([], [capability("x", ["1.0"], true)]).missing, ["x"]);
});

test("settings are taken whole, or refused whole", async (t) => {
  const seen = [];
  const plugin = samplePlugin().onConfigure(({ greeting }, { generation }) => {
    seen.push(generation);
    if (greeting === "throw") throw new Error("no such greeting");
    if (greeting === "config error")
      throw new ConfigError([{ field: "greeting", reason: "is an error" }]);
    if (greeting === "async") return Promise.resolve("refused as a whole");
    if (typeof greeting !== "string") return [{ field: "greeting", reason: "must be a text" }];
  });
  const host = await hosted(t, plugin, { settings: { greeting: "Hello" } });
  assert.deepEqual(await host.configure({ greeting: 7 }), [
    { field: "greeting", reason: "must be a text" },
  ]);
  assert.deepEqual(await host.configure({ greeting: "throw" }), [
    { field: "", reason: "no such greeting" },
  ]);
  assert.deepEqual(await host.configure({ greeting: "async" }), [
    { field: "", reason: "refused as a whole" },
  ]);
  assert.deepEqual(await host.configure({ greeting: "config error" }), [
    { field: "greeting", reason: "is an error" },
  ]);
  assert.deepEqual(plugin.settings(), { greeting: "Hello" });
  assert.deepEqual(await host.configure({ greeting: "Ahoy" }), []);
  assert.deepEqual(plugin.settings(), { greeting: "Ahoy" });
  assert.deepEqual(seen, [1, 2, 3, 4, 5, 6]);
});

test("without a hook settings are there all the same", async (t) => {
  const plugin = samplePlugin();
  const host = await hosted(t, plugin, { settings: { a: { b: [1] } } });
  assert.deepEqual(plugin.settings(), { a: { b: [1] } });
  assert.equal(plugin.agreed("config.reload"), undefined);
  await assert.rejects(host.drain(), /nothing to drain/);
});

test("drain waits for the hook and tells it how long", async (t) => {
  let given;
  const plugin = samplePlugin().onDrain(async (milliseconds) => {
    given = milliseconds;
  });
  const host = await hosted(t, plugin);
  await host.drain(2500);
  assert.equal(given, 2500);
});

test("the host's Shutdown runs the hook", async (t) => {
  let ended = false;
  const host = await hosted(
    t,
    samplePlugin().onShutdown(() => (ended = true)),
  );
  assert.deepEqual(await unary(host.client(sample.v1.Sample), "Echo", { text: "a" }), {
    text: "a",
  });
  await host.shutdown();
  assert.equal(ended, true);
});

test("a status goes to the host; one that is too long does not", async (t) => {
  const plugin = samplePlugin();
  const host = await hosted(t, plugin);
  await plugin.setStatus("replaying journal, 40 %");
  assert.equal(host.status, "replaying journal, 40 %");
  await assert.rejects(plugin.setStatus("x".repeat(1025)), RangeError);
});

test("a peer is called by its name", async (t) => {
  const plugin = samplePlugin();
  const peer = (prefix) => ({
    Echo: (call, callback) => callback(null, { text: prefix + call.request.text }),
    Spell(call) {
      call.write({ text: prefix });
      call.end();
    },
  });
  const peers = { one: [sample.v1.Sample, peer("1:")], two: [sample.v1.Sample, peer("2:")] };
  await hosted(t, plugin, { peers });
  const one = plugin.peer("one").client(sample.v1.Sample);
  const two = plugin.peer("two").client(sample.v1.Sample.service);
  t.after(() => [one, two].forEach((client) => client.close()));
  assert.deepEqual(await unary(one, "Echo", { text: "a" }), { text: "1:a" });
  assert.deepEqual(await unary(two, "Echo", { text: "b" }), { text: "2:b" });
  const spelled = [];
  for await (const { text } of two.Spell({})) spelled.push(text);
  assert.deepEqual(spelled, ["2:"]);
  assert.throws(() => plugin.peer("Not A Name"), TypeError);
});

test("the host says who the plugin is and whom it may call", async (t) => {
  const plugin = samplePlugin().requires("kv.v1", "1.2");
  assert.throws(() => plugin.identity(), /while the plugin is being served/);
  const host = await hosted(t, plugin, {
    capabilities: { "kv.v1": "1.7" },
    peers: { two: [sample.v1.Sample, echo], one: [sample.v1.Sample.service, echo] },
  });
  assert.deepEqual(await plugin.identity(), {
    name: "sample",
    instance: "fake",
    protocolVersion: 1,
    capabilities: host.agreed,
    host: "plugind",
    hostVersion: SDK.version,
  });
  const peer = { state: "READY", version: "", services: ["sample.v1.Sample"], methods: ["*"] };
  assert.deepEqual(await plugin.peers(), [
    { name: "one", ...peer },
    { name: "two", ...peer },
  ]);
});

// A plugin whose methods call their peer, which answers with the trace that it sees.
async function relay(t) {
  const seen = ({ metadata }) => [metadata.get("traceparent"), metadata.get("tracestate")].join();
  const plugin = new Plugin("relay", "1.0.0");
  let peer;
  const ask = async (metadata) => {
    await new Promise(setImmediate);
    return unary(peer, "Echo", {}, metadata);
  };
  plugin.service(sample.v1.Sample, {
    Echo: () => ask(),
    Join(call, callback) {
      call.on("data", () => {});
      call.on("end", () => ask().then((answer) => callback(null, answer)));
    },
    async Wait() {
      const own = new Metadata();
      own.set("traceparent", "own");
      return ask(own);
    },
    async Print() {
      const reused = new Metadata();
      await ask(reused);
      return { text: JSON.stringify(reused.getMap()) };
    },
  });
  const answer = (call, callback) => callback(null, { text: seen(call) });
  const host = await hosted(t, plugin, { peers: { one: [sample.v1.Sample, { Echo: answer }] } });
  peer = plugin.peer("one").client(sample.v1.Sample);
  t.after(() => peer.close());
  return host.client(sample.v1.Sample);
}

function traced(parent, state) {
  const metadata = new Metadata();
  metadata.set("traceparent", parent);
  metadata.set("tracestate", state);
  return metadata;
}

test("a call to a peer carries on the trace of the call that it is made for", async (t) => {
  const client = await relay(t);
  const [first, none, second] = await Promise.all([
    unary(client, "Echo", {}, traced("00-1", "a=1")),
    unary(client, "Echo", {}),
    unary(client, "Echo", {}, traced("00-2", "b=2")),
  ]);
  assert.deepEqual(
    [first, none, second].map(({ text }) => text),
    ["00-1,a=1", ",", "00-2,b=2"],
  );
});

test("so does one that is made when the call's stream ends", async (t) => {
  const client = await relay(t);
  const join = (metadata) =>
    new Promise((resolve, reject) => {
      const call = client.Join(metadata, (error, answer) =>
        error ? reject(error) : resolve(answer.text),
      );
      call.end({ text: "x" });
    });
  const seen = await Promise.all([join(traced("00-1", "a=1")), join(traced("00-2", "b=2"))]);
  assert.deepEqual(seen, ["00-1,a=1", "00-2,b=2"]);
});

test("a traceparent of the author's stays, and the author's metadata is not touched", async (t) => {
  const client = await relay(t);
  const metadata = traced("00-1", "a=1");
  assert.equal((await unary(client, "Wait", {}, metadata)).text, "own,");
  assert.equal((await unary(client, "Print", {}, metadata)).text, "{}");
});

test("a call to a peer that is cancelled at once ends", async (t) => {
  const plugin = samplePlugin();
  await hosted(t, plugin, { peers: { one: [sample.v1.Sample, { Echo() {} }] } });
  const one = plugin.peer("one").client(sample.v1.Sample);
  t.after(() => one.close());
  const ended = new Promise((resolve) => {
    one.Echo({}, (error) => resolve(error.code)).cancel();
  });
  assert.equal(await ended, 1);
});

test("what a method throws, at once or later, is the status of the call", async (t) => {
  const plugin = new Plugin("sample", "1.0.0").service(sample.v1.Sample, {
    Echo: async () => {
      throw Object.assign(new Error("no"), { code: 5, details: "nothing of that name" });
    },
    Join() {
      throw Object.assign(new Error("no"), { code: 7, details: "not for you" });
    },
    async Spell() {
      throw Object.assign(new Error("no"), { code: 9, details: "not now" });
    },
  });
  const host = await hosted(t, plugin);
  const client = host.client(sample.v1.Sample);
  await assert.rejects(unary(client, "Echo", {}), { code: 5, details: "nothing of that name" });
  await assert.rejects(
    async () => {
      for await (const _ of client.Spell({})) assert.fail();
    },
    { code: 9 },
  );
  const join = new Promise((resolve) => client.Join((error) => resolve(error.code)).end());
  assert.equal(await join, 7);
  await assert.rejects(unary(client, "Wait", {}), { code: 12 });
});

test("the version that hosts are told is the package's", () => {
  assert.equal(SDK.version, require("../package.json").version);
});
