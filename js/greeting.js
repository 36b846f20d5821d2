/**
 * What is said before the first call, and how failures are written.
 *
 * Imports `codec`, `formats`, `token`, `transfers` and
 * `errors` of ours.
 */

import { CodecError, Kind, PREAMBLE, encode, frame, readFrame } from "./codec.js";
import { AuthenticationError, InitializationError, ProtocolError, fromFailure } from "./errors.js";
import { READABLE, isMap, packMap, unpackMap } from "./formats.js";
import { Prover, ourSide, readChallenge, same } from "./token.js";
import { joined } from "./transfers.js";

/** @typedef {import("./errors.js").Failure} Failure */

/** What a node accepts: its largest message, and calls and bytes that may wait there.
 * @typedef {{max_message: number, calls: number, bytes: number}} Limits */

/** A function that is offered: name, signature, first line of its documentation.
 * @typedef {[string, string, string]} Offered */

/**
 * What a client says of itself.
 * @typedef {object} Hello
 * @property {string} name
 * @property {Uint8Array} incarnation
 * @property {Offered[]} functions
 * @property {Limits} limits
 * @property {boolean} watch
 */

/**
 * What a server says of itself.
 * @typedef {object} Welcome
 * @property {string} name
 * @property {Uint8Array} incarnation
 * @property {Limits} limits
 */

/** Bytes of a frame before the greeting is done. */
const MAX_GREETING = 16 * 1024;
/** Bytes of functions in one announcement. */
const MAX_ANNOUNCED = 48 * 1024;
const NOT_OURS = "it answered, but it does not speak daffi";

/** What comes over a WebSocket before a session listens: nothing is lost on the way there. */
export class Hearing {
  /** @type {Uint8Array[]} */
  #heard = [];
  /** @type {Error | undefined} */
  #error;
  #wake = () => {};

  /**
   * @param {WebSocket} socket
   * @param {AbortSignal} signal gives up
   */
  constructor(socket, signal) {
    const fail = (/** @type {Error} */ error) => {
      this.#error ??= error;
      this.#wake();
    };
    signal.addEventListener("abort", () => fail(signal.reason), { once: true });
    if (signal.aborted) fail(signal.reason);
    socket.onclose = ({ reason }) =>
      fail(new InitializationError(reason || "it closed the connection during the greeting"));
    socket.onmessage = ({ data }) => {
      if (!(data instanceof ArrayBuffer)) return fail(new ProtocolError(NOT_OURS));
      this.#heard.push(new Uint8Array(data));
      this.#wake();
    };
  }

  /** Take the first `count` bytes of what comes next; they come in one message. */
  async bytes(/** @type {number} */ count) {
    const message = await this.#next();
    if (message.length < count) throw new ProtocolError(NOT_OURS);
    this.#heard[0] = message.subarray(count);
    return message.subarray(0, count);
  }

  /** Take the next frame. */
  async frame() {
    const message = await this.#next();
    const read = readFrame(message, 0, MAX_GREETING);
    if (!read) throw new ProtocolError("it sent a part of a frame");
    this.#heard[0] = message.subarray(read.next);
    return read.frame;
  }

  /** All that has come and was not taken. */
  rest() {
    return this.#heard.splice(0);
  }

