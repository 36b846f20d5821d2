/**
 * Who comes and goes, told to handlers in order. Imports nothing of ours.
 */

/** Somebody came or went. The server counts.
 * @typedef {{type: "connected" | "disconnected", member: string}} Presence */

/** @typedef {(event: Presence) => unknown} Handler */

/** @typedef {{handler: Handler}} Entry */

export class Events {
  /** @type {Set<Entry>} */
  #entries = new Set();
  /** Who is there, as far as one was told. @type {Set<string>} */
  #here = new Set();
  /** @type {Promise<unknown>} */
  #told = Promise.resolve();

  /** Whether anybody wants to hear of it. */
  get areWanted() {
    return this.#entries.size > 0;
  }

  /**
   * Add a handler; it hears of everybody who is there already.
   * @param {Handler} handler
   * @returns {() => void} takes it off again
   */
  add(handler) {
    const entry = { handler };
    this.#entries.add(entry);
    for (const member of this.#here) this.#tell(entry, { type: "connected", member });
    return () => void this.#entries.delete(entry);
  }

  /**
   * Tell everybody, after what they were told before.
   * @param {Presence} event
   */
  tell(event) {
    if (event.type === "connected") this.#here.add(event.member);
    else this.#here.delete(event.member);
    for (const entry of this.#entries) this.#tell(entry, event);
  }

  /** The server is gone, and with it all news of the others.
   * @param {string} server */
  lost(server) {
    this.#here.clear();
    this.tell({ type: "disconnected", member: server });
  }

  /**
   * A handler that throws harms nothing.
   * @param {Entry} entry
   * @param {Presence} event
   */
  #tell(entry, event) {
    this.#told = this.#told
      .then(() => (this.#entries.has(entry) ? entry.handler({ ...event }) : undefined))
      .catch((error) => console.error("daffi: an event handler failed:", error));
  }
}
