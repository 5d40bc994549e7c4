// Calls that are made while a call is served belong to its trace.
//
// To follow asynchronous work costs Node 20 about 20 us a call, so that begins with the first peer
// that the plugin asks for. In the one call that asks for it, what comes before its first await
// is known without.
"use strict";

const { Stream } = require("node:stream");

const TRACEPARENT = "traceparent";
const TRACESTATE = "tracestate";

// The metadata of the call that is being served; undefined until somebody follows.
let served;
// That of the call whose method runs just now.
let running;

function follow() {
  if (served !== undefined) return;
  const { AsyncLocalStorage } = require("node:async_hooks");
  served = new AsyncLocalStorage();
}

// Runs a method; what it begins, at once or later, is within the call's trace.
function within(call, method) {
  const before = running;
  running = call.metadata;
  try {
    if (served === undefined) return method();
    if (call instanceof Stream) {
      // What a stream tells of comes from its connection, which serves many calls.
      const { emit } = call;
      call.emit = (...event) => served.run(call.metadata, () => emit.apply(call, event));
    }
    return served.run(call.metadata, method);
  } finally {
    running = before;
  }
}

// Puts the trace into the metadata of a call that is being made, unless its author has.
function carryOn(metadata) {
  const from = served?.getStore() ?? running;
  if (from === undefined || metadata.get(TRACEPARENT).length > 0) return;
  for (const key of [TRACEPARENT, TRACESTATE]) {
    for (const value of from.get(key)) metadata.add(key, value);
  }
}

module.exports = { carryOn, follow, within };
