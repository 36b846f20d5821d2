/**
 * Streams of ours: one worker runs one call for each item, as it allows.
 *
 * Imports `codec`, `errors`, `greeting` and `pending` of ours.
 */

import { Flag, Format, Key, Kind, frame, readNumbers } from "./codec.js";
import { Disconnected, fromFailure } from "./errors.js";
import { readFailure } from "./greeting.js";
import { Pending } from "./pending.js";

/** @typedef {import("./formats.js").Payload} Payload */

export class Stream {
  #line;
  #pending;
  #oneway;
  #sent = 0;
  #allowed = 0;
  /** Those who wait for anything to change. @type {(() => void)[]} */
  #waiting = [];
  /** @type {Promise<unknown>} */
  #turn = Promise.resolve();

  /**
   * @param {import("./pending.js").Line} line
   * @param {import("./codec.js").Frame} open
   * @param {import("./pending.js").About} about
   */
  constructor(line, open, about) {
    this.#line = line;
    this.#oneway = Boolean(open.flags & Flag.ONEWAY);
    this.#pending = new Pending(line, open, { ...about, timeout: null }, (came, pending) => {
      if (came.kind === Kind.CREDIT) {
        this.#allowed = Math.max(this.#allowed, Number(readNumbers(came.body, 1)[0]));
        this.#wake();
      } else if (came.kind === Kind.ANSWER) {
        pending.resolve(undefined);
      } else if (came.kind === Kind.FAILURE) {
        pending.fail(fromFailure(readFailure(came.body), about.call));
      }
    });
    this.#pending.onsent = () => this.#wake();
    /** Rejects when the stream fails, resolves when all items have run. @type {Promise<void>} */
    this.outcome = this.#pending.promise;
    const over = () => this.#wake();
    this.outcome.then(over, over);
    this.#pending.start();
  }

  /** Whether it has ended. */
  get isOver() {
    return this.#pending.isOver;
  }

  /**
   * Send an item; done when it has run, or, without acknowledgements, when it is sent. Items leave
   * in the order in which this is called.
   * @param {() => Payload} pack
   * @param {number | null} timeout
   */
  item(pack, timeout) {
    const sent = this.#turn.then(() => this.#item(pack(), timeout));
    this.#turn = sent.catch(() => {});
    return sent;
  }

  /**
   * @param {Payload} payload
   * @param {number | null} timeout
   */
  async #item(payload, timeout) {
    this.#pending.limit(timeout);
    await this.#until(() => this.#allowed > this.#sent);
    /** @type {import("./codec.js").Field[]} */
    const fields = timeout === null ? [] : [[Key.DEADLINE, Math.max(0, Math.round(timeout * 1000))]];
    const { id } = this.#pending.frame;
    this.#sent += 1;
    await this.#line.session?.send(frame(Kind.ITEM, id, { ...payload, fields }));
    if (!this.#oneway) await this.#until(() => this.#allowed > this.#sent);
    this.#pending.limit(null);
  }

  /**
   * Say that no more items come; done when all have run, or, without acknowledgements, at once.
   * @param {number | null} timeout
   */
  async end(timeout) {
    await this.#turn;
    this.#pending.limit(timeout);
    await this.#until(() => this.#pending.isSent);
    this.#line.session?.send(frame(Kind.END, this.#pending.frame.id));
    if (!this.#oneway) await this.outcome;
    this.#pending.limit(null);
  }

  /**
   * What a promise brings, or the error that the stream ends in before that. A race against
   * `outcome` would leave something behind in it for each item.
   * @template T
   * @param {T | Promise<T>} promise
   * @returns {Promise<T>}
   */
  async orEnd(promise) {
    let came = false;
    const done = () => {
      came = true;
      this.#wake();
    };
    Promise.resolve(promise).then(done, done);
    await this.#until(() => came);
    return promise;
  }

  /**
   * Drop what has not begun.
   * @param {unknown} error
   */
  cancel(error) {
    this.#pending.giveUp(error);
  }

  /** @param {() => boolean} ready */
  async #until(ready) {
    for (;;) {
      if (this.isOver) {
        await this.outcome;
        throw new Disconnected("the stream has ended");
      }
      if (ready()) return;
      await new Promise((wake) => this.#waiting.push(() => wake(null)));
    }
  }

  #wake() {
    for (const wake of this.#waiting.splice(0)) wake();
  }
}

/**
 * Send all items of an iterable. What it was waiting for is dropped when the stream fails.
 * @param {Stream} stream
 * @param {Iterable<unknown> | AsyncIterable<unknown>} items
 * @param {(item: unknown) => Payload} pack
 * @param {number | null} timeout for each item
 */
export async function pour(stream, items, pack, timeout) {
  const iterator =
    Symbol.asyncIterator in items ? items[Symbol.asyncIterator]() : items[Symbol.iterator]();
  try {
    for (;;) {
      const next = await stream.orEnd(iterator.next());
      if (next.done) break;
      await stream.item(() => pack(next.value), timeout);
    }
    await stream.end(timeout);
  } catch (error) {
    stream.cancel(error);
    // One that is waiting for something ends when that comes; nobody waits for it here.
    Promise.resolve(iterator.return?.()).catch(() => {});
    throw error;
  }
}

/**
 * Whether an argument of a stream is a sequence of items, rather than one item.
 * @param {unknown} value
 * @returns {value is Iterable<unknown> | AsyncIterable<unknown>}
 */
export function isSequence(value) {
  if (typeof value !== "object" || value === null || ArrayBuffer.isView(value)) return false;
  return Symbol.iterator in value || Symbol.asyncIterator in value;
}

/** The frame that opens a stream.
 * @param {import("./codec.js").Field[]} fields
 * @param {boolean} oneway */
export function opening(fields, oneway) {
  const flags = oneway ? Flag.ONEWAY : 0;
  return frame(Kind.OPEN, 0, { flags, fields, format: Format.NOTHING });
}
