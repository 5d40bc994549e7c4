// lib/start.js is what every plugin runs, and its parts are what people read.
"use strict";

const assert = require("node:assert/strict");
const fs = require("node:fs");
const path = require("node:path");
const { test } = require("node:test");

const { PARTS, startFile } = require("../scripts/start");

const LIB = path.join(__dirname, "..", "lib");

test("lib/start.js is made of the files beside it", () => {
  const found = fs.readFileSync(path.join(LIB, "start.js"), "utf8");
  assert.ok(found === startFile(), "npm run start-file");
});

test("a start loads no part as a file of its own", () => {
  require("..");
  const twice = PARTS.filter((name) => require.cache[path.join(LIB, `${name}.js`)] !== undefined);
  assert.deepEqual(twice, []);
});
