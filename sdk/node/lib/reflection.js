// gRPC reflection over what proto-loader has kept: each message type carries the descriptors of its files.
"use strict";

const path = require("node:path");

const { Message } = require("./wire");

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

// As much of google/protobuf/descriptor.proto as finds a symbol.
const Named = new Message({ name: [1, "string"] });
const Enum = new Message({ name: [1, "string"], value: [2, Named, "repeated"] });
const Type = new Message({
  name: [1, "string"],
  field: [2, Named, "repeated"],
  nestedType: [3, "self", "repeated"],
  enumType: [4, Enum, "repeated"],
});
const Service = new Message({ name: [1, "string"], method: [2, Named, "repeated"] });
const File = new Message({
  name: [1, "string"],
  package: [2, "string"],
  dependency: [3, "string", "repeated"],
  messageType: [4, Type, "repeated"],
  enumType: [5, Enum, "repeated"],
  service: [6, Service, "repeated"],
});

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
          call.write({ validHost: request.host, originalRequest: request, ...this.#answer(request) });
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
    return { errorResponse: { errorCode: UNIMPLEMENTED, errorMessage: "extensions are not indexed" } };
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
    return { fileDescriptorResponse: { fileDescriptorProto: [...found].map(({ bytes }) => bytes) } };
  }
}

// Every descriptor of the definitions, by file name and by symbol.
function indexOf(definitions) {
  const files = new Map();
  const symbols = new Map();
  const add = (bytes) => {
    const file = { ...File.decode(bytes), bytes };
    if (files.has(file.name)) return;
    files.set(file.name, file);
    const inFile = (name) => symbols.set(name, file);
    const inPackage = (name) => (file.package === "" ? name : `${file.package}.${name}`);
    for (const type of file.messageType) addType(inPackage(type.name), type, inFile);
    for (const type of file.enumType) addEnum(inPackage(type.name), type, inFile);
    for (const { name, method } of file.service) {
      inFile(inPackage(name));
      for (const each of method) inFile(`${inPackage(name)}.${each.name}`);
    }
  };
  for (const definition of [...definitions, ...ownDefinitions()]) {
    for (const { requestType, responseType } of Object.values(definition)) {
      for (const type of [requestType, responseType]) type?.fileDescriptorProtos?.forEach(add);
    }
  }
  return { files, symbols };
}

function addType(name, type, add) {
  add(name);
  for (const field of type.field) add(`${name}.${field.name}`);
  for (const inner of type.enumType) addEnum(`${name}.${inner.name}`, inner, add);
  for (const inner of type.nestedType) addType(`${name}.${inner.name}`, inner, add);
}

function addEnum(name, type, add) {
  add(name);
  const scope = name.slice(0, name.lastIndexOf(".") + 1);
  for (const value of type.value) add(`${scope}${value.name}`);
}

// Loaded when somebody asks.
function ownDefinitions() {
  const { loadSync } = require("@grpc/proto-loader");
  return OWN_FILES.flatMap((file) => {
    const loaded = loadSync(file, { includeDirs: [PROTO] });
    return Object.values(loaded).filter((each) => each.format === undefined);
  });
}

module.exports = { Reflection };
