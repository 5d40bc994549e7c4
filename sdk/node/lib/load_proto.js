// A .proto file as grpc-js's service classes.
"use strict";

const path = require("node:path");
const { fileURLToPath } = require("node:url");

// Where the definition of each service came from.
const origins = new WeakMap();

function loadProto(file, options = {}) {
  const location = file instanceof URL ? fileURLToPath(file) : file;
  if (!path.isAbsolute(location)) {
    throw new TypeError(
      `loadProto("${location}"): a plugin runs in a directory of its own, so say where the file is: ` +
        `__dirname + "/${location}", or new URL("${location}", import.meta.url)`,
    );
  }
  const { includeDirs = [], ...rest } = options;
  const { loadSync } = require("@grpc/proto-loader");
  const every = {
    longs: String,
    enums: String,
    defaults: true,
    oneofs: true,
    includeDirs: [path.dirname(location), ...includeDirs],
    ...rest,
  };
  const loaded = loadSync(location, every);
  for (const [name, each] of Object.entries(loaded)) {
    if (each.format === undefined) origins.set(each, { name, location, options: every });
  }
  return require("@grpc/grpc-js").loadPackageDefinition(loaded);
}

// The same service with its fields named as in the file, for reflection; protobufjs forgets those
// names otherwise.
function asWritten(service) {
  const origin = origins.get(service);
  if (origin === undefined || origin.options.keepCase) return service;
  const { loadSync } = require("@grpc/proto-loader");
  try {
    return loadSync(origin.location, { ...origin.options, keepCase: true })[origin.name];
  } catch {
    return service; // the file is not there any more
  }
}

module.exports = { asWritten, loadProto };
