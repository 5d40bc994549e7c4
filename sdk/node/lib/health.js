// grpc.health.v1 for "", "plugin" and each service: they are up together, and go down together.
"use strict";

const Status = { SERVING: 1, NOT_SERVING: 2, SERVICE_UNKNOWN: 3 };
const NOT_FOUND = 5;

class Health {
  #serving = true;
  #ended = false;
  #names;
  #watchers = new Set();

  constructor(services) {
    this.#names = new Set(["", "plugin", ...services]);
  }

  get handlers() {
    return {
      Check: (call, callback) => {
        const { service } = call.request;
        if (!this.#names.has(service)) {
          callback({ code: NOT_FOUND, details: `unknown service: ${service.slice(0, 100)}` });
        } else {
          callback(null, this.#status());
        }
      },
      Watch: (call) => {
        if (!this.#names.has(call.request.service)) {
          call.write({ status: Status.SERVICE_UNKNOWN });
          call.on("cancelled", () => call.end());
          return;
        }
        call.write(this.#status());
        if (this.#ended) {
          call.end();
          return;
        }
        this.#watchers.add(call);
        call.on("cancelled", () => this.#watchers.delete(call));
      },
    };
  }

  set(serving) {
    if (this.#ended || serving === this.#serving) return;
    this.#serving = serving;
    for (const call of this.#watchers) call.write(this.#status());
  }

  // NOT_SERVING for good. Watches end with it: nothing can come after it.
  end() {
    this.set(false);
    this.#ended = true;
    for (const call of this.#watchers) call.end();
    this.#watchers.clear();
  }

  #status() {
    return { status: this.#serving && !this.#ended ? Status.SERVING : Status.NOT_SERVING };
  }
}

module.exports = { Health };
