// A .proto file as grpc-js's service classes.
"use strict";

const path = require("node:path");
const { fileURLToPath } = require("node:url");

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
  const definition = loadSync(location, {
    longs: String,
    enums: String,
    defaults: true,
    oneofs: true,
    includeDirs: [path.dirname(location), ...includeDirs],
    ...rest,
  });
  return require("@grpc/grpc-js").loadPackageDefinition(definition);
}

module.exports = { loadProto };
