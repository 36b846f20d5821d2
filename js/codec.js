/**
 * Frames: what travels, byte for byte, as `docs/protocol.md` says.
 *
 * Bytes in, frames out, and back. No payload is opened here, and nothing is known of sockets or
 * calls. Imports nothing of ours.
 */

export const Kind = Object.freeze({
  HELLO: 0x01,
  CHALLENGE: 0x02,
  PROOF: 0x03,
  WELCOME: 0x04,
  GOODBYE: 0x05,
  PING: 0x06,
  CREDIT: 0x07,
  ANNOUNCE: 0x08,
  LEAVING: 0x09,
  CALL: 0x10,
  ANSWER: 0x11,
  FAILURE: 0x12,
  CANCEL: 0x13,
  TARGETS: 0x14,
  OPEN: 0x20,
  ITEM: 0x21,
  END: 0x22,
  PIECE: 0x30,
  ABORT: 0x31,
  ASK: 0x40,
  WATCH: 0x41,
  PRESENCE: 0x42,
});

export const Flag = Object.freeze({ ONEWAY: 1, CAST: 2, PART: 4, TEXT: 8 });

export const Format = Object.freeze({ NOTHING: 0, PICKLE: 1, JSON: 2, MSGPACK: 3, OPAQUE: 4 });

export const Key = Object.freeze({
  FUNCTION: 0x01,
  RECEIVER: 0x02,
  DEADLINE: 0x03,
  CHAIN: 0x04,
  ORIGIN: 0x05,
  HOPS: 0x06,
  WORKER: 0x07,
  TRANSFER: 0x08,
  TOTAL: 0x09,
  LAYOUT: 0x0a,
  TRACE: 0x81,
  PRIORITY: 0x82,
});

/** What each side sends once, before anything else: version 1 and nothing but it. */
export const PREAMBLE = Uint8Array.of(0xda, 0x66, 0x66, 0x69, 1, 1, 0, 0);

/** Bytes of fields and body that one frame may have. */
export const MAX_FRAME = 1_179_648;
/** Bytes of header fields that a client may send. */
export const MAX_FIELDS = 61_440;
/** Bytes of a name. */
export const MAX_NAME = 255;
/** A body up to this length goes in its frame; a larger one begins with a piece of at most this. */
export const WHOLE = 65_536;
/** The offset that says that the rest of a large message is not wanted. */
export const UNWANTED = 0xffff_ffff_ffff_ffffn;

const HEAD = 16;
const MAX_ID = 2 ** 53;
/** Bytes that short frames are cut from. */
const POOL = 8192;
/** Up to so many characters, text is written here. */
const SHORT = 48;

/** Who called: a name, and whether the server that the call entered by trusts it.
 * @typedef {{trusted: boolean, name: string}} Origin */

/** A number of 64 bits: a `number` where it is exact as one, else a `bigint`.
 * @typedef {number | bigint} Wide */

/** Key and value of a header field; of a key that is not known here, the bytes.
 * @typedef {[number, string | Wide | Origin | Uint8Array]} Field */

/**
 * One frame.
 * @typedef {object} Frame
 * @property {number} kind
 * @property {number} format
 * @property {number} flags
 * @property {number} id
 * @property {Field[]} fields
 * @property {Uint8Array} body
 */

/** Bytes that no peer may send. */
export class CodecError extends Error {
  /**
   * @param {string} fault one of `too_long`, `malformed`, `unknown_kind`, `unknown_format`,
   *   `unknown_field`, `body`
   * @param {string} message
   */
  constructor(fault, message) {
    super(message);
    this.fault = fault;
  }
}

const KINDS = new Set(Object.values(Kind));
const NAMES = new Set([Key.FUNCTION, Key.RECEIVER, Key.WORKER]);
const NUMBERS = new Set([Key.DEADLINE, Key.CHAIN, Key.TRANSFER, Key.TOTAL]);
const KEYS = new Set(Object.values(Key));

const EMPTY = new Uint8Array(0);
const encoder = new TextEncoder();
const decoder = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true });

/**
 * A frame, with what most frames do not have left out.
 * @param {number} kind
 * @param {number} id
 * @param {Partial<Omit<Frame, "kind" | "id">>} [rest]
 * @returns {Frame}
 */
