/**
 * What clients are made of and what calls are told, checked. Imports `errors` and `formats` of ours.
 */

import { InitializationError } from "./errors.js";
import { formatOf, isMap } from "./formats.js";

/** @typedef {import("./formats.js").Serde} Serde */

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

/**
 * Options of a call.
 * @typedef {object} Options
 * @property {number | null} [timeout] in ms; `null`: for ever. Of a stream, for each item
 * @property {string} [receiver] who is to run it; else whoever's turn it is
 * @property {Serde} [serde] how arguments and result are written; "json" where nothing is said
 * @property {Record<string, unknown>} [kwargs] keyword arguments
 * @property {AbortSignal} [signal] gives the call up, here and where it runs
 */

/** Options of waiting for somebody.
 * @typedef {{timeout?: number | null, signal?: AbortSignal}} WaitOptions */

/** Options of a cast: one name, several, or everybody who offers the function.
 * @typedef {Omit<Options, "receiver"> & {receiver?: string | string[]}} CastOptions */

const DEFAULTS = {
  autoreconnect: true,
  reconnectDelay: 100,
  connectTimeout: 10_000,
  defaultTimeout: /** @type {number | null} */ (null),
  workers: 100,
  maxMessage: 2 ** 30,
};

const positive = (/** @type {unknown} */ value) => Number.isFinite(value) && Number(value) > 0;
const whole = (/** @type {unknown} */ value) => Number.isSafeInteger(value) && Number(value) > 0;

/** What the options of a client may be. @type {Record<string, [(value: any) => boolean, string]>} */
const RULES = {
  autoreconnect: [(value) => typeof value === "boolean", "true or false"],
  reconnectDelay: [positive, "a number of milliseconds above 0"],
  connectTimeout: [positive, "a number of milliseconds above 0"],
  defaultTimeout: [(value) => value === null || value >= 0, "a number of milliseconds, or null"],
  workers: [whole, "a whole number from 1 on"],
  maxMessage: [whole, "a whole number of bytes from 1 on"],
};

/** The longest timeout that is one, in ms: what is longer is for ever. Some three centuries. */
const LONGEST_TIMEOUT = 1e13;

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
  const given = Object.entries(others).filter(([, value]) => value !== undefined);
  for (const [key, value] of given) {
    if (!Object.hasOwn(RULES, key)) throw new InitializationError(`there is no option ${key}`);
    const [fits, rule] = RULES[key];
    if (!fits(value)) throw new InitializationError(`${key} is ${rule}, not ${String(value)}`);
  }
  return {
    name: /** @type {string | null | undefined} */ (name) ?? madeUp(incarnation),
    url: checkedUrl(wsUrl),
    token: checkedToken(token),
    options: { ...DEFAULTS, ...Object.fromEntries(given) },
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

const WAITS = ["timeout", "signal"];
const CALLS = ["timeout", "receiver", "serde", "kwargs", "signal"];

/**
 * Check the options of a call; TypeError says what is wrong with them.
 * @param {CastOptions} options
 * @param {boolean} several whether it may have several receivers
 */
export function checkedCall(options, several) {
  const { receiver, serde = "json", kwargs = {} } = checkedOptions(options, CALLS);
  if (!isMap(kwargs)) throw new TypeError(`kwargs is an object, not ${String(kwargs)}`);
  const format = formatOf(serde);
  if (receiver === undefined) return { receivers: [], format };
  if (typeof receiver === "string") return { receivers: [receiver], format };
  if (several && Array.isArray(receiver) && receiver.length && receiver.every((name) => typeof name === "string")) {
    return { receivers: receiver, format };
  }
  const rule = several ? "a name or an array of names, at least one" : "a name";
  throw new TypeError(`receiver is ${rule}, not ${JSON.stringify(receiver)}`);
}

/**
 * Check the options of waiting.
 * @param {WaitOptions} options
 * @returns {WaitOptions}
 */
export function checkedWait(options) {
  return checkedOptions(options, WAITS);
}

/**
 * @template {WaitOptions} T
 * @param {T} options
 * @param {string[]} known
 * @returns {T}
 */
function checkedOptions(options, known) {
  if (!isMap(options)) throw new TypeError(`options are an object, not ${String(options)}`);
  const unknown = Object.keys(options).find((key) => !known.includes(key));
  if (unknown) throw new TypeError(`there is no option ${unknown}: there are ${known.join(", ")}`);
  const { timeout, signal } = options;
  if (timeout !== undefined) checkedTimeout(timeout);
  if (signal !== undefined && typeof signal?.addEventListener !== "function") {
    throw new TypeError("signal is an AbortSignal; of an AbortController it is .signal");
  }
  return options;
}

/**
 * Check a timeout. What no clock can show is for ever.
 * @param {number | null} timeout
 * @returns {number | null}
 */
export function checkedTimeout(timeout) {
  if (timeout === null) return null;
  if (typeof timeout !== "number" || !(timeout >= 0)) {
    throw new TypeError(`timeout is a number of milliseconds, or null, not ${String(timeout)}`);
  }
  return timeout > LONGEST_TIMEOUT ? null : timeout;
}
