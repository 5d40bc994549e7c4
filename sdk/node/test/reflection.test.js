// Reflection: what a generic client finds, in both of its versions.
"use strict";

const assert = require("node:assert/strict");
const path = require("node:path");
const { test } = require("node:test");

// What other libraries read them with.
const { FileDescriptorProto: Full } = require("protobufjs/ext/descriptor");

const { Plugin, loadProto } = require("..");
const { services } = require("../lib/messages");
const { Message } = require("../lib/wire");
const { FakeHost } = require("../testing");
const { sample } = require("./support");

const File = new Message({ name: [1, "string"], package: [2, "string"] });

async function ask(t, version, ...requests) {
  const host = await FakeHost.start(new Plugin("sample", "1.0.0").service(sample.v1.Sample, {}));
  t.after(() => host.stop());
  const call = host.client(services[version]).ServerReflectionInfo();
  for (const request of requests) call.write(request);
  call.end();
  const answers = [];
  for await (const answer of call) answers.push(answer);
  return answers;
}

for (const version of ["reflection", "reflectionAlpha"]) {
  test(`${version} lists every service`, async (t) => {
    const [answer] = await ask(t, version, { listServices: "" });
    assert.deepEqual(
      answer.listServicesResponse.service.map(({ name }) => name),
      [
        "grpc.health.v1.Health",
        "grpc.reflection.v1.ServerReflection",
        "grpc.reflection.v1alpha.ServerReflection",
        "plugin.GRPCController",
        "plugind.plugin.v1.Plugin",
        "sample.v1.Sample",
      ],
    );
  });
}

test("each symbol has its file, with what that imports", async (t) => {
  const symbols = [
    "sample.v1.Sample",
    "sample.v1.Sample.Echo",
    "sample.v1.Text",
    "grpc.health.v1.Health",
    "grpc.health.v1.HealthCheckResponse.ServingStatus",
    "plugin.GRPCStdio",
    "grpc.reflection.v1alpha.ServerReflection",
  ];
  const answers = await ask(
    t,
    "reflection",
    ...symbols.map((fileContainingSymbol) => ({ fileContainingSymbol })),
  );
  for (const [index, answer] of answers.entries()) {
    assert.ok(
      answer.fileDescriptorResponse,
      `${symbols[index]}: ${answer.errorResponse?.errorMessage}`,
    );
    const [file] = answer.fileDescriptorResponse.fileDescriptorProto.map((bytes) =>
      File.decode(bytes),
    );
    assert.ok(
      symbols[index].startsWith(`${file.package}.`),
      `${symbols[index]} is not in ${file.name}`,
    );
  }
  const [contract] = await ask(t, "reflection", {
    fileContainingSymbol: "plugind.plugin.v1.Plugin",
  });
  const packages = contract.fileDescriptorResponse.fileDescriptorProto.map(
    (bytes) => File.decode(bytes).package,
  );
  assert.deepEqual(packages.sort(), ["google.protobuf", "plugind.plugin.v1"]);
});

test("a file is found by the name that another gives it; what is not there is NOT_FOUND", async (t) => {
  const [found] = await ask(t, "reflection", { fileContainingSymbol: "sample.v1.Sample" });
  const { name } = File.decode(found.fileDescriptorResponse.fileDescriptorProto[0]);
  const [byName, missing, extension] = await ask(
    t,
    "reflection",
    { fileByFilename: name },
    { fileContainingSymbol: "sample.v1.Nothing" },
    { allExtensionNumbersOfType: "sample.v1.Text" },
  );
  assert.deepEqual(byName.fileDescriptorResponse, found.fileDescriptorResponse);
  assert.equal(missing.errorResponse.errorCode, 5);
  assert.equal(extension.errorResponse.errorCode, 12);
});

test("files are such that protobuf takes them: imports, full names, map entries, names as written", async (t) => {
  const file = path.join(__dirname, "fixtures", "rich.proto");
  const { rich } = loadProto(file);
  const host = await FakeHost.start(new Plugin("rich", "1.0.0").service(rich.v1.Rich, {}));
  t.after(() => host.stop());
  const call = host.client(services.reflection).ServerReflectionInfo();
  call.write({ fileContainingSymbol: "rich.v1.Rich" });
  call.end();
  const [answer] = await call.toArray();
  const files = answer.fileDescriptorResponse.fileDescriptorProto.map((bytes) =>
    Full.decode(bytes).toJSON(),
  );
  const own = files.find((each) => each.package === "rich.v1");
  assert.deepEqual(own.dependency, ["google_protobuf.proto"]);
  const [type] = own.messageType;
  assert.deepEqual(
    type.field.map(({ name, typeName }) => [name, typeName]),
    [
      ["by_name", ".rich.v1.Things.ByNameEntry"],
      ["kind", ".rich.v1.Things.Kind"],
      ["settings", ".google.protobuf.Struct"],
      ["inner", ".rich.v1.Things.Inner"],
    ],
  );
  const entry = type.nestedType.find(({ name }) => name === "ByNameEntry");
  assert.equal(entry.options.mapEntry, true);
  assert.equal(entry.field[1].typeName, ".rich.v1.Things");
});
