// plugind.plugin.v1.Plugin: the plugin's side of the contract, and what the host has settled with
// it so far.
"use strict";

// The version is package.json's, which no start has the time to read; a test compares them.
const SDK = { language: "node", version: "0.1.0" };

const INVALID_ARGUMENT = 3;
const UNIMPLEMENTED = 12;
const INTERNAL = 13;

function violationsOf(outcome) {
  const list = outcome === undefined || outcome === null ? [] : [outcome].flat();
  return list.map((each) => {
    if (typeof each === "string") return { field: "", reason: each };
    return { field: String(each.field ?? ""), reason: String(each.reason ?? "") };
  });
}

function millisecondsOf(duration) {
  return duration === null ? 0 : duration.seconds * 1000 + duration.nanos / 1e6;
}

class Contract {
  settings = {};
  agreed = {};
  #description;
  #stop;
  // Configure comes one call at a time, but a hook may take longer than a host waits.
  #last = Promise.resolve();

  // description: { name, version, services, capabilities, configSchema, onConfigure, onDrain };
  // stop() ends the process.
  constructor(description, stop) {
    this.#description = description;
    this.#stop = stop;
  }

  get handlers() {
    return {
      Negotiate: (call, callback) => callback(null, this.#negotiate()),
      Configure: (call, callback) => {
        this.#last = this.#last
          .then(() => this.#configure(call.request))
          .then(
            (answer) => callback(null, answer),
            (error) => callback({ code: INVALID_ARGUMENT, details: error.message }),
          );
      },
      Drain: (call, callback) => this.#drain(call.request, callback),
      Shutdown: (call, callback) => {
        callback(null, {});
        this.#stop();
      },
    };
  }

  #negotiate() {
    const { name, version, services, capabilities, configSchema } = this.#description;
    return { name, version, services, capabilities, configSchema, sdk: SDK };
  }

  async #configure({ settings, capabilities, generation }) {
    this.agreed = capabilities;
    const wanted = settings ?? {};
    const { onConfigure } = this.#description;
    if (onConfigure !== undefined) {
      try {
        const violations = violationsOf(await onConfigure(wanted, { generation }));
        if (violations.length > 0) return { violations };
      } catch (error) {
        if (Array.isArray(error?.violations)) return { violations: violationsOf(error.violations) };
        throw error instanceof Error ? error : new Error(String(error));
      }
    }
    this.settings = wanted;
    return {};
  }

  #drain({ timeout }, callback) {
    const { onDrain } = this.#description;
    if (onDrain === undefined) {
      callback({ code: UNIMPLEMENTED, details: "this plugin has nothing to drain" });
      return;
    }
    Promise.resolve(millisecondsOf(timeout))
      .then(onDrain)
      .then(
        () => callback(null, {}),
        (error) => callback({ code: INTERNAL, details: `onDrain: ${error?.message ?? error}` }),
      );
  }
}

module.exports = { Contract, SDK };
