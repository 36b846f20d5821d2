/**
 * The calls of one client that are not ended, with their credit. They survive its connection.
 *
 * A row goes with whatever ends it: an answer, a timeout, a cancel, the end of the connection for
 * those that were sent. Ids are never used again. Imports `codec` and `spinning` of ours.
 */

import { Flag, Kind, WHOLE } from "./codec.js";
import { Spin } from "./spinning.js";

/** @typedef {import("./codec.js").Frame} Frame */

/**
 * One call, stream or question that somebody waits for.
 * @typedef {object} Row
 * @property {Frame} frame its id is set when it starts
 * @property {boolean} isSent
 * @property {(frame: Frame) => void} hear takes what comes for it
 * @property {(gone: Promise<void> | undefined) => void} sent hears that it was sent
 * @property {() => void} strand hears that it waits, with no connection to be sent on
 * @property {(error: Error) => void} fail
 */

/** What may be sent: calls, and their bytes.
 * @typedef {{calls: number, bytes: number}} Window */

export class Calls {
  /** @type {Map<number, Row>} */
  #rows = new Map();
  /** @type {Set<Row>} */
  #waiting = new Set();
  /** @type {Window | null} */
  #window = null;
  /** @type {(frame: Frame) => Promise<void> | undefined} */
  #send = () => undefined;
  #spin = new Spin();
  #last = 0;

  /** How many are not ended. */
  get size() {
    return this.#rows.size;
  }

  /** How many have not been sent. */
  get unsent() {
    return this.#waiting.size;
  }

  /** Whether there is a connection. */
  get isConnected() {
    return this.#window !== null;
  }

  /** An id that no other call has had. */
  nextId() {
    return (this.#last += 1);
  }

  /**
   * Take a call in; it is sent now, or when there is credit and a connection.
   * @param {Row} row
   */
  start(row) {
    row.frame.id = this.nextId();
    this.#rows.set(row.frame.id, row);
    this.#waiting.add(row);
    if (this.#rows.size > 1) this.#spin.leave();
    if (!this.#window) row.strand();
    else if (this.#waiting.size === 1 || isFree(row.frame)) this.#release(row);
  }

  /**
   * Whoever waits for this call.
   * @param {number} id
   */
  get(id) {
    return this.#rows.get(id);
  }

  /**
   * A call has ended; false when it had before.
   * @param {Row} row
   */
  end(row) {
    this.#waiting.delete(row);
    const ended = this.#rows.delete(row.frame.id);
    if (this.#rows.size === 0) this.#spin.end();
    return ended;
  }

  /**
   * A connection is there; what waits goes with `resume()`.
   * @param {Window} window
   * @param {(frame: Frame) => Promise<void> | undefined} send
   */
  connected(window, send) {
    this.#window = { ...window };
    this.#send = send;
  }

  /** What waits goes, as far as the window allows. */
  resume() {
    for (const row of [...this.#waiting]) {
      if (!this.#release(row)) break;
    }
  }

  /**
   * The peer allows more.
   * @param {number} calls
   * @param {number} bytes
   */
  credit(calls, bytes) {
    if (!this.#window) return;
    this.#window.calls += calls;
    this.#window.bytes += bytes;
    this.resume();
  }

  /**
   * The connection is gone: what was sent fails, the rest goes on waiting.
   * @param {() => Error} why
   * @param {boolean} all the rest fails too
   */
  disconnected(why, all) {
    this.#window = null;
    for (const row of [...this.#rows.values()]) {
      if (all || row.isSent) row.fail(why());
      else row.strand();
    }
  }

  /** @param {Row} row */
  #release(row) {
    const { frame } = row;
    if (!this.#window) return false;
    if (!isFree(frame)) {
      if (this.#window.calls < 1 || this.#window.bytes < 1) return false;
      this.#window.calls -= 1;
      this.#window.bytes -= weight(frame);
    }
    this.#waiting.delete(row);
    row.isSent = true;
    if (this.#rows.size === 1 && frame.kind === Kind.CALL && !(frame.flags & Flag.ONEWAY)) this.#spin.begin();
    row.sent(this.#send(frame));
    return true;
  }
}

/** Only calls and streams need credit.
 * @param {Frame} frame */
function isFree(frame) {
  return frame.kind !== Kind.CALL && frame.kind !== Kind.OPEN;
}

/**
 * The bytes of credit that a call takes.
 * @param {Frame} frame
 */
export function weight(frame) {
  return Math.min(frame.body.length, WHOLE);
}
