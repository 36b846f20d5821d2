/**
 * One connection, from its greeting to its end: frames in, frames out, heartbeats.
 *
 * What is written in one turn of the event loop leaves as one WebSocket message. A large message
 * leaves in pieces, as far as its receiver allows and the socket takes it; small ones pass between
 * them. Calls are not known here. Imports `codec`, `formats`, `greeting`,
 * `socket` and `transfers` of ours.
 */

import { CodecError, Flag, Key, Kind, WHOLE, encode, frame, numberOf, readFrame, readNumbers } from "./codec.js"; // prettier-ignore
import { packMap } from "./formats.js";
import { readFailure } from "./greeting.js";
import { hangUp } from "./socket.js";
import { Arrivals, Departures, joined } from "./transfers.js";

/** @typedef {import("./codec.js").Frame} Frame */
/** @typedef {import("./errors.js").Failure} Failure */

/**
 * Whoever a connection is for.
 * @typedef {object} Role
 * @property {(frame: Frame) => void} arrived takes a frame, and a large message as one
 * @property {(frame: Frame, why: Failure) => void} dropped takes the beginning of a large message
 *   that will not come
 * @property {(frame: Frame) => boolean} wants whether somebody waits for an answer
 * @property {(why: Failure) => void} ended
 */

/** After so long without a frame of ours a PING is due, in ms. */
const PING_AFTER = 2000;
/** After so long without a sign of life the other side counts as dead, in ms. */
const DEAD_AFTER = 6000;
/** How often that is looked at. */
const BEAT = 500;
/** Bytes that leave in one message, as far as one frame is not longer. */
const BURST = 512 * 1024;
/** With so many bytes in the socket, pieces of large messages wait. */
const CROWDED = 1024 * 1024;
/** With so many, calls that nobody waits for are refused. */
const CRAMMED = 64 * 1024 * 1024;
/** How long they wait before they look again, in ms: a browser does not say when there is room. */
const PAUSE = 4;

export class Session {
  #socket;
  #role;
  #departures = new Departures();
  #arrivals;
  /** @type {Uint8Array[]} */
  #queue = [];
  #flushing = false;
  #over = false;
  #sentAt = performance.now();
  #heardAt = performance.now();
  #lookedAt = performance.now();
  /** @type {ReturnType<typeof setInterval>} */
  #beat;
  /** @type {ReturnType<typeof setTimeout> | undefined} */
  #pausing;