  async #next() {
    while (!this.#heard[0]?.length) {
      if (this.#heard.length) this.#heard.shift();
      else if (this.#error) throw this.#error;
      else await new Promise((resolve) => (this.#wake = () => resolve(null)));
    }
    return this.#heard[0];
  }
}

/**
 * Greet a server over a WebSocket that is open.
 * @param {WebSocket} socket
 * @param {Hearing} hearing what comes over it
 * @param {Hello} hello
 * @param {string} [token]
 * @returns {Promise<Welcome>}
 */
export async function greet(socket, hearing, hello, token) {
  const body = packMap({ ...hello, formats: READABLE, capabilities: [] });
  const first = encode(frame(Kind.HELLO, 0, { body }));
  socket.send(joined([PREAMBLE, first], PREAMBLE.length + first.length));
  const preamble = await hearing.bytes(PREAMBLE.length);
  if (!preamble.slice(0, 4).every((byte, at) => byte === PREAMBLE[at])) {
    throw new ProtocolError(NOT_OURS);
  }
  const [lowest, highest] = [preamble[4], preamble[5]];
  if (lowest > PREAMBLE[5] || highest < PREAMBLE[4]) {
    throw new ProtocolError(`it speaks versions ${lowest} to ${highest} of the protocol, we speak 1`);
  }
  let answer = await hearing.frame();
  if (answer?.kind === Kind.CHALLENGE) {
    if (token === undefined) throw new AuthenticationError("it asks for a token: pass { token }");
    const [prover, ours] = [await Prover.of(token), ourSide(hello)];
    const theirs = readChallenge(readMap(answer.body));
    const proof = packMap({ nonce: ours.nonce, proof: prover.proof("client", ours, theirs) });
    socket.send(encoded(frame(Kind.PROOF, 0, { body: proof })));
    answer = await hearing.frame();
    if (answer?.kind === Kind.WELCOME) {
      const { name, incarnation } = readWelcome(answer.body);
      const asBefore = name === theirs.name && same(theirs.incarnation, incarnation);
      const proven = same(prover.proof("server", ours, theirs), readMap(answer.body).proof);
      if (!asBefore || !proven) throw new AuthenticationError("it does not know the token");
    }
  } else if (answer?.kind === Kind.WELCOME && token !== undefined) {
    throw new AuthenticationError("it does not ask for the token, so nobody knows who it is");
  }
  if (answer?.kind === Kind.WELCOME) return readWelcome(answer.body);
  if (answer?.kind !== Kind.GOODBYE) throw new ProtocolError("it did not answer the greeting");
  const error = fromFailure(readFailure(answer.body));
  throw error instanceof InitializationError ? error : new InitializationError(error.message);
}

/** A frame that leaves by itself.
 * @param {import("./codec.js").Frame} first
 * @returns {Uint8Array<ArrayBuffer>} */
function encoded(first) {
  return /** @type {Uint8Array<ArrayBuffer>} */ (encode(first));
}

/**
 * Those functions that a greeting names: all, or, where they do not fit, none. The others follow in
 * announcements.
 * @param {Offered[]} functions
 */
export function fitting(functions) {
  return fits(functions, MAX_GREETING / 2) ? functions : [];
}

/**
 * @param {Offered[]} functions
 * @param {number} bytes
 */
function fits(functions, bytes) {
  return packMap(functions).length < bytes;
}

/**
 * The bodies of the announcements that say what is offered.
 * @param {Offered[]} functions
 * @returns {Uint8Array[]}
 */
export function announcements(functions) {
  const bodies = [];
  let rest = functions;
  do {
    let count = rest.length;
    while (count > 1 && !fits(rest.slice(0, count), MAX_ANNOUNCED)) count = Math.ceil(count / 2);
    bodies.push(packMap({ functions: rest.slice(0, count), more: bodies.length > 0 }));
    rest = rest.slice(count);
  } while (rest.length);
  return bodies;
}

/**
 * @param {Uint8Array} body
 * @returns {Record<string, unknown>}
 */
export function readMap(body) {
  const value = unpackMap(body);
  if (!isMap(value)) throw new CodecError("body", "a body that is no map");
  return value;
}

/**
 * @param {Uint8Array} body
 * @returns {Welcome}
 */
export function readWelcome(body) {
  const { name, incarnation, limits } = readMap(body);
  if (typeof name !== "string" || !(incarnation instanceof Uint8Array) || !isMap(limits)) {
    throw new CodecError("body", "a greeting that says too little");
  }
  const { max_message, calls, bytes } = limits;
  if (![max_message, calls, bytes].every((limit) => typeof limit === "number")) {
    throw new CodecError("body", "a greeting without limits");
  }
  return { name, incarnation, limits: /** @type {any} */ ({ max_message, calls, bytes }) };
}

/**
 * Read a FAILURE or a GOODBYE.
 * @param {Uint8Array} body
 * @returns {Failure}
 */
export function readFailure(body) {
  const { kind, ran, message, type, traceback, args, worker } = readMap(body);
  if (typeof kind !== "string" || typeof message !== "string") {
    throw new CodecError("body", "a failure that says too little");
  }
  return {
    kind,
    ran: ran === "no" || ran === "yes" ? ran : "maybe",
    message,
    type: typeof type === "string" ? type : "",
    traceback: typeof traceback === "string" ? traceback : "",
    args: args instanceof Uint8Array ? plainArguments(args) : undefined,
    worker: typeof worker === "string" ? worker : null,
  };
}

/** @param {Uint8Array} packed */
function plainArguments(packed) {
  try {
    const args = unpackMap(packed);
    return Array.isArray(args) ? args : undefined;
  } catch {
    return undefined; // they only add to the message
  }
}

/**
 * Read whom a cast went to.
 * @param {Uint8Array} body
 * @returns {string[]}
 */
export function readNames(body) {
  const names = unpackMap(body);
  if (!Array.isArray(names) || !names.every((name) => typeof name === "string")) {
    throw new CodecError("body", "targets of a cast that are no names");
  }
  return names;
}

/**
 * Read who came or went.
 * @param {Uint8Array} body
 * @returns {import("./presence.js").Presence}
 */
export function readPresence(body) {
  const said = unpackMap(body);
  if (!Array.isArray(said) || typeof said[0] !== "boolean" || typeof said[1] !== "string") {
    throw new CodecError("body", "presence that says too little");
  }
  return { type: said[0] ? "connected" : "disconnected", member: said[1] };
}
