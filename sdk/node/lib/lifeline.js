// Until when the plugin runs: SIGTERM, the host's Shutdown, stop(), or the death of the process
// that started it.
"use strict";

// ms. Node cannot wait for a parent's end, so its pid is looked at: the lease is 2 s, of which
// running calls get 1 s.
const PARENT_CHECK = 500;

class Lifeline {
  #end;
  #timer;

  constructor() {
    // Resolves to "asked" or "orphaned", once.
    this.ended = new Promise((resolve) => {
      this.#end = resolve;
    });
    // Ctrl-C in the host's terminal reaches its whole process group, and the host then stops its
    // plugins in order.
    process.on("SIGINT", () => {});
    process.on("SIGTERM", () => this.#end("asked"));
    const parent = process.ppid;
    this.#timer = setInterval(() => {
      if (process.ppid === parent) return;
      clearInterval(this.#timer);
      this.#end("orphaned");
    }, PARENT_CHECK);
    this.#timer.unref();
  }

  stop() {
    this.#end("asked");
  }
}

module.exports = { Lifeline };
