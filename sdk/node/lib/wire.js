// The protobuf wire format, for the SDK's own few messages: parsing their .proto files would cost
// every plugin milliseconds of its start. A message is a table of fields; test/messages.test.js
// holds the tables to the files.
//
// What it leaves out, because none of those messages has it: groups, fixed-width integers, negative
// numbers, numbers beyond 2^53, and the merging of a message that comes twice (the last one
// counts).
"use strict";

const VARINT = 0;
const FIXED64 = 1;
const BYTES = 2;
const FIXED32 = 5;

// Settings may nest; deeper than this is somebody's attempt on the stack.
const MAX_DEPTH = 100;

class Reader {
  constructor(buffer) {
    this.buffer = buffer;
    this.at = 0;
  }

  get done() {
    return this.at >= this.buffer.length;
  }

  varint() {
    let value = 0;
    for (let scale = 1, count = 0; count < 10; scale *= 128, ++count) {
      const byte = this.buffer[this.at++];
      if (byte === undefined) throw new Error("a message ends within a number");
      value += (byte & 0x7f) * scale;
      if (byte < 0x80) return value;
    }
    throw new Error("a number of a message has more than ten bytes");
  }

  take(length) {
    const from = this.at;
    this.at += length;
    if (this.at > this.buffer.length) throw new Error("a message ends within a field");
    return this.buffer.subarray(from, this.at);
  }

  // The field's number and how it is encoded.
  tag() {
    const tag = this.varint();
    return [Math.floor(tag / 8), tag % 8];
  }

  skip(encoding) {
    if (encoding === VARINT) this.varint();
    else if (encoding === FIXED64) this.take(8);
    else if (encoding === BYTES) this.take(this.varint());
    else if (encoding === FIXED32) this.take(4);
    else throw new Error(`a message has a field of the encoding ${encoding}`);
  }
}

function varint(value) {
  const bytes = [];
  while (value >= 128) {
    bytes.push((value % 128) | 128);
    value = Math.floor(value / 128);
  }
  bytes.push(value);
  return Buffer.from(bytes);
}

function tag(number, encoding) {
  return varint(number * 8 + encoding);
}

// Each scalar: its encoding, its default, how it is read and how it is written.
const number = {
  encoding: VARINT,
  initial: 0,
  read: (reader) => reader.varint(),
  write: varint,
};
const SCALARS = {
  int32: number,
  uint32: number,
  uint64: number,
  int64: number,
  enum: number,
  bool: {
    encoding: VARINT,
    initial: false,
    read: (reader) => reader.varint() !== 0,
    write: (value) => varint(value ? 1 : 0),
  },
  double: {
    encoding: FIXED64,
    initial: 0,
    read: (reader) => reader.take(8).readDoubleLE(),
    write: (value) => {
      const bytes = Buffer.alloc(8);
      bytes.writeDoubleLE(value);
      return bytes;
    },
  },
  string: {
    encoding: BYTES,
    initial: "",
    read: (reader) => reader.take(reader.varint()).toString("utf8"),
    write: (value) => delimited(Buffer.from(value, "utf8")),
  },
  bytes: {
    encoding: BYTES,
    initial: Buffer.alloc(0),
    read: (reader) => reader.take(reader.varint()),
    write: (value) => delimited(Buffer.from(value)),
  },
};

function delimited(bytes) {
  return Buffer.concat([varint(bytes.length), bytes]);
}

// A type whose values are messages of their own: anything with encode(value) and decode(buffer,
// depth).
function nested(type) {
  return {
    encoding: BYTES,
    initial: null,
    read: (reader, depth) => {
      if (depth >= MAX_DEPTH) throw new Error(`a message nests deeper than ${MAX_DEPTH}`);
      return type.decode(reader.take(reader.varint()), depth + 1);
    },
    write: (value) => delimited(type.encode(value)),
  };
}

// Sets a key that came from outside: "__proto__" is a key like any other.
function put(object, key, value) {
  Object.defineProperty(object, key, {
    value,
    enumerable: true,
    configurable: true,
    writable: true,
  });
}

function initial(rule, type) {
  if (rule === "repeated") return [];
  if (rule === "map") return {};
  return rule === "oneof" ? null : type.initial;
}

class Message {
  // fields: { name: [number, type, rule] }. A type is the name of a scalar, another Message or
  // "self"; the rule is absent or "repeated", "map" (from strings) or "oneof" (null unless it came,
  // and then it counts even with its default).
  constructor(fields) {
    this.fields = Object.entries(fields).map(([name, [number, type, rule]]) => {
      const one = rule === "map" ? new Message({ key: [1, "string"], value: [2, type] }) : type;
      return {
        name,
        number,
        rule,
        of: one,
        type: SCALARS[one] ?? nested(one === "self" ? this : one),
      };
    });
    this.byNumber = new Map(this.fields.map((field) => [field.number, field]));
  }

  // Unknown fields and fields of an unexpected encoding are passed over.
  decode(buffer, depth = 0) {
    const message = {};
    for (const { name, rule, type } of this.fields) {
      message[name] = initial(rule, type);
    }
    const reader = new Reader(buffer);
    while (!reader.done) {
      const [number, encoding] = reader.tag();
      const field = this.byNumber.get(number);
      if (field === undefined) {
        reader.skip(encoding);
        continue;
      }
      const { name, rule, type } = field;
      if (encoding !== type.encoding) {
        if (rule === "repeated" && encoding === BYTES) {
          // Packed.
          const packed = new Reader(reader.take(reader.varint()));
          while (!packed.done) message[name].push(type.read(packed, depth));
        } else {
          reader.skip(encoding);
        }
        continue;
      }
      const value = type.read(reader, depth);
      if (rule === "repeated") message[name].push(value);
      else if (rule === "map") put(message[name], value.key, value.value);
      else message[name] = value;
    }
    return message;
  }

  // Fields that are missing, or have their default, are left out.
  encode(message) {
    const parts = [];
    for (const { name, number, rule, type } of this.fields) {
      const value = message[name];
      if (value === undefined || value === null) continue;
      if (rule === "repeated") {
        for (const item of value) parts.push(tag(number, type.encoding), type.write(item));
      } else if (rule === "map") {
        for (const [key, item] of Object.entries(value)) {
          parts.push(tag(number, type.encoding), type.write({ key, value: item }));
        }
      } else if (rule === "oneof" || value !== type.initial) {
        parts.push(tag(number, type.encoding), type.write(value));
      }
    }
    return Buffer.concat(parts);
  }
}

module.exports = { BYTES, FIXED64, Message, Reader, SCALARS, VARINT, delimited, nested, put, tag };
