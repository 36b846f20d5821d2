/**
 * Streams that come in: their items run one at a time and in order.
 *
 * How an item is run is the worker's part. Imports `codec` of ours.
 */

import { Flag, Key, Kind, frame, nameOf, numbers } from "./codec.js";

/** @typedef {import("./codec.js").Frame} Frame */
/** @typedef {import("./errors.js").Failure} Failure */
/** @typedef {import("./worker.js").Job} Job */

/**
 * A stream that comes in.
 * @typedef {object} Inflow
 * @property {Frame} open
 * @property {Frame[]} items those that wait
 * @property {number} came
 * @property {number} ran
 * @property {number} allowed
 * @property {boolean} ended
 * @property {Job | null} job the item that waits to run, or runs
 */

/** What streams need of their worker.
 * @typedef {object} Uplink
 * @property {(frame: Frame) => void} send
 * @property {(kind: string, message: string) => void} end closes the connection
 * @property {(id: number, why: Failure) => void} fail
 * @property {(open: Frame, item: Frame, stream: Inflow) => void} run sets the stream's job
 */

/** Items of a stream without acknowledgements that may be ahead of those that have run. */
const AHEAD = 256;

export class Inflows {
  /** @type {Map<number, Inflow>} */
  #streams = new Map();
  #uplink;

  /** @param {Uplink} uplink */
  constructor(uplink) {
    this.#uplink = uplink;
  }

  /** How many are open. */
  get size() {
    return this.#streams.size;
  }

  /** Nobody sends any more. */
  clear() {
    this.#streams.clear();
  }

  /** @param {Frame} open */
  open(open) {
    /** @type {Inflow} */
    const stream = { open, items: [], came: 0, ran: 0, allowed: 0, ended: false, job: null };
    this.#streams.set(open.id, stream);
    this.#allow(stream, open.flags & Flag.ONEWAY ? AHEAD : 1);
  }

  /** @param {Frame} item */
  item(item) {
    const stream = this.#streams.get(item.id);
    if (!stream) return;
    stream.came += 1;
    if (stream.came > stream.allowed) {
      return this.#uplink.end("protocol", "an item of a stream that no credit allows");
    }
    stream.items.push(item);
    this.#next(stream);
  }

  /**
   * No more items come.
   * @param {number} id
   */
  finish(id) {
    const stream = this.#streams.get(id);
    if (!stream) return;
    stream.ended = true;
    this.#next(stream);
  }

  /**
   * An item has run.
   * @param {Inflow} stream
   * @param {Failure | null} failure
   */
  ran(stream, failure) {
    stream.job = null;
    if (!this.#isOpen(stream)) return;
    const oneway = stream.open.flags & Flag.ONEWAY;
    if (oneway) warn(stream.open, failure);
    else if (failure) return this.drop(stream.open.id, failure);
    stream.ran += 1;
    if (!oneway) this.#allow(stream, stream.ran + 1);
    else if (stream.allowed - stream.ran <= AHEAD / 2) this.#allow(stream, stream.ran + AHEAD);
    this.#next(stream);
  }

  /**
   * End a stream, and say why where that is wanted.
   * @param {number} id
   * @param {Failure | null} why
   */
  drop(id, why) {
    if (this.#streams.delete(id) && why) this.#uplink.fail(id, why);
  }

  /**
   * The caller drops a stream; the item that waits or runs.
   * @param {number} id
   */
  cancel(id) {
    const stream = this.#streams.get(id);
    this.#streams.delete(id);
    return stream?.job ?? null;
  }

  /** @param {Inflow} stream */
  #isOpen(stream) {
    return this.#streams.get(stream.open.id) === stream;
  }

  /** Goes on, where nothing of it waits or runs.
   * @param {Inflow} stream */
  #next(stream) {
    if (stream.job || !this.#isOpen(stream)) return;
    const item = stream.items.shift();
    if (item) {
      this.#uplink.run(stream.open, item, stream);
    } else if (stream.ended) {
      this.#streams.delete(stream.open.id);
      this.#uplink.send(frame(Kind.ANSWER, stream.open.id));
    }
  }

  /**
   * @param {Inflow} stream
   * @param {number} upto
   */
  #allow(stream, upto) {
    stream.allowed = upto;
    const body = numbers([upto]);
    this.#uplink.send(frame(Kind.CREDIT, stream.open.id, { flags: Flag.ONEWAY, body }));
  }
}

/**
 * Say what became of something that nobody waits for.
 * @param {Frame} head
 * @param {Failure | null} failure
 */
export function warn(head, failure) {
  if (!failure) return;
  const name = nameOf(head, Key.FUNCTION);
  console.warn(`daffi: ${name}, called by somebody who does not wait, failed: ${failure.message}`);
}
