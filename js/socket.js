/**
 * One WebSocket: how it is opened, in a browser and on Node, and what is wrong when it is not.
 *
 * Messages go through as they are. Imports `errors` of ours, and on Node the package `ws`.
 */

import { InitializationError } from "./errors.js";

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
      reason = /** @type {any} */ (event).message;
      resolve(false);
    };
    socket.onclose = () => resolve(false);
    // The package `ws` shows how a server refuses; a browser does not.
    /** @type {any} */ (socket).on?.("unexpected-response", refused);
    /** @param {unknown} _ @param {AsyncIterable<Uint8Array> & {statusCode: number}} response */
    async function refused(_, response) {
      reason = `it refuses: ${response.statusCode}`;
      let text = "";
      for await (const part of response) text += new TextDecoder().decode(part);
      reason = text.trim() || reason;
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
    return "nobody answers there, or not in a way that a browser may hear. Is the server running?";
  }
  const origin = globalThis.location?.origin ?? "this origin";
  return (
    `somebody is there, but refuses WebSockets from ${origin}. ` +
    `If it is a server of daffi, give it allowed_origins=["${origin}"]`
  );
}
