// google.protobuf.StringValue by hand, as both programs serve it.
"use strict";

const decode = (bytes) => (bytes.length > 1 ? bytes.subarray(2).toString() : "");
const encode = (text) => {
  const value = Buffer.from(text);
  return Buffer.concat([Buffer.from([0x0a, value.length]), value]);
};

exports.definition = {
  Say: {
    path: "/hello.v1.Hello/Say",
    requestStream: false,
    responseStream: false,
    requestDeserialize: decode,
    requestSerialize: encode,
    responseDeserialize: decode,
    responseSerialize: encode,
  },
};
exports.methods = { Say: (call, callback) => callback(null, `hello ${call.request}`) };
