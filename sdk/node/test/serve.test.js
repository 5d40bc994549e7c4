// The sample plugin as hosts run it: a process, a handshake, calls, an end.
"use strict";

const assert = require("node:assert/strict");
const { execFile, spawn } = require("node:child_process");
const { X509Certificate } = require("node:crypto");
const { once } = require("node:events");
const fs = require("node:fs");
const net = require("node:net");
const path = require("node:path");
const { test } = require("node:test");
const { createInterface } = require("node:readline");
const { promisify } = require("node:util");

const grpc = require("@grpc/grpc-js");

const { makeCertificate } = require("../lib/certificate");
const { SAMPLE, UNDER_GO_PLUGIN, UNDER_PLUGIND, run, unary } = require("./support");

const SERVING = 1;
const NOT_SERVING = 2;

async function byHand(environment, ...args) {
  const env = { PATH: process.env.PATH, ...environment };
  return promisify(execFile)(process.execPath, [SAMPLE, ...args], { env }).then(
    (done) => ({ code: 0, ...done }),
    (error) => error,
  );
}

test("run by hand it explains itself and ends with 1", async () => {
  const done = await byHand({});
  assert.equal(done.code, 1);
  assert.equal(done.stdout, "");
  assert.match(done.stderr, /sample 1\.2\.3 is a plugin: a host starts it/);
  assert.match(done.stderr, /plugins\.d\/sample\.toml/);
});

test("a host with another cookie is told so", async () => {
  const done = await byHand({ SAMPLE_COOKIE: "cake" }, "cookie");
  assert.equal(done.code, 1);
  assert.match(done.stderr, /SAMPLE_COOKIE is set, but to another value/);
  assert.match(
    (await byHand({}, "cookie")).stderr,
    /magic_cookie = \{ key = "SAMPLE_COOKIE", value = "crumb" \}/,
  );
});

test("--plugind-info prints what it is as JSON", async () => {
  const done = await byHand({}, "--plugind-info");
  assert.equal(done.code, 0);
  const named = (name) => ({ name, versions: ["1.0"], required: false });
  assert.deepEqual(JSON.parse(done.stdout), {
    name: "sample",
    version: "1.2.3",
    services: ["sample.v1.Sample"],
    protocolVersions: [2, 5],
    capabilities: ["log.structured", "peer.calls", "trace"].map(named),
    sdk: { language: "node", version: "0.1.0" },
  });
});

test("under plugind it listens at p.sock, for its own user only, and chooses the highest common version", async (t) => {
  const plugin = run(t);
  assert.equal(await plugin.handshake, `1|2|unix|${plugin.directory}/p.sock|grpc`);
  const { mode } = fs.statSync(path.join(plugin.directory, "p.sock"));
  assert.equal(mode & 0o777, 0o600);
});

test("what a killed process has left at p.sock is no hindrance", async (t) => {
  const first = run(t);
  await first.handshake;
  first.child.kill("SIGKILL");
  await first.ended;
  assert.deepEqual(fs.readdirSync(first.directory), ["p.sock"]);
  const second = run(t, { ...UNDER_PLUGIND, PLUGIN_UNIX_SOCKET_DIR: first.directory });
  assert.match(await second.handshake, /^1\|2\|/);
  await second.call("sample", "Echo");
});

test("without a common version it answers with its lowest, and says what it serves", async (t) => {
  const plugin = run(t, { ...UNDER_PLUGIND, PLUGIN_PROTOCOL_VERSIONS: "9,7,x,9" });
  assert.match(await plugin.handshake, /^1\|2\|/);
  plugin.child.kill("SIGTERM");
  await plugin.ended;
  assert.equal(plugin.errors, "sample serves protocol versions 2, 5; its host offers 7, 9\n");
});

