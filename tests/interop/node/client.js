// One kind of call to gRPC's interop server by @grpc/grpc-js: client.js TARGET KIND. Says "passed" if it went as it
// must. Messages are made by hand, so that no generated code is needed.
'use strict';

const assert = require('node:assert/strict');
const grpc = require('@grpc/grpc-js');

const SERVICE = '/grpc.testing.TestService';
const EMPTY = Buffer.alloc(0);
// SimpleRequest with response_status {code: 2, message: "no 👎"}.
const FAIL = (() => {
  const message = Buffer.from('no 👎');
  return Buffer.concat([Buffer.from([0x3a, message.length + 4, 0x08, 2, 0x12, message.length]), message]);
})();
// StreamingOutputCallRequest for one answer of `size` bytes (< 120), and that answer.
const wanted = (size) => Buffer.from([0x12, 2, 0x08, size]);
const answer = (size) => Buffer.concat([Buffer.from([0x0a, size + 2, 0x12, size]), Buffer.alloc(size)]);
// StreamingInputCallRequest with a payload of `size` bytes.
const input = answer;

const same = (bytes) => bytes;
const client = new grpc.Client(process.argv[2], grpc.credentials.createInsecure());
const soon = () => ({ deadline: Date.now() + 20_000 });

function unary(method, request, metadata = new grpc.Metadata(), options = soon()) {
  return new Promise((resolve) => {
    const seen = {};
    const call = client.makeUnaryRequest(
      `${SERVICE}/${method}`, same, same, request, metadata, options,
      (error, response) => Object.assign(seen, { error, response }));
    call.on('metadata', (headers) => { seen.headers = headers; });
    call.on('status', (status) => resolve({ ...seen, status }));
  });
}

function bidi(options = soon()) {
  return client.makeBidiStreamRequest(`${SERVICE}/FullDuplexCall`, same, same, new grpc.Metadata(), options);
}

// Ends with the status; errors are statuses too.
async function drain(call, got = []) {
  call.on('error', () => {});
  call.on('data', (bytes) => got.push(bytes));
  return new Promise((resolve) => call.on('status', (status) => resolve({ got, status })));
}

const kinds = {
  async unary() {
    const { error, response } = await unary('EmptyCall', EMPTY);
    assert.equal(error, null);
    assert.deepEqual(response, EMPTY);
  },

  async server_stream() {
    const request = Buffer.concat([wanted(5), wanted(100)]);
    const { got, status } = await drain(
      client.makeServerStreamRequest(`${SERVICE}/StreamingOutputCall`, same, same, request, soon()));
    assert.equal(status.code, grpc.status.OK);
    assert.deepEqual(got, [answer(5), answer(100)]);
  },

  async client_stream() {
    const total = await new Promise((resolve, reject) => {
      const call = client.makeClientStreamRequest(
        `${SERVICE}/StreamingInputCall`, same, same, soon(),
        (error, response) => (error ? reject(error) : resolve(response)));
      call.write(input(40));
      call.write(input(60));
      call.end();
    });
    assert.deepEqual(total, Buffer.from([0x08, 100]));
  },

  async bidi() {
    const call = bidi();
    const sizes = [7, 8, 9];
    // The next request goes out when the answer to the last is in.
    call.on('data', () => (sizes.length ? call.write(wanted(sizes.shift())) : call.end()));
    call.write(wanted(sizes.shift()));
    const { got, status } = await drain(call);
    assert.equal(status.code, grpc.status.OK);
    assert.deepEqual(got, [answer(7), answer(8), answer(9)]);
  },

  async metadata() {
    const sent = new grpc.Metadata();
    sent.set('x-grpc-test-echo-initial', 'first');
    sent.set('x-grpc-test-echo-trailing-bin', Buffer.from([0xab, 0, 0xff]));
    const { error, headers, status } = await unary('UnaryCall', EMPTY, sent);
    assert.equal(error, null);
    assert.deepEqual(headers.get('x-grpc-test-echo-initial'), ['first']);
    assert.deepEqual(status.metadata.get('x-grpc-test-echo-trailing-bin'), [Buffer.from([0xab, 0, 0xff])]);
  },

  async status() {
    const { status } = await unary('UnaryCall', FAIL);
    assert.equal(status.code, grpc.status.UNKNOWN);
    assert.equal(status.details, 'no 👎');
  },

  async deadline() {
    const { status } = await drain(bidi({ deadline: Date.now() + 200 }));
    assert.equal(status.code, grpc.status.DEADLINE_EXCEEDED);
  },

  async cancel() {
    const call = bidi();
    call.once('data', () => call.cancel());
    call.write(wanted(1));
    const { got, status } = await drain(call);
    assert.equal(status.code, grpc.status.CANCELLED);
    assert.deepEqual(got, [answer(1)]);
  },
};

kinds[process.argv[3]]().then(() => {
  client.close();
  console.log('passed');
});
