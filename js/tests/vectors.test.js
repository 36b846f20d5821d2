/** The golden frames of `tests/vectors/`, which the Rust and the Python tests read too. */

import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { test } from "node:test";
import { CodecError, Flag, Format, Key, Kind, PREAMBLE, encode, numbers, readFrame, readNumbers } from "../codec.js"; // prettier-ignore
import { packMap, unpackMap } from "../formats.js";
import { readFailure, readMap, readPresence, readWelcome } from "../greeting.js";
import { Prover, statement } from "../token.js";

/** @typedef {import("../codec.js").Frame} Frame */

/** @param {string} name @returns {any[]} */
function vectors(name) {
  const path = new URL(`../../tests/vectors/${name}.json`, import.meta.url);
  return JSON.parse(readFileSync(path, "utf8"));
}

/** @param {Record<string, number>} table @param {number} value */
function nameIn(table, value) {
  return Object.keys(table).find((name) => table[name] === value);
}

/** @param {string} hex */
function unhex(hex) {
  return Uint8Array.from(Buffer.from(hex, "hex"));
}

/** @param {Uint8Array} bytes */
function hex(bytes) {
  return Buffer.from(bytes).toString("hex");
}

/** Bytes as the vectors write them. @param {any} value @returns {any} */
function described(value) {
  if (value instanceof Uint8Array) return { hex: hex(value) };
  if (Array.isArray(value)) return value.map(described);
  if (typeof value !== "object" || value === null) return value;
  return Object.fromEntries(Object.entries(value).map(([key, item]) => [key, described(item)]));
}

/** @param {number} key @param {any} value */
function describedField(key, value) {
  const name = nameIn(Key, key) ?? `0x${key.toString(16).padStart(2, "0")}`;
  if (name !== "LAYOUT") return [name, described(value)];
  const lengths = readNumbers(value, value.length / 8).map((number) => {
    const bits = BigInt(number);
    return { length: Number(BigInt.asUintN(63, bits)), read_only: bits >= 1n << 63n };
  });
  return [name, lengths];
}

/** @param {Frame} frame @param {any} said how the vector writes the body */
function describedFrame(frame, said) {
  const { kind, format, flags, id, fields, body } = frame;
  /** @type {any} */
  let shown = {};
  if ("numbers" in said) shown = { numbers: readNumbers(body, body.length / 8).map(String) };
  else if ("msgpack" in said) shown = { msgpack: described(unpackMap(body)) };
  else if ("text" in said) shown = { text: Buffer.from(body).toString("utf8") };
  else if ("hex" in said) shown = { hex: hex(body) };
  else assert.equal(body.length, 0);
  return {
    kind: nameIn(Kind, kind),
    format: nameIn(Format, format),
    flags: Object.keys(Flag).filter((name) => flags & /** @type {any} */ (Flag)[name]),
    id,
    fields: fields.map(([key, value]) => describedField(key, value)),
    body: shown,
  };
}

for (const file of ["session", "calls", "flow"]) {
  for (const { name, hex: written, frames } of vectors(file)) {
    test(`${file}: ${name}`, () => {
      const bytes = unhex(written);
      const came = [];
      let at = 0;
      for (let read; (read = readFrame(bytes, at)); at = read.next) {
        if (!read.frame) continue;
        came.push(read.frame);
        assert.equal(hex(encode(read.frame)), hex(bytes.subarray(at, read.next)));
      }
      const said = frames.map((/** @type {any} */ frame) => {
        const { numbers } = frame.body;
        return numbers ? { ...frame, body: { numbers: undefined } } : frame;
      });
      const shown = came.map((frame, index) => describedFrame(frame, frames[index].body));
      for (const [index, frame] of came.entries()) {
        // JSON rounds 2^64 - 1; the bytes do not.
        if (!("numbers" in frames[index].body)) continue;
        const values = readNumbers(frame.body, frame.body.length / 8);
        assert.deepEqual(values.map(Number), frames[index].body.numbers);
        assert.equal(hex(numbers(values)), hex(frame.body));
        shown[index].body = { numbers: undefined };
      }
      assert.deepEqual(shown, said);
    });
  }
}

const READERS = /** @type {Record<number, (body: Uint8Array) => unknown>} */ ({
  [Kind.HELLO]: readWelcome,
  [Kind.WELCOME]: readWelcome,
  [Kind.FAILURE]: readFailure,
  [Kind.GOODBYE]: readFailure,
  [Kind.PRESENCE]: readPresence,
  [Kind.CREDIT]: (/** @type {Uint8Array} */ body) => readNumbers(body, 2),
});

for (const { name, hex: written, limit, error } of vectors("invalid")) {
  // A client asks questions, and is asked none.
  if (name === "an unknown question") continue;
  test(`invalid: ${name}`, () => {
    assert.throws(
      () => {
        const read = readFrame(unhex(written), 0, limit);
        assert.ok(read?.frame);
        READERS[read.frame.kind](read.frame.body);
      },
      (/** @type {CodecError} */ thrown) => thrown.fault === error,
    );
  });
}

test("what we send first is a preamble of version 1", () => {
  const [first] = vectors("first_bytes");
  assert.equal(hex(PREAMBLE), first.first);
});

test("our greeting is the golden one", () => {
  const [golden] = vectors("session");
  const read = readFrame(unhex(golden.hex), 0);
  assert.ok(read?.frame);
  assert.equal(hex(packMap(readMap(read.frame.body))), hex(read.frame.body));
});

for (const { name, token, binding, ...entry } of vectors("token")) {
  // A WebSocket has no binding.
  if (binding !== null) continue;
  test(`token: ${name}`, async () => {
    const side = (/** @type {any} */ { nonce, name, incarnation }) => {
      return { nonce: unhex(nonce), name, incarnation: unhex(incarnation) };
    };
    const [client, server] = [side(entry.client), side(entry.server)];
    const prover = await Prover.of(token);
    for (const role of /** @type {const} */ (["client", "server"])) {
      assert.equal(hex(statement(role, client, server)), entry[`${role}_bytes`]);
      assert.equal(hex(prover.proof(role, client, server)), entry[`${role}_proof`]);
    }
  });
}