test("without an offer, or with a common version, nothing is said", async (t) => {
  for (const offered of ["", "x", "5,9"]) {
    const plugin = run(t, { ...UNDER_PLUGIND, PLUGIN_PROTOCOL_VERSIONS: offered });
    await plugin.handshake;
    plugin.child.kill("SIGTERM");
    await plugin.ended;
    assert.equal(plugin.errors, "");
  }
});

test("calls of every kind are answered", async (t) => {
  const plugin = run(t);
  const client = await plugin.client("sample");
  assert.deepEqual(await unary(client, "Echo", { text: "hé" }), { text: "hé" });
  const spelled = [];
  for await (const { text } of client.Spell({ text: "abc" })) spelled.push(text);
  assert.deepEqual(spelled, ["a", "b", "c"]);
  const joined = new Promise((resolve, reject) => {
    const call = client.Join((error, answer) => (error ? reject(error) : resolve(answer)));
    for (const text of ["x", "y"]) call.write({ text });
    call.end();
  });
  assert.deepEqual(await joined, { text: "xy" });
});

test("health answers for the plugin, for each service, and for nothing else", async (t) => {
  const plugin = run(t);
  for (const service of ["", "plugin", "sample.v1.Sample"]) {
    assert.deepEqual(await plugin.call("health", "Check", { service }), { status: SERVING });
  }
  await assert.rejects(plugin.call("health", "Check", { service: "x" }), {
    code: grpc.status.NOT_FOUND,
  });
});

for (const [name, service, method] of [
  ["the contract's Shutdown", "plugin", "Shutdown"],
  ["go-plugin's Shutdown", "controller", "Shutdown"],
]) {
  test(`${name} answers, then health says NOT_SERVING, and the process ends with 0`, async (t) => {
    const plugin = run(t);
    const watch = (await plugin.client("health")).Watch({ service: "plugin" });
    const statuses = [];
    const over = once(watch, "end");
    watch.on("data", ({ status }) => statuses.push(status));
    await once(watch, "metadata");
    await plugin.call(service, method);
    await over;
    assert.deepEqual(statuses, [SERVING, NOT_SERVING]);
    assert.equal(await plugin.ended, 0);
    assert.deepEqual(fs.readdirSync(plugin.directory), []);
  });
}

test("SIGTERM lets a running call finish, runs onShutdown and ends with 0, whatever the author left running", async (t) => {
  const plugin = run(t, UNDER_PLUGIND, "farewell", "busy");
  await plugin.call("sample", "Echo");
  const waiting = plugin.call("sample", "Wait", { text: "400" });
  await plugin.call("sample", "Echo"); // the other one has arrived too
  plugin.child.kill("SIGTERM");
  assert.deepEqual(await waiting, { text: "waited" });
  assert.equal(await plugin.ended, 0);
  assert.match(plugin.errors, /"@level":"info","@message":"farewell"/);
});

test("a peer that never closes its end does not hold up the plugin's", async (t) => {
  const plugin = run(t);
  await plugin.call("sample", "Echo");
  const [, , , address] = (await plugin.handshake).split("|");
  const stuck = net.connect({ path: address, allowHalfOpen: true });
  t.after(() => stuck.destroy());
  await once(stuck, "data"); // the server's settings
  const began = Date.now();
  plugin.child.kill("SIGTERM");
  assert.equal(await plugin.ended, 0);
  assert.ok(Date.now() - began < 3000, `it took ${Date.now() - began} ms`);
});

test("what onStart throws is the reason, and the exit code is 1", async (t) => {
  const plugin = run(t, UNDER_PLUGIND, "broken");
  assert.equal(await plugin.ended, 1);
  assert.match(plugin.errors, /"@message":"the database is gone"/);
  assert.deepEqual(plugin.lines, []);
});

