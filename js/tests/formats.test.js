/** Payloads there and back, and what is refused. */

import assert from "node:assert/strict";
import { test } from "node:test";
import { Flag, Format } from "../codec.js";
import { SerializationError } from "../errors.js";
import { formatOf, packArguments, packResult, unpackArguments, unpackResult } from "../formats.js";

const PLAIN = [
  null,
  true,
  0,
  -1,
  1.5,
  2 ** 31,
  -(2 ** 31) - 1,
  2 ** 32,
  2 ** 40,
  Number.MAX_SAFE_INTEGER,
  Number.MIN_SAFE_INTEGER,
  2n ** 53n,
  -(2n ** 53n),
  2n ** 63n,
  2n ** 64n - 1n,
  -(2n ** 63n),
  "größer",
  'quoted "1234567890123456789" and \\ 12345678901234567890',
  [],
  {},
  { deep: [{ id: 12345678901234567890n, text: "12345678901234567890" }] },
];

/** @param {number} format @param {unknown} value */
function echoed(format, value) {
  return unpackResult(packResult(format, value));
}

for (const format of [Format.JSON, Format.MSGPACK]) {
  for (const [number, value] of PLAIN.entries()) {
    test(`format ${format}, value ${number}`, () => assert.deepEqual(echoed(format, value), value));
  }
}

test("integers that a number holds are numbers, whatever they were", () => {
  for (const format of [Format.JSON, Format.MSGPACK]) assert.equal(echoed(format, 7n), 7);
});

test("floats stay floats", () => {
  for (const value of [0.1, 1e300, 5e-324, 1e20, 1.1234567890123456]) {
    for (const format of [Format.JSON, Format.MSGPACK]) assert.equal(echoed(format, value), value);
  }
  const text = new TextEncoder().encode("[1.12345678901234567890,1e-1234567890123456]");
  assert.deepEqual(unpackResult({ format: Format.JSON, flags: 0, body: text }), [1.1234567890123457, 0]);
});

test("MessagePack carries NaN, and bytes that are their own", () => {
  assert.ok(Number.isNaN(echoed(Format.MSGPACK, NaN)));
  const { body, ...payload } = packResult(Format.MSGPACK, { raw: Uint8Array.of(1, 2, 3) });
  const back = /** @type {any} */ (unpackResult({ ...payload, body }));
  body.fill(0);
  assert.deepEqual(back, { raw: Uint8Array.of(1, 2, 3) });
});

test("what a format can't say is an error that names the place", () => {
  /** @type {[number, unknown, RegExp][]} */
  const refused = [
    [Format.JSON, { a: [1, NaN] }, /at args\[0\]\.a\[1\]: JSON has no NaN/],
    [Format.JSON, { raw: new Uint8Array(1) }, /at args\[0\]\.raw: JSON has no bytes/],
    [Format.JSON, 2n ** 64n, /at args\[0\]: an integer beyond 64 bits/],
    [Format.MSGPACK, new Map(), /a Map can't travel/],
    [Format.MSGPACK, { f: () => 1 }, /at args\[0\]\.f: a function/],
  ];
  for (const [format, value, message] of refused) {
    assert.throws(() => packArguments(format, [value], {}), (/** @type {Error} */ error) => {
      assert.ok(error instanceof SerializationError);
      assert.match(error.message, message);
      return true;
    });
  }
  const circle = /** @type {any[]} */ ([]);
  circle.push(circle);
  for (const format of [Format.JSON, Format.MSGPACK]) {
    assert.throws(() => packResult(format, circle), /nested deeper than 128/);
  }
});

test("nothing is changed in what the caller gave", () => {
  const value = { big: 2 ** 40, list: [1n, 2] };
  packArguments(Format.MSGPACK, [value], {});
  packArguments(Format.JSON, [value], {});
  assert.deepEqual(value, { big: 2 ** 40, list: [1n, 2] });
});

test("a key named __proto__ is a key", () => {
  const value = JSON.parse('{"__proto__": 12345678901234567890, "a": 1}');
  const back = /** @type {object} */ (echoed(Format.JSON, value));
  assert.deepEqual(Object.keys(back), ["__proto__", "a"]);
});

test("raw takes one string or bytes", () => {
  const raw = formatOf("raw");
  assert.equal(echoed(raw, "grüße"), "grüße");
  assert.equal(packResult(raw, "x").flags, Flag.TEXT);
  assert.deepEqual(echoed(raw, Uint8Array.of(0, 255)), Uint8Array.of(0, 255));
  assert.deepEqual(echoed(raw, Uint16Array.of(1).buffer), Uint8Array.of(1, 0));
  assert.equal(echoed(raw, undefined), null);
  assert.throws(() => packArguments(raw, [1], {}), /takes exactly one string/);
  assert.throws(() => packArguments(raw, ["a", "b"], {}), /not 2 arguments/);
  assert.throws(() => packArguments(raw, ["a"], { b: 1 }), /1 keyword/);
  assert.throws(() => packResult(raw, 1), SerializationError);
  assert.throws(() => formatOf("pickle"), /json, msgpack and raw/);
});

test("arguments come as they went", () => {
  for (const format of [Format.JSON, Format.MSGPACK]) {
    const payload = packArguments(format, [1, "b"], { c: [2] });
    assert.deepEqual(unpackArguments(payload), [[1, "b"], { c: [2] }]);
  }
  const wrong = { format: Format.JSON, flags: 0, body: new TextEncoder().encode("[1]") };
  assert.throws(() => unpackArguments(wrong), /no \[args, kwargs\]/);
});

test("a large document with long digits is read in time", () => {
  const value = { text: "x".repeat(32 << 20), id: 2n ** 60n, all: Array(1e5).fill(0) };
  assert.deepEqual(echoed(Format.JSON, value), value);
});
