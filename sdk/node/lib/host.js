// The host, as the plugin calls it at PLUGIND_HOST_ADDRESS: its peers, and the line of text for
// operators.
"use strict";

const { services } = require("./messages");

// DEADLINE_EXCEEDED, UNIMPLEMENTED, UNAVAILABLE.
const HARMLESS = new Set([4, 12, 14]);

const NAME = /^[a-z0-9]([a-z0-9._-]{0,46}[a-z0-9])?$/;
const STATUS_BYTES = 1024;
const STATUS_DEADLINE = 2000; // ms

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
        metadata.set("plugind-plugin", name);
        setImmediate(() => {
          begun = true;
          forward(metadata, listener);
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
    if (this.#address === "") {
      throw new Error("this host has no peers to call: PLUGIND_HOST_ADDRESS is not set");
    }
    return new Peer(require("@grpc/grpc-js"), name, this.#address);
  }

  // Nothing depends on the line, so a host that cannot take it is not an error.
  setStatus(text) {
    if (Buffer.byteLength(text) > STATUS_BYTES) {
      return Promise.reject(new RangeError(`a status has at most ${STATUS_BYTES} bytes`));
    }
    if (this.#address === "") return Promise.resolve();
    const grpc = require("@grpc/grpc-js");
    this.#client ??= new grpc.Client(this.#address, grpc.credentials.createInsecure(), OPTIONS);
    const { path, requestSerialize, responseDeserialize } = services.host.SetStatus;
    const deadline = Date.now() + STATUS_DEADLINE;
    return new Promise((resolve, reject) => {
      this.#client.makeUnaryRequest(
        path,
        requestSerialize,
        responseDeserialize,
        { text },
        { deadline },
        (error) => {
          if (error === null || HARMLESS.has(error.code)) resolve();
          else reject(error);
        },
      );
    });
  }
}

module.exports = { Host };
