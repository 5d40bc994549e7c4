// Start here: everything that a plugin's author needs; index.d.ts explains each name.
"use strict";

const { ConfigError } = require("./lib/contract");
const { loadProto } = require("./lib/load_proto");
const { log } = require("./lib/log");
const { Plugin } = require("./lib/plugin");

module.exports = { ConfigError, Plugin, loadProto, log };
