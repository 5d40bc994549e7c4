// google.protobuf.Struct as what it stands for: a plain object, with its lists, numbers, strings,
// booleans and nulls.
"use strict";

const { Reader, SCALARS, nested, put, tag } = require("./wire");

const KIND = { null: 1, number: 2, string: 3, bool: 4, struct: 5, list: 6 };

const Struct = {
  decode(buffer, depth = 0) {
    const object = {};
    const reader = new Reader(buffer);
    while (!reader.done) {
      const [number, encoding] = reader.tag();
      if (number !== 1 || encoding !== entry.encoding) {
        reader.skip(encoding);
        continue;
      }
      const { key, value } = entry.read(reader, depth);
      put(object, key, value);
    }
    return object;
  },

  encode(object) {
    const parts = [];
    for (const [key, value] of Object.entries(object)) {
      if (value !== undefined) parts.push(tag(1, entry.encoding), entry.write({ key, value }));
    }
    return Buffer.concat(parts);
  },
};

// One of Struct's map.
const Entry = {
  decode(buffer, depth) {
    const found = { key: "", value: null };
    const reader = new Reader(buffer);
    while (!reader.done) {
      const [number, encoding] = reader.tag();
      if (number === 1 && encoding === SCALARS.string.encoding) {
        found.key = SCALARS.string.read(reader);
      } else if (number === 2 && encoding === anyValue.encoding) {
        found.value = anyValue.read(reader, depth);
      } else {
        reader.skip(encoding);
      }
    }
    return found;
  },

  encode({ key, value }) {
    const { encoding, write } = SCALARS.string;
    return Buffer.concat([
      tag(1, encoding),
      write(key),
      tag(2, anyValue.encoding),
      anyValue.write(value),
    ]);
  },
};

const ListValue = {
  decode(buffer, depth) {
    const list = [];
    const reader = new Reader(buffer);
    while (!reader.done) {
      const [number, encoding] = reader.tag();
      if (number === 1 && encoding === anyValue.encoding) list.push(anyValue.read(reader, depth));
      else reader.skip(encoding);
    }
    return list;
  },

  encode(list) {
    return Buffer.concat(list.flatMap((item) => [tag(1, anyValue.encoding), anyValue.write(item)]));
  },
};

const nullValue = {
  encoding: 0,
  read: (reader) => (reader.varint(), null),
  write: () => Buffer.of(0),
};

// The kinds of a value by their field number.
const kinds = new Map([
  [KIND.null, nullValue],
  [KIND.number, SCALARS.double],
  [KIND.string, SCALARS.string],
  [KIND.bool, SCALARS.bool],
  [KIND.struct, nested(Struct)],
  [KIND.list, nested(ListValue)],
]);

function kindOf(value) {
  if (value === null || value === undefined) return KIND.null;
  if (Array.isArray(value)) return KIND.list;
  const kind = {
    number: KIND.number,
    string: KIND.string,
    boolean: KIND.bool,
    object: KIND.struct,
  };
  const found = kind[typeof value];
  if (found === undefined) throw new TypeError(`settings cannot hold a ${typeof value}`);
  return found;
}

const Value = {
  decode(buffer, depth) {
    let value = null;
    const reader = new Reader(buffer);
    while (!reader.done) {
      const [number, encoding] = reader.tag();
      const kind = kinds.get(number);
      if (kind !== undefined && kind.encoding === encoding) value = kind.read(reader, depth);
      else reader.skip(encoding);
    }
    return value;
  },

  encode(value) {
    const number = kindOf(value);
    const kind = kinds.get(number);
    return Buffer.concat([tag(number, kind.encoding), kind.write(value)]);
  },
};

const anyValue = nested(Value);
const entry = nested(Entry);

module.exports = { Struct };
