// The author's methods as grpc-js takes them, and how many calls of them are running.
"use strict";

const { EventEmitter, once } = require("node:events");

class Running {
  #count = 0;
  #changed = new EventEmitter();

  // grpc-js knows callbacks only. A method that answers once may return a promise of its answer
  // instead; what it throws is the status: `code` and `details` or `message`.
  methods(definition, implementation) {
    const wrapped = {};
    for (const [name, { responseStream, originalName }] of Object.entries(definition)) {
      const method = implementation[name] ?? implementation[originalName];
      if (method === undefined) continue; // grpc-js answers UNIMPLEMENTED
      const bound = method.bind(implementation);
      wrapped[name] = responseStream ? this.#streaming(bound) : this.#answering(bound);
    }
    return wrapped;
  }

  // Resolves when no call is running.
  async none() {
    while (this.#count > 0) await once(this.#changed, "less");
  }

  #answering(method) {
    return (call, callback) => {
      const end = this.#begin(call);
      const answer = (...outcome) => {
        callback(...outcome);
        end();
      };
      settle(
        traced(call, () => method(call, answer)),
        // Nothing: the method has used its callback, or will.
        (value) => value !== undefined && answer(null, value),
        (error) => answer(error),
      );
    };
  }

  #streaming(method) {
    return (call) => {
      const end = this.#begin(call);
      call.once("finish", end);
      call.once("error", end);
      settle(
        traced(call, () => method(call)),
        () => {},
        (error) => call.emit("error", error),
      );
    };
  }

  // Returns what ends it; a call ends once.
  #begin(call) {
    let running = true;
    const end = () => {
      if (!running) return;
      running = false;
      --this.#count;
      this.#changed.emit("less");
    };
    ++this.#count;
    call.once("cancelled", end);
    return end;
  }
}

// The method, within the call's trace if it has one.
function traced(call, method) {
  if (call.metadata.get("traceparent").length === 0) return method;
  const { within } = require("./trace");
  return () => within(call, method);
}

// What is not a promise is not an outcome: the method uses its callback.
function settle(method, done, failed) {
  try {
    const outcome = method();
    if (typeof outcome?.then === "function") outcome.then(done, failed);
  } catch (error) {
    failed(error);
  }
}

module.exports = { Running };
