// A host's side, for the tests: the sample plugin as a process, and calls to it.
"use strict";

const { spawn } = require("node:child_process");
const { once } = require("node:events");
const fs = require("node:fs");
const os = require("node:os");
const path = require("node:path");
const { createInterface } = require("node:readline");

const grpc = require("@grpc/grpc-js");

const { services } = require("../lib/messages");
const { loadProto } = require("..");

const SAMPLE = path.join(__dirname, "fixtures", "sample_plugin.js");
const { sample } = loadProto(path.join(__dirname, "fixtures", "sample.proto"));

const UNDER_PLUGIND = {
  PLUGIND_PLUGIN: "1",
  PLUGIND_INSTANCE: "7f3a",
  PLUGIN_PROTOCOL_VERSIONS: "1,2",
};
const UNDER_GO_PLUGIN = { PLUGIND_PLUGIN: "1", PLUGIN_PROTOCOL_VERSIONS: "5" };

class Process {
  constructor(environment, args) {
    this.directory = fs.mkdtempSync(path.join(os.tmpdir(), "plugind-node-"));
    this.child = spawn(process.execPath, [SAMPLE, ...args], {
      env: { PATH: process.env.PATH, PLUGIN_UNIX_SOCKET_DIR: this.directory, ...environment },
      stdio: ["ignore", "pipe", "pipe"],
    });
    this.lines = [];
    this.errors = "";
    this.ended = once(this.child, "close").then(([code, signal]) => signal ?? code);
    this.child.stderr.on("data", (data) => (this.errors += data));
    this.stdout = createInterface({ input: this.child.stdout });
    this.handshake = new Promise((resolve) => this.stdout.once("line", resolve));
    this.stdout.on("line", (line) => this.lines.push(line));
    this.clients = [];
  }

  // A client of the sample, or of one of the SDK's services by its name in lib/messages.js.
  async client(name, credentials = grpc.credentials.createInsecure()) {
    const socket = (await this.handshake).split("|")[3];
    const Client =
      name === "sample" ? sample.v1.Sample : grpc.makeGenericClientConstructor(services[name]);
    const client = new Client(`unix:${socket}`, credentials, {
      "grpc.default_authority": "localhost",
    });
    this.clients.push(client);
    return client;
  }

  async call(name, method, request = {}, credentials) {
    const client = await this.client(name, credentials);
    return unary(client, method, request);
  }

  async end() {
    for (const client of this.clients) client.close();
    this.child.kill("SIGKILL");
    await this.ended;
    fs.rmSync(this.directory, { recursive: true, force: true });
  }
}

function unary(client, method, request, metadata = new grpc.Metadata()) {
  return new Promise((resolve, reject) => {
    client[method](request, metadata, { deadline: Date.now() + 10_000 }, (error, answer) => {
      if (error) reject(error);
      else resolve(answer);
    });
  });
}

// Runs the sample for one test, and ends it with the test.
function run(test, environment = UNDER_PLUGIND, ...args) {
  const started = new Process(environment, args);
  test.after(() => started.end());
  return started;
}

module.exports = { SAMPLE, UNDER_GO_PLUGIN, UNDER_PLUGIND, run, sample, unary };
