// The host, as the plugin calls it at PLUGIND_HOST_ADDRESS: its peers, what the host says of it and
// of them, and the line of text for operators. Every call carries on the trace of the one that it is
// made for.
"use strict";

const { host: service } = require("./host_messages");
const { carryOn, follow } = require("./trace");

// DEADLINE_EXCEEDED, UNIMPLEMENTED, UNAVAILABLE.
const HARMLESS = new Set([4, 12, 14]);

const NAME = /^[a-z0-9]([a-z0-9._-]{0,46}[a-z0-9])?$/;
const STATUS_BYTES = 1024;
const DEADLINE = 2000; // ms, for the host's own services

const OPTIONS = {
  "grpc.default_authority": "localhost",
  // grpc-js's own would wait up to two minutes before the next try.
  "grpc.initial_reconnect_backoff_ms": 50,
  "grpc.max_reconnect_backoff_ms": 1000,
  "grpc.enable_http_proxy": 0,
};

// Says on each call which peer it is for; calls of every kind pass here. And lets a call begin only
// when what has arrived by now has been looked at: else one that follows a restart of the host's
// would be lost to a connection whose end is not yet read.
function addressedTo(grpc, name) {
  return (options, next) => {
    let begun = false;
    let cancel;
    return new grpc.InterceptingCall(next(options), {
      start(metadata, listener, forward) {
        const addressed = metadata.clone(); // it is the author's, who may use it again
        addressed.set("plugind-plugin", name);
        carryOn(addressed);
        setImmediate(() => {
          begun = true;
          forward(addressed, listener);
          cancel?.();
        });
      },
      // grpc-js would lose the cancellation of a call that has not begun.
      cancel(forward) {
        if (begun) forward();
        else cancel = forward;
      },
    });
  };
}

class Peer {
  #grpc;

  constructor(grpc, name, target) {
    this.#grpc = grpc;
    this.name = name;
    this.target = target;
    this.credentials = grpc.credentials.createInsecure();
    this.interceptors = [addressedTo(grpc, name)];
    this.options = { ...OPTIONS, interceptors: this.interceptors };
  }

  // A client of a service of the peer: client(kv.v1.KV). The class is one of grpc-js, or anything
  // that is made with (target, credentials, options), as generated clients are.
  client(Service, options = {}) {
    const Client =
      typeof Service === "function" ? Service : this.#grpc.makeGenericClientConstructor(Service);
    const interceptors = [...this.interceptors, ...(options.interceptors ?? [])];
    return new Client(this.target, this.credentials, { ...OPTIONS, ...options, interceptors });
  }
}

class Host {
  #address;
  #client;

  // address: PLUGIND_HOST_ADDRESS, "" under hosts other than plugind.
  constructor(address) {
    this.#address = address;
  }

  peer(name) {
    if (!NAME.test(name)) throw new TypeError(`${JSON.stringify(name)} is no name of a plugin`);
    if (this.#address === "") throw noHost();
    follow();
    return new Peer(require("@grpc/grpc-js"), name, this.#address);
  }

  // What the host calls this plugin, and what was agreed.
  identity() {
    return this.#ask("GetSelf", {});
  }

  // Whom this plugin may call, in order of name.
  async peers() {
    return (await this.#ask("ListPeers", {})).peers;
  }

  // Nothing depends on the line, so a host that cannot take it is not an error.
  async setStatus(text) {
    if (Buffer.byteLength(text) > STATUS_BYTES) {
      throw new RangeError(`a status has at most ${STATUS_BYTES} bytes`);
    }
    if (this.#address === "") return;
    try {
      await this.#ask("SetStatus", { text });
    } catch (error) {
      if (!HARMLESS.has(error.code)) throw error;
    }
  }

  #ask(method, request) {
    if (this.#address === "") return Promise.reject(noHost());
    const grpc = require("@grpc/grpc-js");
    this.#client ??= new grpc.Client(this.#address, grpc.credentials.createInsecure(), OPTIONS);
    const { path, requestSerialize, responseDeserialize } = service[method];
    const metadata = new grpc.Metadata();
    carryOn(metadata);
    return new Promise((resolve, reject) => {
      this.#client.makeUnaryRequest(
        path,
        requestSerialize,
        responseDeserialize,
        request,
        metadata,
        { deadline: Date.now() + DEADLINE },
        (error, answer) => (error === null ? resolve(answer) : reject(error)),
      );
    });
  }
}

function noHost() {
  return new Error("this host has no peers to call: PLUGIND_HOST_ADDRESS is not set");
}

module.exports = { Host };
