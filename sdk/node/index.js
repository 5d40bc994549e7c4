// Start here: everything that a plugin's author needs; index.d.ts explains each name.
"use strict";

const { ConfigError, Plugin, log } = require("./lib/start");

// Loaded for those who ask: generated services do without.
function loadProto(file, options) {
  return require("./lib/load_proto").loadProto(file, options);
}

module.exports = { ConfigError, Plugin, loadProto, log };
