// The descriptors that protobufjs makes of what it has loaded, as other protobuf libraries take
// them. Its own are one file for each package, without imports, with relative names, and with map
// entries under names that C++ refuses.
"use strict";

const { Message } = require("./wire");

// As much of google/protobuf/descriptor.proto as protobufjs fills in.
const MessageOptions = new Message({ mapEntry: [7, "bool"] });
const Field = new Message({
  name: [1, "string"],
  number: [3, "int32"],
  label: [4, "int32"],
  type: [5, "int32"],
  typeName: [6, "string"],
  oneofIndex: [9, "int32", "oneof"],
  jsonName: [10, "string"],
});
const Named = new Message({ name: [1, "string"] });
const Enum = new Message({ name: [1, "string"], value: [2, Named, "repeated"] });
const Type = new Message({
  name: [1, "string"],
  field: [2, Field, "repeated"],
  nestedType: [3, "self", "repeated"],
  enumType: [4, "bytes", "repeated"], // as they are: their numbers may be negative
  options: [7, MessageOptions],
  oneofDecl: [8, Named, "repeated"],
});
const Method = new Message({
  name: [1, "string"],
  inputType: [2, "string"],
  outputType: [3, "string"],
  clientStreaming: [5, "bool"],
  serverStreaming: [6, "bool"],
});
const Service = new Message({ name: [1, "string"], method: [2, Method, "repeated"] });
const File = new Message({
  name: [1, "string"],
  package: [2, "string"],
  dependency: [3, "string", "repeated"],
  messageType: [4, Type, "repeated"],
  enumType: [5, "bytes", "repeated"],
  service: [6, Service, "repeated"],
  syntax: [12, "string"],
});

const join = (scope, name) => (scope === "" ? name : `${scope}.${name}`);

// Every file of the definitions by its name, and by each symbol in it: { files, symbols }; a file
// is { name, dependency, bytes }.
function describe(definitions) {
  const files = new Map();
  for (const definition of definitions) {
    for (const { requestType, responseType } of Object.values(definition)) {
      for (const type of [requestType, responseType]) {
        for (const bytes of type?.fileDescriptorProtos ?? []) merge(files, File.decode(bytes));
      }
    }
  }
  for (const file of files.values()) eachType(file, (_, type) => nameMapEntries(type));
  const symbols = new Map();
  for (const file of files.values()) addSymbols(file, symbols);
  for (const file of files.values()) {
    qualify(file, symbols);
    file.bytes = File.encode(file);
  }
  return { files, symbols };
}

// Two .proto files of one package, loaded apart, are one file each time, with other contents.
function merge(files, file) {
  const known = files.get(file.name);
  if (known === undefined) {
    files.set(file.name, file);
    return;
  }
  const add = (key, nameOf) => {
    const names = new Set(known[key].map(nameOf));
    known[key].push(...file[key].filter((each) => !names.has(nameOf(each))));
  };
  add("messageType", ({ name }) => name);
  add("service", ({ name }) => name);
  add("enumType", (bytes) => Enum.decode(bytes).name);
}

// visit(full name, type) for each message type, from the outside in.
function eachType(file, visit) {
  const walk = (scope, types) => {
    for (const type of types) {
      const name = join(scope, type.name);
      visit(name, type);
      walk(name, type.nestedType);
    }
  };
  walk(file.package, file.messageType);
}

function nameMapEntries(type) {
  for (const entry of type.nestedType.filter(({ options }) => options?.mapEntry)) {
    const field = type.field.find(({ typeName }) => typeName.split(".").at(-1) === entry.name);
    if (field === undefined) continue;
    const camel = field.name.replace(/(?:^|_)([a-z0-9])/g, (_, letter) => letter.toUpperCase());
    entry.name = `${camel}Entry`;
    field.typeName = entry.name;
  }
}

function addSymbols(file, symbols) {
  const addEnums = (scope, enums) => {
    for (const { name, value } of enums.map((bytes) => Enum.decode(bytes))) {
      symbols.set(join(scope, name), file);
      for (const each of value) symbols.set(join(scope, each.name), file);
    }
  };
  addEnums(file.package, file.enumType);
  eachType(file, (name, type) => {
    symbols.set(name, file);
    for (const field of type.field) symbols.set(`${name}.${field.name}`, file);
    addEnums(name, type.enumType);
  });
  for (const { name, method } of file.service) {
    symbols.set(join(file.package, name), file);
    for (const each of method) symbols.set(`${join(file.package, name)}.${each.name}`, file);
  }
}

// Full names for relative ones, and imports of the files that they lead to.
function qualify(file, symbols) {
  const imports = new Set();
  const use = (name) => {
    const other = symbols.get(name);
    if (other !== undefined && other !== file) imports.add(other.name);
    return `.${name}`;
  };
  eachType(file, (scope, type) => {
    for (const field of type.field) {
      if (field.typeName !== "") field.typeName = use(resolve(field.typeName, scope, symbols));
    }
  });
  for (const { method } of file.service) {
    for (const each of method) {
      each.inputType = use(each.inputType.replace(/^\./, ""));
      each.outputType = use(each.outputType.replace(/^\./, ""));
    }
  }
  file.dependency = [...imports];
}

// As protobuf looks names up: in the innermost scope first.
function resolve(name, scope, symbols) {
  if (name.startsWith(".")) return name.slice(1);
  for (
    let outer = scope;
    outer !== "";
    outer = outer.slice(0, Math.max(0, outer.lastIndexOf(".")))
  ) {
    if (symbols.has(`${outer}.${name}`)) return `${outer}.${name}`;
  }
  return name;
}

module.exports = { describe };
