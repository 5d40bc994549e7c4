// What the plugin names in the negotiation: its author's capabilities, and those that the SDK
// provides by itself.
"use strict";

// Always there. config.reload and drain come with their hooks.
const BUILT_IN = ["peer.calls", "log.structured", "trace"];
const VERSION = /^\d+\.\d+$/;
const NAME = /^[A-Za-z0-9._-]{1,128}$/;

class Capabilities {
  #byName = new Map();

  // version undefined: any, which only a required one may say.
  add(name, version, required) {
    if (!NAME.test(name)) throw new TypeError(`${JSON.stringify(name)} is no name of a capability`);
    if (version !== undefined && !VERSION.test(version)) {
      throw new TypeError(
        `capability ${name}: ${JSON.stringify(version)} is no version; "1.0" would be one`,
      );
    }
    const known = this.#byName.get(name) ?? { name, versions: [], required: false };
    if (version !== undefined && !known.versions.includes(version)) known.versions.push(version);
    known.required ||= required;
    this.#byName.set(name, known);
  }

  // In order of name.
  list({ configurable, drainable }) {
    const own = [...BUILT_IN];
    if (configurable) own.push("config.reload");
    if (drainable) own.push("drain");
    const all = new Map(own.map((name) => [name, { name, versions: ["1.0"], required: false }]));
    for (const [name, capability] of this.#byName) all.set(name, capability);
    return [...all.values()].sort((a, b) => (a.name < b.name ? -1 : 1));
  }
}

module.exports = { Capabilities };
