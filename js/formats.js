/**
 * Payloads: arguments and results in JSON, MessagePack or raw bytes, and the wire's own maps.
 *
 * Integers that a `number` does not hold exactly are `bigint`, both ways. Imports `codec` and
 * `errors` of ours.
 */

import { decode, encode } from "@msgpack/msgpack";
import { CodecError, Flag, Format, text, utf8 } from "./codec.js";
import { SerializationError } from "./errors.js";

/** @typedef {"json" | "msgpack" | "raw"} Serde */

/** A payload, and how it is written.
 * @typedef {{format: number, flags: number, body: Uint8Array}} Payload */

/** The way into a value: positions in arrays, keys of objects.
 * @typedef {(string | number)[]} Trail */

/** How deep arrays and objects may nest. */
const DEPTH = 128;
const LIMITS = /** @type {const} */ ([-(2n ** 63n), 2n ** 64n]);
const EMPTY = new Uint8Array(0);

/** @type {Record<string, number>} */
const SERDES = { json: Format.JSON, msgpack: Format.MSGPACK, raw: Format.OPAQUE };

/** The formats that can be read here. */
export const READABLE = [Format.NOTHING, Format.JSON, Format.MSGPACK, Format.OPAQUE];

/**
 * The number of a format; TypeError names those that there are.
 * @param {string} serde
 */
export function formatOf(serde) {
  if (Object.hasOwn(SERDES, serde)) return SERDES[serde];
  throw new TypeError(`no such serde: ${String(serde)}; there are json, msgpack and raw`);
}

/**
 * The name of a format, for people.
 * @param {number} format
 */
export function serdeOf(format) {
  return Object.keys(SERDES).find((name) => SERDES[name] === format) ?? "pickle";
}

/**
 * Write the arguments of a call. TypeError for those that "raw" does not take, and
 * SerializationError for what can't be written.
 * @param {number} format
 * @param {unknown[]} args
 * @param {Record<string, unknown>} kwargs
 * @returns {Payload}
 */
export function packArguments(format, args, kwargs) {
  if (format !== Format.OPAQUE) return pack(format, [args, kwargs], "the arguments");
  const rule = 'serde "raw" takes exactly one string, Uint8Array or ArrayBuffer';
  const others = Object.keys(kwargs).length;
  if (args.length !== 1 || others) {
    throw new TypeError(`${rule}, not ${args.length} arguments and ${others} keyword arguments`);
  }
  const payload = opaque(args[0]);
  if (payload) return payload;
  throw new TypeError(`${rule}, not ${kindOf(args[0])}`);
}

/**
 * Write what a function of ours returned, in the format of its call.
 * @param {number} format
 * @param {unknown} value
 * @returns {Payload}
 */
export function packResult(format, value) {
  if (format !== Format.OPAQUE) return pack(format, value ?? null, "the result");
  if (value === undefined || value === null) return { format: Format.NOTHING, flags: 0, body: EMPTY };
  const payload = opaque(value);
  if (payload) return payload;
  const rule = 'a function that is called with serde "raw" returns bytes, a string or nothing';
  throw new SerializationError(`${rule}, not ${kindOf(value)}`);
}

/**
 * Read arguments: positional, and by keyword.
 * @param {Payload} payload
 * @returns {[unknown[], Record<string, unknown>]}
 */
export function unpackArguments(payload) {
  const value = unpack(payload, "the arguments");
  if (payload.format === Format.OPAQUE) return [[value], {}];
  if (Array.isArray(value) && value.length === 2 && Array.isArray(value[0]) && isMap(value[1])) {
    return [value[0], value[1]];
  }
  throw new SerializationError("the arguments can't be read: they are no [args, kwargs]");
}

/**
 * Read a result.
 * @param {Payload} payload
 */
export function unpackResult(payload) {
  return unpack(payload, "the result");
}

/**
 * Write one of the wire's own bodies.
 * @param {unknown} value
 */
export function packMap(value) {
  return encode(value, { ignoreUndefined: true });
}

/**
 * Read one of the wire's own bodies; a CodecError where it is no MessagePack.
 * @param {Uint8Array} body
 * @returns {unknown}
 */
export function unpackMap(body) {
  try {
    return decode(body);
  } catch (error) {
    throw new CodecError("body", `a body that is no MessagePack: ${messageOf(error)}`);
  }
}

