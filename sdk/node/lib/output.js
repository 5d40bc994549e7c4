// What the plugin prints, under hosts other than plugind: they take a print before the handshake
// for a broken one and discard those after it, so it goes over GRPCStdio. Under plugind stdout is
// read for ever, and nothing is captured.
"use strict";

// Until a host reads, the newest of this much is kept.
const KEPT = 64 * 1024;
// Of StdioData.data.
const CHUNK = 1024;
const STDOUT = 1;

class Output {
  #original = null;
  #chunks = [];
  #size = 0;
  #reader = null;
  #flowing = true;
  #ended = false;

  // From here on process.stdout, and with it console.log, is captured.
  capture() {
    this.#original = process.stdout.write;
    process.stdout.write = (data, encoding, callback) => {
      this.#add(
        typeof data === "string" ? Buffer.from(data, stringEncoding(encoding)) : Buffer.from(data),
      );
      const done = typeof encoding === "function" ? encoding : callback;
      if (done) process.nextTick(done);
      return true;
    };
  }

  // What is printed afterwards goes to the real stdout.
  release() {
    if (this.#original !== null) process.stdout.write = this.#original;
    this.#original = null;
  }

  // For GRPCStdio. A second reader takes over from the first.
  get handlers() {
    return {
      StreamStdio: (call) => {
        this.#reader?.end();
        if (this.#ended) {
          call.end();
          return;
        }
        this.#reader = call;
        this.#flowing = true;
        call.on("drain", () => {
          this.#flowing = true;
          this.#send();
        });
        call.on("cancelled", () => {
          if (this.#reader === call) this.#reader = null;
        });
        this.#send();
      },
    };
  }

  end() {
    this.#ended = true;
    this.#flowing = true;
    this.#send();
    this.#reader?.end();
    this.#reader = null;
  }

  #add(data) {
    for (let at = 0; at < data.length; at += CHUNK) {
      const chunk = data.subarray(at, at + CHUNK);
      this.#chunks.push(chunk);
      this.#size += chunk.length;
    }
    while (this.#size > KEPT) this.#size -= this.#chunks.shift().length;
    this.#send();
  }

  #send() {
    while (this.#reader !== null && this.#flowing && this.#chunks.length > 0) {
      const data = this.#chunks.shift();
      this.#size -= data.length;
      this.#flowing = this.#reader.write({ channel: STDOUT, data });
    }
  }
}

function stringEncoding(encoding) {
  return typeof encoding === "string" ? encoding : "utf8";
}

module.exports = { Output };
