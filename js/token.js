/**
 * A token, proven by both sides and never sent.
 *
 * The HMAC is that of `@noble/hashes`: a browser's own is missing in pages that were not loaded
 * over TLS or from this machine. The package is loaded when there is a token, and not before.
 * Imports `codec` and `errors` of ours.
 */

import { PREAMBLE, utf8 } from "./codec.js";
import { AuthenticationError, InitializationError } from "./errors.js";

/** One side of a connection.
 * @typedef {{nonce: Uint8Array, name: string, incarnation: Uint8Array}} Side */

const NONCE = 32;

/** What shows that somebody knows the token. */
export class Prover {
  #key;
  #hmac;

  /**
   * @param {string} token
   * @param {(key: Uint8Array, message: Uint8Array) => Uint8Array} hmac
   */
  constructor(token, hmac) {
    this.#key = utf8(token);
    this.#hmac = hmac;
  }

  /** @param {string} token */
  static async of(token) {
    try {
      const [{ hmac }, { sha256 }] = await Promise.all([
        import("@noble/hashes/hmac.js"),
        import("@noble/hashes/sha2.js"),
      ]);
      return new Prover(token, (key, message) => hmac(sha256, key, message));
    } catch (error) {
      const text = "a token needs the package @noble/hashes: install it, and name it in the import map";
      throw new InitializationError(`${text} (${/** @type {Error} */ (error).message})`);
    }
  }

  /**
   * The proof of one side.
   * @param {"client" | "server"} role
   * @param {Side} client
   * @param {Side} server
   */
  proof(role, client, server) {
    return this.#hmac(this.#key, statement(role, client, server));
  }
}

/**
 * What a proof is made of. A WebSocket has no binding to what is below it.
 * @param {"client" | "server"} role
 * @param {Side} client
 * @param {Side} server
 */
export function statement(role, client, server) {
  const values = [
    utf8(`daffi token ${PREAMBLE[5]}`),
    utf8(role),
    client.nonce,
    server.nonce,
    utf8(client.name),
    utf8(server.name),
    client.incarnation,
    server.incarnation,
    new Uint8Array(0),
  ];
  const bytes = new Uint8Array(values.reduce((sum, value) => sum + 2 + value.length, 0));
  let at = 0;
  for (const value of values) {
    bytes[at] = value.length & 0xff;
    bytes[at + 1] = value.length >> 8;
    bytes.set(value, at + 2);
    at += 2 + value.length;
  }
  return bytes;
}

/**
 * Read a server's CHALLENGE.
 * @param {Record<string, unknown>} said
 * @returns {Side}
 */
export function readChallenge(said) {
  const { nonce, name, incarnation } = said;
  const whole = nonce instanceof Uint8Array && nonce.length === NONCE;
  if (!whole || typeof name !== "string" || !(incarnation instanceof Uint8Array)) {
    throw new AuthenticationError("it asks for a token in a way that makes no sense");
  }
  return { nonce, name, incarnation };
}

/**
 * What we say of ourselves, with a nonce for this connection alone.
 * @param {{name: string, incarnation: Uint8Array}} hello
 * @returns {Side}
 */
export function ourSide({ name, incarnation }) {
  return { nonce: crypto.getRandomValues(new Uint8Array(NONCE)), name, incarnation };
}

/**
 * Whether two proofs are the same, in a time that does not say where they differ.
 * @param {Uint8Array} ours
 * @param {unknown} theirs
 */
export function same(ours, theirs) {
  if (!(theirs instanceof Uint8Array) || theirs.length !== ours.length) return false;
  let difference = 0;
  for (let at = 0; at < ours.length; at += 1) difference |= ours[at] ^ theirs[at];
  return difference === 0;
}