test("a plugin whose host has died ends in order within the lease", async (t) => {
  // A process between this test and the plugin, which dies.
  const script = `
    const { spawn } = require("node:child_process");
    const child = spawn(process.execPath, [${JSON.stringify(SAMPLE)}, "busy"], { stdio: ["ignore", "inherit", "inherit"] });
    process.stderr.write(child.pid + "\\n");
  `;
  const directory = fs.mkdtempSync(path.join(require("node:os").tmpdir(), "plugind-node-"));
  t.after(() => fs.rmSync(directory, { recursive: true, force: true }));
  const host = spawn(process.execPath, ["-e", script], {
    env: { ...process.env, ...UNDER_PLUGIND, PLUGIN_UNIX_SOCKET_DIR: directory },
    stdio: ["ignore", "pipe", "pipe"],
  });
  await once(createInterface({ input: host.stdout }), "line");
  // The plugin holds these two as well.
  const over = Promise.all([once(host.stdout, "end"), once(host.stderr, "end")]);
  let errors = "";
  host.stderr.on("data", (data) => (errors += data));
  const began = Date.now();
  host.kill("SIGKILL");
  host.stdout.resume();
  await over;
  assert.ok(Date.now() - began < 2000, `it took ${Date.now() - began} ms`);
  assert.match(errors, /the host is gone; stopping/);
  assert.deepEqual(fs.readdirSync(directory), []);
});

test("under plugind a print after the handshake is a line of stdout", async (t) => {
  const plugin = run(t);
  await plugin.handshake;
  const next = once(plugin.stdout, "line");
  await plugin.call("sample", "Print", { text: "hello, log" });
  assert.deepEqual(await next, ["hello, log"]);
});

test("under other hosts prints go over GRPCStdio, those before the handshake too", async (t) => {
  const plugin = run(t, UNDER_GO_PLUGIN, "chatty");
  assert.match(await plugin.handshake, /^1\|5\|unix\|.*\/plugin-[^/]+\.sock\|grpc$/);
  await plugin.call("sample", "Print", { text: "after" });
  let said = "";
  const stream = (await plugin.client("stdio")).StreamStdio({});
  const over = once(stream, "end");
  stream.on("data", ({ channel, data }) => {
    assert.equal(channel, 1);
    said += data;
  });
  await plugin.call("sample", "Print", { text: "x".repeat(3000) });
  plugin.child.kill("SIGTERM");
  await over;
  assert.equal(said, `before the handshake\nafter\n${"x".repeat(3000)}\n`);
  assert.equal(await plugin.ended, 0);
  assert.equal(plugin.lines.length, 1);
});

test("multiplexing is refused in words", async (t) => {
  const plugin = run(t, { ...UNDER_GO_PLUGIN, PLUGIN_MULTIPLEX_GRPC: "true" });
  assert.equal(await plugin.ended, 1);
  assert.match(plugin.errors, /PLUGIN_MULTIPLEX_GRPC/);
});

test("with AutoMTLS only the host is served, and knows the plugin by the certificate of the handshake", async (t) => {
  const host = makeCertificate();
  const plugin = run(t, { ...UNDER_GO_PLUGIN, PLUGIN_CLIENT_CERT: host.certificate });
  const field = (await plugin.handshake).split("|")[5];
  assert.doesNotMatch(field, /=/);
  const own = new X509Certificate(Buffer.from(field, "base64"));
  const credentials = grpc.credentials.createSsl(
    Buffer.from(own.toString()),
    Buffer.from(host.key),
    Buffer.from(host.certificate),
  );
  assert.deepEqual(await plugin.call("sample", "Echo", { text: "s" }, credentials), { text: "s" });
  const stranger = makeCertificate();
  for (const wrong of [
    grpc.credentials.createInsecure(),
    grpc.credentials.createSsl(Buffer.from(own.toString())),
    grpc.credentials.createSsl(
      Buffer.from(own.toString()),
      Buffer.from(stranger.key),
      Buffer.from(stranger.certificate),
    ),
  ]) {
    await assert.rejects(plugin.call("sample", "Echo", {}, wrong), (error) =>
      [grpc.status.UNAVAILABLE, grpc.status.DEADLINE_EXCEEDED].includes(error.code),
    );
  }
});