  /**
   * @param {WebSocket} socket one that has been greeted
   * @param {number} maxMessage
   * @param {Role} role
   */
  constructor(socket, maxMessage, role) {
    this.#socket = socket;
    this.#role = role;
    this.#arrivals = new Arrivals(
      maxMessage,
      (frame) => this.send(frame),
      (frame, why) => (why ? role.dropped(frame, why) : role.arrived(frame)),
    );
    socket.onmessage = ({ data }) => this.#hear(data instanceof ArrayBuffer && new Uint8Array(data));
    // It closes after that by itself; on Node an error that nobody hears would end the process.
    socket.onerror = () => {};
    socket.onclose = ({ code, reason }) => {
      const why = reason ? `: ${reason}` : code === 1006 ? "" : ` (code ${code})`;
      this.close(failed("disconnected", `it closed the connection${why}`));
    };
    this.#beat = setInterval(() => this.#look(), BEAT);
  }

  /**
   * Begin, with what came behind the greeting.
   * @param {Uint8Array[]} messages
   */
  begin(messages) {
    for (const message of messages) this.#hear(message);
    if (this.#socket.readyState !== 1) this.close(failed("disconnected", "it closed the connection"));
  }

  /** Whether it has ended. */
  get isOver() {
    return this.#over;
  }

  /** Whether all that was sent has left, as far as one can know. */
  get isWritten() {
    return this.#over || !(this.#queue.length || this.#departures.size || this.#socket.bufferedAmount);
  }

  /** Whether so much waits to be written that no more should be made. */
  get isCrammed() {
    return this.#socket.bufferedAmount > CRAMMED;
  }

  /**
   * Send a frame, whatever its length. A promise comes back for a large one: it resolves when the
   * last piece has left, or will not.
   * @param {Frame} message
   * @returns {Promise<void> | undefined}
   */
  send(message) {
    if (this.#over) return undefined;
    if (message.body.length <= WHOLE || message.kind === Kind.PIECE) {
      this.#put(message);
      return undefined;
    }
    return new Promise((resolve) => this.#put(this.#departures.begin(message, resolve)));
  }

  /**
   * Give up what we send for a call.
   * @param {number} call
   * @param {number[]} kinds
   */
  abort(call, kinds) {
    for (const frame of this.#departures.abort(call, kinds)) this.send(frame);
  }

  /**
   * Take no more of what arrives for a call.
   * @param {number} call
   * @param {number[]} kinds
   */
  forget(call, kinds) {
    this.#arrivals.forget(call, kinds);
  }

  /**
   * Say goodbye, and close.
   * @param {Failure} why
   */
  finish(why) {
    this.send(frame(Kind.GOODBYE, 0, { body: packMap({ type: "", traceback: "", ...why }) }));
    this.#flush();
    this.close(why);
  }

  /**
   * It is over.
   * @param {Failure} why
   */
  close(why) {
    if (this.#over) return;
    this.#over = true;
    clearInterval(this.#beat);
    clearTimeout(this.#pausing);
    this.#queue = [];
    this.#departures.clear();
    this.#socket.onmessage = this.#socket.onclose = null;
    this.#socket.close();
    this.#role.ended(why);
  }

  /** @param {Frame} frame */
  #put(frame) {
    this.#queue.push(encode(frame));
    if (this.#flushing) return;
    this.#flushing = true;
    queueMicrotask(this.#flush);
  }

  #flush = () => {
    this.#flushing = false;
    if (this.#over) return;
    const queue = this.#queue;
    this.#queue = [];
    for (let at = 0; at < queue.length; ) {
      const begin = at;
      let size = 0;
      do {
        size += queue[at].length;
        at += 1;
      } while (at < queue.length && size + queue[at].length <= BURST);
      const burst = at === begin + 1 ? queue[begin] : joined(queue.slice(begin, at), size);
      this.#sentAt = performance.now();
      this.#socket.send(/** @type {Uint8Array<ArrayBuffer>} */ (burst));
    }
    this.#pump();
  };

  /** Sends pieces of large messages, as far as there is room. */
  #pump() {
    if (this.#over || !this.#departures.size) return;
    if (this.#socket.bufferedAmount < CROWDED) {
      const piece = this.#departures.next();
      if (piece) this.#put(piece); // its flush comes back here
    } else if (this.#pausing === undefined) {
      this.#pausing = setTimeout(() => {
        this.#pausing = undefined;
        this.#pump();
      }, PAUSE);
    }
  }

  /** @param {Uint8Array | false} bytes a message; false for one of text */
  #hear(bytes) {
    const now = performance.now();
    this.#heardAt = now;
    // Timers of a page in the background come once a minute; what the server says still comes.
    if (now - this.#sentAt >= PING_AFTER - BEAT) this.send(frame(Kind.PING, 0));
    try {
      if (!bytes) throw new CodecError("malformed", "a message of text");
      for (let at = 0; at < bytes.length && !this.#over; ) {
        const read = readFrame(bytes, at);
        if (!read) throw new CodecError("malformed", "a message with a part of a frame");
        at = read.next;
        if (read.frame) this.#take(read.frame);
      }
    } catch (error) {
      if (!(error instanceof CodecError)) throw error;
      this.finish(failed("protocol", `it broke the protocol: ${error.message}`));
    }
    this.#pump();
  }

  /** @param {Frame} frame */
  #take(frame) {
    switch (frame.kind) {
      case Kind.PING:
        return;
      case Kind.PIECE:
        return this.#arrivals.piece(frame);
      case Kind.ABORT:
        return this.#arrivals.abort(frame.id);
      case Kind.GOODBYE:
        return this.close(readFailure(frame.body));
      case Kind.CREDIT:
        if (frame.flags & Flag.CAST) {
          this.#departures.allow(frame.id, readNumbers(frame.body, 1)[0]);
          return this.#pump();
        }
    }
    if (numberOf(frame, Key.TRANSFER) === undefined) return this.#role.arrived(frame);
    this.#arrivals.begin(frame, frame.kind !== Kind.ANSWER || this.#role.wants(frame));
  }

  #look() {
    const now = performance.now();
    const late = now - this.#lookedAt > DEAD_AFTER / 2;
    this.#lookedAt = now;
    // Where we did not get to look, the silence may be our own: what came meanwhile is read first.
    if (late) this.#heardAt = Math.max(this.#heardAt, now - DEAD_AFTER / 2);
    if (now - this.#heardAt > DEAD_AFTER) {
      this.close(failed("disconnected", `it was silent for ${DEAD_AFTER / 1000} s`));
      return hangUp(this.#socket);
    }
    if (now - this.#sentAt >= PING_AFTER - BEAT / 2) this.send(frame(Kind.PING, 0));
  }
}

/**
 * A failure of the connection itself.
 * @param {string} kind
 * @param {string} message
 * @returns {Failure}
 */
export function failed(kind, message) {
  return { kind, ran: "maybe", message };
}
