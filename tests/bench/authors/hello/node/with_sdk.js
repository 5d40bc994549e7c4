"use strict";

const { Plugin } = require("plugind");
const { definition, methods } = require("./service.js");

new Plugin("hello", "1.0.0").service(definition, methods).serve();
