/**
 * What a client is made of, checked. Imports `errors` of ours.
 */

import { InitializationError } from "./errors.js";

/**
 * @typedef {object} ClientOptions
 * @property {string} wsUrl where the server is: `ws://host:port`, or `wss://host:port` with TLS
 * @property {string} [token] the secret that the server knows too; it is never sent
 * @property {boolean} [autoreconnect] whether to come back after a loss; true
 * @property {number} [reconnectDelay] the first pause before coming back, in ms; 100. Each further
 *   one is twice as long, up to 5 s, and all are of a random length from half of that on
 * @property {number} [connectTimeout] how long one attempt to connect may take, in ms; 10,000
 * @property {number | null} [defaultTimeout] for calls that name no timeout, in ms; for ever
 * @property {number} [workers] how many of our functions may run at once; 100
 * @property {number} [maxMessage] bytes of the largest message; 1 GiB
 */

const DEFAULTS = {
  autoreconnect: true,
  reconnectDelay: 100,
  connectTimeout: 10_000,
  defaultTimeout: /** @type {number | null} */ (null),
  workers: 100,
  maxMessage: 2 ** 30,
};

/**
 * Check what was passed; InitializationError says what is wrong with it.
 * @param {unknown} name
 * @param {ClientOptions} options
 * @param {Uint8Array} incarnation
 */
export function checked(name, options, incarnation) {
  if (typeof (name ?? "") !== "string" || name === "") {
    throw new InitializationError(`a name is a text that is not empty, not ${String(name)}`);
  }
  const { wsUrl, token, ...others } = options ?? {};
  const unknown = Object.keys(others).find((key) => !Object.hasOwn(DEFAULTS, key));
  if (unknown) throw new InitializationError(`there is no option ${unknown}`);
  return {
    name: /** @type {string | null | undefined} */ (name) ?? madeUp(incarnation),
    url: checkedUrl(wsUrl),
    token: checkedToken(token),
    options: { ...DEFAULTS, ...others },
  };
}

/** A name that nobody else has.
 * @param {Uint8Array} incarnation */
function madeUp(incarnation) {
  const where = "document" in globalThis ? "browser" : "node";
  const digits = [...incarnation.subarray(0, 5)].map((byte) => byte.toString(16).padStart(2, "0"));
  return `${where}-${digits.join("")}`;
}

/**
 * Check an address; InitializationError says what is wrong with it.
 * @param {unknown} wsUrl
 */
function checkedUrl(wsUrl) {
  const example = 'for example { wsUrl: "ws://127.0.0.1:7700" }';
  if (typeof wsUrl !== "string" || !wsUrl) {
    throw new InitializationError(`say where the server is: ${example}`);
  }
  let url;
  try {
    url = new URL(wsUrl);
  } catch {
    throw new InitializationError(`${JSON.stringify(wsUrl)} is no address: ${example}`);
  }
  if (url.protocol !== "ws:" && url.protocol !== "wss:") {
    const text = `${JSON.stringify(wsUrl)} begins with ${url.protocol}//, not with ws:// or wss://`;
    throw new InitializationError(text);
  }
  if (url.hash) throw new InitializationError(`${JSON.stringify(wsUrl)} has a #fragment: leave it out`);
  return url.href;
}

/**
 * Check a token that somebody passed.
 * @param {unknown} token
 * @returns {string | undefined}
 */
function checkedToken(token) {
  if (token === undefined || token === null) return undefined;
  if (typeof token === "string" && token) return token;
  throw new InitializationError("token is a text that is not empty");
}