export function frame(kind, id, rest = {}) {
  const { format = Format.NOTHING, flags = 0, fields = [], body = EMPTY } = rest;
  return { kind, format, flags, id, fields, body };
}

/**
 * The first value of a field that is a number.
 * @param {Frame} frame
 * @param {number} key
 * @returns {Wide | undefined}
 */
export function numberOf(frame, key) {
  const found = frame.fields.find((field) => field[0] === key)?.[1];
  return typeof found === "number" || typeof found === "bigint" ? found : undefined;
}

/**
 * The first value of a field that is a name.
 * @param {Frame} frame
 * @param {number} key
 * @returns {string | undefined}
 */
export function nameOf(frame, key) {
  const found = frame.fields.find((field) => field[0] === key)?.[1];
  return typeof found === "string" ? found : undefined;
}

/**
 * The name of whoever called; empty where the server said nothing.
 * @param {Frame} frame
 */
export function callerOf(frame) {
  const origin = frame.fields.find((field) => field[0] === Key.ORIGIN)?.[1];
  return typeof origin === "object" && "trusted" in origin ? origin.name : "";
}

/**
 * Text as it travels.
 * @param {string} text
 */
export function utf8(text) {
  return shortAscii(text) ?? encoder.encode(text);
}

/** The same of a short text in ASCII, which is not worth the way to the encoder.
 * @param {string} text */
function shortAscii(text) {
  if (text.length > SHORT) return undefined;
  const bytes = new Uint8Array(text.length);
  for (let at = 0; at < text.length; at += 1) {
    const code = text.charCodeAt(at);
    if (code > 0x7f) return undefined;
    bytes[at] = code;
  }
  return bytes;
}

/**
 * Text that came. TypeError where the bytes are none.
 * @param {Uint8Array} bytes
 */
export function text(bytes) {
  return decoder.decode(bytes);
}

/**
 * Write a frame.
 * @param {Frame} frame
 * @returns {Uint8Array}
 */
export function encode({ kind, format, flags, id, fields, body }) {
  let length = 0;
  const values = fields.map(([, value]) => {
    const put = isWide(value) ? value : bytesOf(value);
    length += 3 + (isWide(put) ? 8 : put.length);
    return put;
  });
  const bytes = room(HEAD + length + body.length);
  const view = new DataView(bytes.buffer, bytes.byteOffset);
  view.setUint32(0, length + body.length, true);
  bytes[4] = kind;
  bytes[5] = (format << 4) | flags;
  view.setUint16(6, length, true);
  putNumber(view, 8, id);
  let at = HEAD;
  values.forEach((value, field) => {
    const size = isWide(value) ? 8 : value.length;
    bytes[at] = fields[field][0];
    view.setUint16(at + 1, size, true);
    if (isWide(value)) putNumber(view, at + 3, value);
    else bytes.set(value, at + 3);
    at += 3 + size;
  });
  bytes.set(body, at);
  return bytes;
}

/** To allocate the memory of a short frame would take longer than to write it. */
let pool = new Uint8Array(POOL);
let used = 0;

/** Memory of its own for a frame.
 * @param {number} size */
function room(size) {
  if (size > POOL / 8) return new Uint8Array(size);
  if (used + size > POOL) {
    pool = new Uint8Array(POOL);
    used = 0;
  }
  used += size;
  return pool.subarray(used - size, used);
}

/**
 * @param {Field[1]} value
 * @returns {value is Wide}
 */
function isWide(value) {
  return typeof value === "number" || typeof value === "bigint";
}

/**
 * @param {Exclude<Field[1], Wide>} value
 * @returns {Uint8Array}
 */
function bytesOf(value) {
  if (typeof value === "string") return encoder.encode(value);
  if (value instanceof Uint8Array) return value;
  const name = encoder.encode(value.name);
  const bytes = new Uint8Array(1 + name.length);
  bytes[0] = value.trusted ? 1 : 0;
  bytes.set(name, 1);
  return bytes;
}

/**
 * Numbers as they stand in fields and in the bodies of CREDIT.
 * @param {Wide[]} values
 */
export function numbers(values) {
  const bytes = new Uint8Array(8 * values.length);
  const view = new DataView(bytes.buffer);
  values.forEach((value, index) => putNumber(view, 8 * index, value));
  return bytes;
}

/**
 * @param {DataView} view
 * @param {number} at
 * @param {Wide} value
 */
