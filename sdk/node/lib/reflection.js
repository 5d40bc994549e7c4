// gRPC reflection over what proto-loader has kept: each message type carries the descriptors of its
// files.
"use strict";

const path = require("node:path");

const NOT_FOUND = 5;
const UNIMPLEMENTED = 12;

const PROTO = path.join(__dirname, "..", "proto");
const OWN_FILES = [
  "grpc/health/v1/health.proto",
  "grpc/reflection/v1/reflection.proto",
  "grpc/reflection/v1alpha/reflection.proto",
  "plugin/go_plugin.proto",
  "plugind/plugin/v1/plugin.proto",
];

class Reflection {
  #services;
  #definitions;
  #index;

  // services: the full names of all; definitions: the author's, as grpc-js takes them.
  constructor(services, definitions) {
    this.#services = services;
    this.#definitions = definitions;
  }

  get handlers() {
    return {
      ServerReflectionInfo: (call) => {
        call.on("data", (request) => {
          call.write({
            validHost: request.host,
            originalRequest: request,
            ...this.#answer(request),
          });
        });
        call.on("end", () => call.end());
      },
    };
  }

  #answer(request) {
    if (request.listServices !== null) {
      return { listServicesResponse: { service: this.#services.map((name) => ({ name })) } };
    }
    this.#index ??= indexOf(this.#definitions);
    if (request.fileByFilename !== null) {
      return this.#file(this.#index.files.get(request.fileByFilename), request.fileByFilename);
    }
    if (request.fileContainingSymbol !== null) {
      const symbol = request.fileContainingSymbol.replace(/^\./, "");
      return this.#file(this.#index.symbols.get(symbol), symbol);
    }
    // proto3 has extensions of options only, and nobody calls those.
    return {
      errorResponse: { errorCode: UNIMPLEMENTED, errorMessage: "extensions are not indexed" },
    };
  }

  // The file and all that it imports, each once.
  #file(file, what) {
    if (file === undefined) {
      return { errorResponse: { errorCode: NOT_FOUND, errorMessage: `not found: ${what}` } };
    }
    const found = new Set();
    const collect = (each) => {
      if (each === undefined || found.has(each)) return;
      found.add(each);
      each.dependency.forEach((name) => collect(this.#index.files.get(name)));
    };
    collect(file);
    return {
      fileDescriptorResponse: { fileDescriptorProto: [...found].map(({ bytes }) => bytes) },
    };
  }
}

// Everything about descriptors is loaded when somebody asks for one.
function indexOf(definitions) {
  const { describe } = require("./descriptors");
  const { asWritten } = require("./load_proto");
  return describe([...definitions.map(asWritten), ...ownDefinitions()]);
}

function ownDefinitions() {
  const { loadSync } = require("@grpc/proto-loader");
  return OWN_FILES.flatMap((file) => {
    const loaded = loadSync(file, { includeDirs: [PROTO], keepCase: true });
    return Object.values(loaded).filter((each) => each.format === undefined);
  });
}

module.exports = { Reflection };
