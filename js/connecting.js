/**
 * One attempt to reach a server, and the pauses between several.
 *
 * Imports `codec`, `errors`, `greeting` and `socket` of ours.
 */

import { CodecError } from "./codec.js";
import { DaffiError, InitializationError, ProtocolError } from "./errors.js";
import { Hearing, greet } from "./greeting.js";
import { hangUp, open } from "./socket.js";

/** The longest pause before an attempt to come back, in ms. */
const LONGEST_PAUSE = 5000;

/**
 * Open a WebSocket and greet the server. Rejects with an InitializationError, or a kind of it, that
 * names address and reason; or with the reason of a signal.
 * @param {string} url
 * @param {import("./greeting.js").Hello} hello
 * @param {string | undefined} token
 * @param {number} timeout in ms
 * @param {AbortSignal[]} signals
 */
export async function reach(url, hello, token, timeout, signals) {
  const attempt = new AbortController();
  const late = () => new InitializationError(`no answer in ${timeout / 1000} s`);
  const timer = setTimeout(() => attempt.abort(late()), timeout);
  const give = (/** @type {Event} */ { target }) =>
    attempt.abort(/** @type {AbortSignal} */ (target).reason);
  for (const signal of signals) {
    signal.addEventListener("abort", give);
    if (signal.aborted) attempt.abort(signal.reason);
  }
  /** @type {WebSocket | undefined} */
  let socket;
  try {
    socket = await open(url, attempt.signal);
    const hearing = new Hearing(socket, attempt.signal);
    const welcome = await greet(socket, hearing, hello, token);
    attempt.signal.throwIfAborted();
    return { socket, welcome, rest: hearing.rest() };
  } catch (error) {
    if (socket) {
      socket.onclose = socket.onmessage = null;
      hangUp(socket);
    }
    const told = error instanceof CodecError ? new ProtocolError(error.message) : error;
    if (!(told instanceof InitializationError)) throw told;
    told.message = `can't connect to ${url}: ${told.message}`;
    throw told;
  } finally {
    clearTimeout(timer);
    for (const signal of signals) signal.removeEventListener("abort", give);
  }
}

/**
 * Whether another attempt may go better: nobody was there, or it was too slow. What a server
 * refuses it refuses again.
 * @param {unknown} error
 */
export function mayPass(error) {
  return !(error instanceof DaffiError) || error.constructor === InitializationError;
}

/** Pauses that double, each of a random length between half and the whole of its step. */
export class Backoff {
  #step;

  /** @param {number} first in ms */
  constructor(first) {
    this.#step = first;
  }

  /**
   * Wait for the next one.
   * @param {AbortSignal} signal ends it early
   * @param {number} [most] in ms
   */
  pause(signal, most = Infinity) {
    const step = this.#step;
    this.#step = Math.max(step, Math.min(step * 2, LONGEST_PAUSE));
    const length = Math.min(most, step / 2 + (step / 2) * Math.random());
    return new Promise((resolve) => {
      const timer = setTimeout(done, length);
      function done() {
        clearTimeout(timer);
        signal.removeEventListener("abort", done);
        resolve(null);
      }
      signal.addEventListener("abort", done);
      if (signal.aborted) done();
    });
  }
}
