// The tables of the messages are what the .proto files say, and the bytes what protobufjs makes
// of them.
"use strict";

const assert = require("node:assert/strict");
const path = require("node:path");
const { test } = require("node:test");

const { loadSync } = require("@grpc/proto-loader");

const { host, messages: ofHost } = require("../lib/host_messages");
const { messages: atOnce, services } = require("../lib/messages");
const late = require("../lib/reflection_messages");
const { Struct } = require("../lib/struct");
const { Message } = require("../lib/wire");

const messages = { ...atOnce, ...late, ...ofHost };
const PROTO = path.join(__dirname, "..", "proto");
const FILES = [
  "grpc/health/v1/health.proto",
  "grpc/reflection/v1/reflection.proto",
  "plugin/go_plugin.proto",
  "plugind/host/v1/host.proto",
  "plugind/plugin/v1/plugin.proto",
];
const loaded = loadSync(FILES, {
  includeDirs: [PROTO],
  longs: Number,
  enums: Number,
  defaults: true,
});
const alpha = loadSync("grpc/reflection/v1alpha/reflection.proto", { includeDirs: [PROTO] });

// As much of google/protobuf/descriptor.proto as is compared. proto-loader's own reading of it does
// not tell which fields have a oneof.
const Field = new Message({
  name: [1, "string"],
  number: [3, "int32"],
  label: [4, "int32"],
  type: [5, "int32"],
  typeName: [6, "string"],
  oneof: [9, "int32", "oneof"],
});
const Type = new Message({ name: [1, "string"], field: [2, Field, "repeated"] });
const File = new Message({ messageType: [4, Type, "repeated"] });

const REPEATED = 3;
const SCALARS = {
  3: "int64",
  4: "uint64",
  5: "int32",
  8: "bool",
  9: "string",
  12: "bytes",
  13: "uint32",
  14: "enum",
};

function declaredType(name) {
  const [, { fileDescriptorProtos }] = Object.entries(loaded).find(
    ([full, each]) => full.endsWith(`.${name}`) && each.fileDescriptorProtos,
  );
  return fileDescriptorProtos
    .flatMap((bytes) => File.decode(bytes).messageType)
    .find((type) => type.name === name);
}

function declaredField({ name, number, label, type, typeName, oneof }) {
  const of = typeName.split(".").at(-1);
  const plain = { name: name.replace(/_(\w)/g, (_, letter) => letter.toUpperCase()), number };
  if (of === plain.name.replace(/^./, (letter) => letter.toUpperCase()) && label === REPEATED)
    return { ...plain, rule: "map", of: "string" }; // protobufjs's name for an entry
  const rule = label === REPEATED ? "repeated" : oneof !== null ? "oneof" : undefined;
  return { ...plain, rule, of: SCALARS[type] ?? of };
}

// What a field of a table is made of, by name.
function nameOf({ rule, of }) {
  if (rule === "map") return of.fields[1].of;
  if (of === Struct) return "Struct";
  return typeof of === "string" ? of : Object.keys(messages).find((name) => messages[name] === of);
}

for (const [name, message] of Object.entries(messages)) {
  if (name === "Duration") continue; // google's, which protobufjs knows by itself
  test(`${name} has the fields of its .proto`, () => {
    const own = message.fields.map((field) => ({
      name: field.name,
      number: field.number,
      rule: field.rule,
      of: nameOf(field),
    }));
    assert.deepEqual(own, declaredType(name).field.map(declaredField));
  });
}

for (const [name, definition] of Object.entries({ ...services, host })) {
  test(`the service ${name} has the methods of its .proto`, () => {
    for (const [method, { path, requestStream, responseStream }] of Object.entries(definition)) {
      const [, service] = path.split("/");
      const declared = (loaded[service] ?? alpha[service])[method];
      assert.deepEqual(
        { path, requestStream, responseStream },
        {
          path: declared.path,
          requestStream: declared.requestStream,
          responseStream: declared.responseStream,
        },
      );
    }
  });
}

const configure = loaded["plugind.plugin.v1.Plugin"].Configure;

test("settings are read as protobufjs writes them", () => {
  const value = (kind, of) => ({ [kind]: of });
  const request = {
    settings: {
      fields: {
        text: value("stringValue", "é"),
        number: value("numberValue", -0.5),
        yes: value("boolValue", true),
        no: value("boolValue", false),
        nothing: value("nullValue", 0),
        list: value("listValue", {
          values: [value("numberValue", 1), value("listValue", { values: [] })],
        }),
        table: value("structValue", { fields: { inner: value("stringValue", "") } }),
        ["__proto__"]: value("stringValue", "a key like any other"),
      },
    },
    capabilities: { drain: "1.0", "a.b": "2.1" },
    generation: 2 ** 40,
  };
  const read = messages.ConfigureRequest.decode(configure.requestSerialize(request));
  assert.deepEqual(
    JSON.parse(JSON.stringify(read.settings)),
    JSON.parse(
      '{"text":"é","number":-0.5,"yes":true,"no":false,"nothing":null,"list":[1,[]],"table":{"inner":""},' +
        '"__proto__":"a key like any other"}',
    ),
  );
  assert.deepEqual(read.capabilities, request.capabilities);
  assert.equal(read.generation, 2 ** 40);
});

test("settings are written as protobufjs reads them", () => {
  const settings = { a: [1, "two", null, { b: false }], c: {} };
  const read = configure.requestDeserialize(
    messages.ConfigureRequest.encode({ settings, generation: 7 }),
  );
  assert.equal(read.generation, 7);
  const again = messages.ConfigureRequest.decode(configure.requestSerialize(read));
  assert.deepEqual(again.settings, settings);
});

test("unknown fields, and known ones of another encoding, are passed over", () => {
  const Newer = new Message({
    name: [1, "uint32"],
    number: [100, "double"],
    text: [101, "string"],
    versions: [2, "string", "repeated"],
  });
  const bytes = Newer.encode({ name: 5, number: 1.5, text: "x", versions: ["1.0", ""] });
  const read = messages.Capability.decode(
    Buffer.concat([bytes, Buffer.of(0xfd, 0x07, 1, 2, 3, 4)]),
  );
  assert.deepEqual(read, { name: "", versions: ["1.0", ""], required: false });
});

test("packed numbers are read, and numbers one by one", () => {
  const packed = loaded["plugind.plugin.v1.Plugin"].Negotiate.requestSerialize({
    offeredProtocolVersions: [1, 300],
  });
  assert.deepEqual(messages.NegotiateRequest.decode(packed).offeredProtocolVersions, [1, 300]);
  const single = messages.NegotiateRequest.encode({ offeredProtocolVersions: [1, 300] });
  assert.deepEqual(messages.NegotiateRequest.decode(single).offeredProtocolVersions, [1, 300]);
});

for (const [what, bytes] of [
  ["ends within a number", [0x0a, 0x80]],
  ["ends within a field", [0x0a, 5, 65]],
  ["has a number without end", [0x18, ...Array(11).fill(0x80)]],
  ["has a group", [0x0b]],
]) {
  test(`a message that ${what} is refused`, () => {
    assert.throws(() => messages.Capability.decode(Buffer.from(bytes)));
  });
}

test("settings that nest too deep are refused before the stack is", () => {
  let value = null;
  for (let depth = 0; depth < 200; ++depth) value = [value];
  const deep = messages.ConfigureRequest.encode({ settings: { value } });
  assert.throws(() => messages.ConfigureRequest.decode(deep), /deeper/);
});