/**
 * @param {unknown} value
 * @returns {value is Record<string, unknown>}
 */
export function isMap(value) {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

/**
 * @param {number} format
 * @param {unknown} value
 * @param {string} what
 * @returns {Payload}
 */
function pack(format, value, what) {
  const trail = /** @type {Trail} */ ([]);
  try {
    if (format === Format.MSGPACK) {
      const body = encode(prepared(value, trail, false), {
        useBigInt64: true,
        ignoreUndefined: true,
        maxDepth: DEPTH + 2,
      });
      return { format, flags: 0, body };
    }
    return { format, flags: 0, body: utf8(toJson(value, trail)) };
  } catch (error) {
    const where = what === "the result" ? "result" : trail.shift() === 0 ? "args" : "kwargs";
    const steps = trail.map((step) => (typeof step === "number" ? `[${step}]` : `.${step}`));
    const place = trail.length ? `, at ${where}${steps.join("")}` : "";
    throw new SerializationError(`${what} can't be written${place}: ${messageOf(error)}`);
  }
}

/**
 * @param {Payload} payload
 * @param {string} what
 * @returns {unknown}
 */
function unpack({ format, flags, body }, what) {
  try {
    switch (format) {
      case Format.NOTHING:
        return null;
      case Format.JSON:
        return fromJson(text(body));
      case Format.MSGPACK:
        return plain(decode(body, { useBigInt64: true }));
      case Format.OPAQUE:
        return flags & Flag.TEXT ? text(body) : body.slice();
    }
  } catch (error) {
    throw new SerializationError(`${what} can't be read: ${messageOf(error)}`);
  }
  throw new SerializationError(`${what} can't be read: they are a pickle, which only Python reads`);
}

/**
 * @param {unknown} value
 * @returns {Payload | undefined}
 */
function opaque(value) {
  const format = Format.OPAQUE;
  if (typeof value === "string") return { format, flags: Flag.TEXT, body: utf8(value) };
  if (value instanceof ArrayBuffer) return { format, flags: 0, body: new Uint8Array(value) };
  if (!ArrayBuffer.isView(value)) return undefined;
  const body = new Uint8Array(value.buffer, value.byteOffset, value.byteLength);
  return { format, flags: 0, body };
}

/**
 * What is to be written, with integers as the encoder wants them. Copies only what it changes;
 * refuses what the format would write as something else. `trail` says where it stands.
 * @param {unknown} value
 * @param {Trail} trail
 * @param {false | ((text: string) => string)} raw for JSON: a placeholder for text that is to
 *   stand there as it is
 * @returns {unknown}
 */
function prepared(value, trail, raw) {
  if (trail.length > DEPTH + 1) throw new RangeError(`nested deeper than ${DEPTH}`);
  switch (typeof value) {
    case "number":
      return raw ? jsonNumber(value, raw) : wideNumber(value);
    case "bigint":
      if (value < LIMITS[0] || value >= LIMITS[1]) throw new RangeError("an integer beyond 64 bits");
      return raw ? raw(String(value)) : value;
    case "function":
    case "symbol":
      throw new TypeError(`a ${typeof value} can't travel`);
    case "string":
    case "boolean":
    case "undefined":
      return value;
  }
  if (value === null) return value;
  if (value instanceof ArrayBuffer || ArrayBuffer.isView(value)) {
    if (raw) throw new TypeError('JSON has no bytes: use serde "msgpack" or "raw"');
    return value instanceof ArrayBuffer ? new Uint8Array(value) : value;
  }
  const own = /** @type {any} */ (value);
  if (typeof own.toJSON === "function") return prepared(own.toJSON(), trail, raw);
  if (value instanceof Map || value instanceof Set || typeof (own.next ?? own.then) === "function") {
    throw new TypeError(`${kindOf(value)} can't travel: make it an object or an array`);
  }
  const list = Array.isArray(value);
  let copy = /** @type {any} */ (null);
  const keys = list ? null : Object.keys(own);
  const count = (keys ?? own).length;
  for (let at = 0; at < count; at += 1) {
    const key = keys ? keys[at] : at;
    trail.push(key);
    const item = prepared(own[key], trail, raw);
    if (item !== own[key]) {
      copy ??= list ? [...value] : Object.fromEntries(Object.entries(own));
      Object.defineProperty(copy, key, { value: item, writable: true, enumerable: true });
    }
    trail.pop();
  }
  return copy ?? value;
}

/** Beyond 32 bits the encoder writes numbers as floats, and only bigints as integers.
 * @param {number} value */
function wideNumber(value) {
  return Math.abs(value) > 0x7fff_ffff && Number.isSafeInteger(value) ? BigInt(value) : value;
}

/**
 * @param {number} value
 * @param {(text: string) => string} raw
 */
function jsonNumber(value, raw) {
  if (!Number.isFinite(value)) throw new RangeError(`JSON has no ${value}`);
  // Written with all its digits it would be an integer that nobody reads.
  return Math.abs(value) >= 2 ** 63 ? raw(value.toExponential()) : value;
}

/** A text that is in no document: what stands for numbers that JSON.parse and JSON.stringify
 * would change. */
function placeholder() {
  const random = crypto.getRandomValues(new Uint32Array(4));
  return `\u0001daffi:${random.join("-")}:`;
}

/**
 * @param {unknown} value
 * @param {Trail} trail
 */
function toJson(value, trail) {
  let mark = "";
  const ready = prepared(value, trail, (digits) => (mark ||= placeholder()) + digits);
  const written = JSON.stringify(ready);
  if (!mark) return written;
  const quoted = JSON.stringify(mark).slice(0, -1);
  return written.split(quoted).map((part, n) => (n ? part.replace('"', "") : part)).join("");
}

/** An integer that may be too long for a `number`, outside of strings. */
const LONG = /(?<![\d.eE+-])-?\d{16,}(?![\d.eE])/g;

/**
 * Where a string of a document ends. Not a regular expression: of a long string with many escapes
 * it would take all of the stack.
 * @param {string} document
 * @param {number} begin where its first quote stands
 */
function endOfString(document, begin) {
  for (let quote = begin; ; ) {
    quote = document.indexOf('"', quote + 1);
    if (quote < 0) return document.length;
    let escapes = 0;
    while (document[quote - 1 - escapes] === "\\") escapes += 1;
    if (escapes % 2 === 0) return quote + 1;
  }
}

/**
 * @param {number} otherwise
 * @param {number} index as `indexOf` finds it
 */
function indexOr(otherwise, index) {
  return index < 0 ? otherwise : index;
}

/**
 * @param {string} document
 * @returns {unknown}
 */
function fromJson(document) {
  if (!/\d{16}/.test(document)) return JSON.parse(document);
  let mark = "";
  const mask = (/** @type {string} */ digits) => {
    if (Number.isSafeInteger(Number(digits))) return digits;
    mark ||= placeholder();
    return JSON.stringify(mark + digits);
  };
  const parts = [];
  for (let at = 0; at < document.length; ) {
    const begin = indexOr(document.length, document.indexOf('"', at));
    parts.push(document.slice(at, begin).replace(LONG, mask));
    at = endOfString(document, begin);
    parts.push(document.slice(begin, at));
  }
  const marked = parts.join("");
  if (!mark) return JSON.parse(document);
  return JSON.parse(marked, (_, value) =>
    typeof value === "string" && value.startsWith(mark) ? BigInt(value.slice(mark.length)) : value,
  );
}

/**
 * What MessagePack brought, with integers as numbers where these are exact, and bytes of their
 * own.
 * @param {unknown} value
 * @returns {unknown}
 */
function plain(value) {
  if (typeof value === "bigint") {
    const number = Number(value);
    return Number.isSafeInteger(number) ? number : value;
  }
  if (value instanceof Uint8Array) return value.slice();
  if (Array.isArray(value)) {
    for (let at = 0; at < value.length; at += 1) value[at] = plain(value[at]);
  } else if (isMap(value)) {
    for (const key of Object.keys(value)) value[key] = plain(value[key]);
  }
  return value;
}

/** @param {unknown} error */
function messageOf(error) {
  return error instanceof Error ? error.message : String(error);
}

/** @param {unknown} value */
function kindOf(value) {
  if (typeof value !== "object" || value === null) return value === null ? "null" : typeof value;
  return `a ${value.constructor?.name ?? "object"}`;
}
