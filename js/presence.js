/**
 * Who comes and goes, told to handlers in order. Imports nothing of ours.
 */

/** Somebody came or went. The server counts.
 * @typedef {{type: "connected" | "disconnected", member: string}} Presence */

/** @typedef {(event: Presence) => unknown} Handler */

export class Events {
  /** @type {Set<{handler: Handler}>} */
  #handlers = new Set();
  /** @type {Promise<unknown>} */
  #told = Promise.resolve();

  /** Whether anybody wants to hear of it. */
  get areWanted() {
    return this.#handlers.size > 0;
  }

  /**
   * @param {Handler} handler
   * @returns {() => void} takes it off again
   */
  add(handler) {
    const entry = { handler };
    this.#handlers.add(entry);
    return () => void this.#handlers.delete(entry);
  }

  /**
   * Tell everybody, after what they were told before. A handler that throws harms nothing.
   * @param {Presence} event
   */
  tell(event) {
    for (const entry of this.#handlers) {
      this.#told = this.#told
        .then(() => (this.#handlers.has(entry) ? entry.handler({ ...event }) : undefined))
        .catch((error) => console.error("daffi: an event handler failed:", error));
    }
  }
}
