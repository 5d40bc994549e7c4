// Lines of the host's log, and what becomes of a print that nobody reads any more.
"use strict";

const LEVELS = new Set(["trace", "debug", "info", "warn", "error"]);

// One line on stderr in the JSON form that plugind and go-plugin hosts read as level, message and
// fields.
function log(level, message, fields = {}) {
  if (!LEVELS.has(level))
    throw new TypeError(`"${level}" is no level: trace, debug, info, warn or error`);
  const entry = {
    "@level": level,
    "@message": String(message),
    // Microseconds: go-plugin's hosts take no line with fewer digits for a structured one.
    "@timestamp": new Date().toISOString().replace("Z", "000Z"),
  };
  process.stderr.write(`${JSON.stringify({ ...fields, ...entry }, plain)}\n`);
}

// What JSON has no form for, as text.
function plain(key, value) {
  if (typeof value === "bigint") return String(value);
  return value instanceof Error ? value.message : value;
}

// A print to a host that is gone must not be what ends the plugin: that is done in order.
function ignoreLostReaders() {
  for (const stream of [process.stdout, process.stderr]) stream.on("error", () => {});
}

module.exports = { ignoreLostReaders, log };