function putNumber(view, at, value) {
  if (typeof value === "bigint") return view.setBigUint64(at, value, true);
  view.setUint32(at, value >>> 0, true);
  view.setUint32(at + 4, Math.floor(value / 2 ** 32), true);
}

/**
 * Read numbers; so many, and nothing behind them.
 * @param {Uint8Array} bytes
 * @param {number} count
 * @returns {Wide[]}
 */
export function readNumbers(bytes, count) {
  if (bytes.length !== 8 * count) throw new CodecError("malformed", "a number of the wrong length");
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.length);
  return Array.from({ length: count }, (_, index) => {
    const value = view.getBigUint64(8 * index, true);
    return value < BigInt(MAX_ID) ? Number(value) : value;
  });
}

/**
 * Read the frame that begins at an offset.
 * @param {Uint8Array} bytes
 * @param {number} at
 * @param {number} [limit] bytes of fields and body that are accepted
 * @returns {{frame: Frame | null, next: number} | null} no frame where a kind from later is to be
 *   skipped; nothing at all where bytes are missing. The body is a view of the bytes.
 */
export function readFrame(bytes, at, limit = MAX_FRAME) {
  if (bytes.length - at < HEAD) return null;
  const view = new DataView(bytes.buffer, bytes.byteOffset + at);
  const length = view.getUint32(0, true);
  const kind = view.getUint8(4);
  const bits = view.getUint8(5);
  const fieldsLength = view.getUint16(6, true);
  const id = view.getUint32(12, true) * 2 ** 32 + view.getUint32(8, true);
  if (length > limit) throw new CodecError("too_long", `a frame of ${length} bytes`);
  if (fieldsLength > length) throw new CodecError("malformed", "fields longer than their frame");
  if (id >= MAX_ID) throw new CodecError("malformed", "an id beyond 2^53");
  const known = KINDS.has(/** @type {any} */ (kind));
  if (!known && !(kind & 0x80)) throw new CodecError("unknown_kind", `a frame of kind ${kind}`);
  const format = bits >> 4;
  if (format > Format.OPAQUE) throw new CodecError("unknown_format", `a payload of format ${format}`);
  const next = at + HEAD + length;
  if (bytes.length < next) return null;
  const from = at + HEAD;
  const fields = fieldsLength ? readFields(bytes.subarray(from, from + fieldsLength)) : [];
  if (!known) return { frame: null, next };
  const body = bytes.subarray(from + fieldsLength, next);
  return { frame: { kind, format, flags: bits & 0x0f, id, fields, body }, next };
}

/**
 * @param {Uint8Array} bytes
 * @returns {Field[]}
 */
function readFields(bytes) {
  /** @type {Field[]} */
  const fields = [];
  for (let at = 0; at < bytes.length; ) {
    const key = bytes[at];
    const length = at + 3 <= bytes.length ? bytes[at + 1] | (bytes[at + 2] << 8) : Infinity;
    if (at + 3 + length > bytes.length) throw new CodecError("malformed", "fields that are cut off");
    if (!KEYS.has(/** @type {any} */ (key)) && !(key & 0x80)) {
      throw new CodecError("unknown_field", `a field with the key ${key}`);
    }
    fields.push([key, readValue(key, bytes.subarray(at + 3, at + 3 + length))]);
    at += 3 + length;
  }
  return fields;
}

/**
 * @param {any} key
 * @param {Uint8Array} bytes
 * @returns {Field[1]}
 */
function readValue(key, bytes) {
  if (NAMES.has(key)) return readName(bytes);
  if (NUMBERS.has(key)) return readNumbers(bytes, 1)[0];
  if (key === Key.ORIGIN) {
    if (!bytes.length) throw new CodecError("malformed", "an empty origin");
    return { trusted: bytes[0] === 1, name: readName(bytes.subarray(1)) };
  }
  if (key === Key.LAYOUT && (!bytes.length || bytes.length % 8)) {
    throw new CodecError("malformed", "a layout of the wrong length");
  }
  return bytes.slice();
}

/** @param {Uint8Array} bytes */
function readName(bytes) {
  if (bytes.length > MAX_NAME) throw new CodecError("malformed", "a name that is too long");
  try {
    return decoder.decode(bytes);
  } catch {
    throw new CodecError("malformed", "a name that is not UTF-8");
  }
}
