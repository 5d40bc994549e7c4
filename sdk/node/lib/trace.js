// Calls that are made while a call is served belong to its trace. Loaded with the first call that
// has one: until then Node follows no asynchronous work, which costs about 20 us a call on Node 20.
"use strict";

const { AsyncLocalStorage } = require("node:async_hooks");
const { Stream } = require("node:stream");

const TRACEPARENT = "traceparent";
const TRACESTATE = "tracestate";

// The metadata of the call that is being served.
const served = new AsyncLocalStorage();

// Runs a method; what it begins, at once or later, is within the call's trace.
function within(call, method) {
  if (call instanceof Stream) {
    // What a stream tells of comes from its connection, which serves many calls.
    const { emit } = call;
    call.emit = (...event) => served.run(call.metadata, () => emit.apply(call, event));
  }
  return served.run(call.metadata, method);
}

// Puts the trace into the metadata of a call that is being made, unless its author has.
function carryOn(metadata) {
  const from = served.getStore();
  if (from === undefined || metadata.get(TRACEPARENT).length > 0) return;
  for (const key of [TRACEPARENT, TRACESTATE]) {
    for (const value of from.get(key)) metadata.add(key, value);
  }
}

module.exports = { carryOn, within };
