// A throw-away self-signed certificate for AutoMTLS: both sides make one, and trust only the
// other's. Node signs but cannot write certificates, so the few lines of DER are here.
"use strict";

const crypto = require("node:crypto");

const YEARS = 30;

function der(tag, ...contents) {
  const content = Buffer.concat(contents);
  const size = [];
  for (let left = content.length; left > 0; left >>= 8) size.unshift(left & 0xff);
  const length = content.length < 128 ? [content.length] : [0x80 | size.length, ...size];
  return Buffer.concat([Buffer.from([tag, ...length]), content]);
}

const sequence = (...items) => der(0x30, ...items);
const set = (...items) => der(0x31, ...items);
const oid = (hex) => der(0x06, Buffer.from(hex, "hex"));
const octets = (content) => der(0x04, content);
const bits = (content) => der(0x03, Buffer.of(0), content);
const bool = (value) => der(0x01, Buffer.of(value ? 0xff : 0));

// Positive: the first bit is the sign.
function randomSerial() {
  const bytes = crypto.randomBytes(16);
  bytes[0] = (bytes[0] & 0x7f) | 0x40;
  return der(0x02, bytes);
}

function time(date) {
  return der(0x18, Buffer.from(date.toISOString().replace(/[-:T]|\.\d+/g, "")));
}

const OID = {
  ecdsaWithSha256: "2a8648ce3d040302",
  commonName: "550403",
  organization: "55040a",
  keyUsage: "551d0f",
  subjectAltName: "551d11",
  basicConstraints: "551d13",
  extendedKeyUsage: "551d25",
  serverAuth: "2b06010505070301",
  clientAuth: "2b06010505070302",
};

function extension(id, critical, value) {
  return sequence(oid(id), ...(critical ? [bool(true)] : []), octets(value));
}

// { key, certificate } in PEM, and the certificate's DER.
function makeCertificate(now = new Date()) {
  const { privateKey, publicKey } = crypto.generateKeyPairSync("ec", { namedCurve: "P-256" });
  const algorithm = sequence(oid(OID.ecdsaWithSha256));
  const text = (id, value) => set(sequence(oid(id), der(0x0c, Buffer.from(value))));
  const name = sequence(text(OID.organization, "plugind"), text(OID.commonName, "localhost"));
  const until = new Date(now);
  until.setUTCFullYear(until.getUTCFullYear() + YEARS);
  const body = sequence(
    der(0xa0, der(0x02, Buffer.of(2))), // X.509 v3
    randomSerial(),
    algorithm,
    name,
    // The other side's clock may be a little behind.
    sequence(time(new Date(now - 30_000)), time(until)),
    name,
    publicKey.export({ type: "spki", format: "der" }),
    der(
      0xa3,
      sequence(
        // digitalSignature, keyEncipherment, keyAgreement, keyCertSign: what go-plugin's own say.
        extension(OID.keyUsage, true, der(0x03, Buffer.of(2, 0b10101100))),
        extension(OID.extendedKeyUsage, false, sequence(oid(OID.clientAuth), oid(OID.serverAuth))),
        extension(OID.basicConstraints, true, sequence(bool(true))),
        extension(OID.subjectAltName, false, sequence(der(0x82, Buffer.from("localhost")))),
      ),
    ),
  );
  const signature = crypto.sign("sha256", body, privateKey);
  const bytes = sequence(body, algorithm, bits(signature));
  const lines = bytes
    .toString("base64")
    .match(/.{1,64}/g)
    .join("\n");
  return {
    der: bytes,
    certificate: `-----BEGIN CERTIFICATE-----\n${lines}\n-----END CERTIFICATE-----\n`,
    key: privateKey.export({ type: "pkcs8", format: "pem" }),
  };
}

module.exports = { makeCertificate };
