/**
 * One WebSocket: how it is opened, in a browser and on Node, and what is wrong when it is not.
 *
 * Messages go through as they are. Imports `errors` of ours, and on Node the package `ws`.
 */

import { InitializationError } from "./errors.js";

/** Characters of what a server says when it refuses. */
const MOST_TEXT = 1000;

/** The browser's WebSocket, or the one of the package `ws`. */
async function webSocket() {
  if (globalThis.WebSocket) return globalThis.WebSocket;
  try {
    const { WebSocket } = await import("ws");
    return /** @type {typeof globalThis.WebSocket} */ (/** @type {unknown} */ (WebSocket));
  } catch {
    throw new InitializationError("this Node has no WebSocket: npm install ws");
  }
}

/**
 * Open a WebSocket; rejects with an InitializationError that names the reason.
 * @param {string} url
 * @param {AbortSignal} signal gives up
 * @returns {Promise<WebSocket>}
 */
export async function open(url, signal) {
  const WebSocket = await webSocket();
  /** @type {WebSocket} */
  let socket;
  try {
    // On Node: without compression, as a server of daffi has none either.
    socket = globalThis.WebSocket
      ? new WebSocket(url)
      : new /** @type {any} */ (WebSocket)(url, { perMessageDeflate: false });
  } catch (error) {
    throw new InitializationError(/** @type {Error} */ (error).message);
  }
  socket.binaryType = "arraybuffer";
  /** @type {string | undefined} */
  let reason;
  const opened = await new Promise((resolve) => {
    socket.onopen = () => resolve(true);
    socket.onerror = (event) => {
      reason = told(/** @type {any} */ (event));
      resolve(false);
    };
    socket.onclose = () => resolve(false);
    // The package `ws` shows how a server refuses; a browser does not.
    /** @type {any} */ (socket).on?.("unexpected-response", refused);
    /** @param {unknown} _ @param {AsyncIterable<Uint8Array> & {statusCode: number}} response */
    async function refused(_, response) {
      reason = `it refuses: ${response.statusCode}`;
      let text = "";
      try {
        for await (const part of response) {
          text += new TextDecoder().decode(part);
          if (text.length > MOST_TEXT) break;
        }
      } catch {
        // What had come by then is what there is.
      }
      if (isForPeople(text)) reason = text.trim();
      resolve(false);
    }
    signal.addEventListener("abort", () => resolve(false), { once: true });
    if (signal.aborted) resolve(false);
  });
  if (opened) return socket;
  socket.onopen = socket.onclose = null;
  socket.close();
  signal.throwIfAborted();
  throw new InitializationError(reason || (await guess(url, signal)));
}

/** What the package `ws` says of an error; a browser says nothing.
 * @param {{message?: string, error?: {code?: string}}} event */
function told({ message, error }) {
  const unknown = /^(UNABLE_TO_|SELF_SIGNED_|DEPTH_ZERO_)/.test(error?.code ?? "");
  return unknown ? `${message}: name the file of its CA in NODE_EXTRA_CA_CERTS` : message;
}

/** Whether a refusal is a sentence, rather than the page of some web server.
 * @param {string} text */
function isForPeople(text) {
  return text.trim() !== "" && text.length <= MOST_TEXT && !text.trimStart().startsWith("<");
}

/**
 * What may be wrong. A browser tells a page nothing about a WebSocket that was not opened; whether
 * anybody is there at all can be asked in another way.
 * @param {string} url
 * @param {AbortSignal} signal
 */
async function guess(url, signal) {
  const address = url.replace(/^ws/, "http");
  try {
    await fetch(address, { mode: "no-cors", cache: "no-store", signal });
  } catch {
    const text = "nobody answers there, or not in a way that a browser may hear. Is the server running?";
    if (!address.startsWith("https")) return text;
    return `${text} Does the browser accept its certificate? Opened as a page, ${address} says so`;
  }
  const origin = globalThis.location?.origin ?? "this origin";
  return (
    `somebody is there, but refuses WebSockets from ${origin}. ` +
    `If it is a server of daffi, give it allowed_origins=["${origin}"]`
  );
}

/**
 * Close without waiting for an answer, as far as one can: the package `ws` would wait for half a
 * minute, and keep Node alive for as long.
 * @param {WebSocket} socket
 */
export function hangUp(socket) {
  /** @type {any} */ (socket).terminate?.();
  socket.close();
}
