/**
 * Large messages: those that leave in pieces as the receiver allows, and those that arrive.
 *
 * No socket and no call is known here. Imports `codec` and `formats` of ours.
 */

import { CodecError, Flag, Key, Kind, UNWANTED, WHOLE, frame, numberOf, numbers } from "./codec.js";
import { packMap } from "./formats.js";

/** @typedef {import("./codec.js").Frame} Frame */
/** @typedef {import("./errors.js").Failure} Failure */

/** Bytes of one piece. */
const PIECE = 256 * 1024;
/** How far ahead of what has arrived a sender may be, in bytes. */
const AHEAD = 4 * 1024 * 1024;
/** How many large messages one peer may have under way to us. */
const MOST = 4096;

/**
 * One message that leaves in pieces.
 * @typedef {object} Leaving
 * @property {Uint8Array} body
 * @property {number} at
 * @property {number} allowed
 * @property {number} call the id of what it belongs to
 * @property {number} kind
 * @property {() => void} gone called once it has left, or will not
 */

/** Large messages of ours. */
export class Departures {
  /** @type {Map<number, Leaving>} */
  #leaving = new Map();
  #last = 0;

  /** Whether there are any that have not left. */
  get size() {
    return this.#leaving.size;
  }

  /**
   * Begin one: the frame that says so, with the first piece.
   * @param {Frame} whole
   * @param {() => void} gone
   * @returns {Frame}
   */
  begin(whole, gone) {
    const id = (this.#last += 1);
    const { body } = whole;
    this.#leaving.set(id, { body, at: WHOLE, allowed: WHOLE, call: whole.id, kind: whole.kind, gone });
    /** @type {import("./codec.js").Field[]} */
    const travel = [[Key.TRANSFER, id], [Key.TOTAL, body.length]]; // prettier-ignore
    return { ...whole, fields: [...whole.fields, ...travel], body: body.subarray(0, WHOLE) };
  }

  /**
   * The receiver allows more, or wants no more.
   * @param {number} id
   * @param {import("./codec.js").Wide} upto
   */
  allow(id, upto) {
    const leaving = this.#leaving.get(id);
    if (!leaving) return;
    if (upto === UNWANTED) this.#end(id);
    else leaving.allowed = Math.min(leaving.body.length, Math.max(leaving.allowed, Number(upto)));
  }

  /**
   * The next piece that may leave; messages take turns.
   * @returns {Frame | null}
   */
  next() {
    for (const [id, leaving] of this.#leaving) {
      if (leaving.at >= leaving.allowed) continue;
      const end = Math.min(leaving.at + PIECE, leaving.allowed);
      const piece = frame(Kind.PIECE, id, { body: leaving.body.subarray(leaving.at, end) });
      leaving.at = end;
      this.#leaving.delete(id);
      if (end === leaving.body.length) leaving.gone();
      else this.#leaving.set(id, leaving);
      return piece;
    }
    return null;
  }

  /**
   * Give up what belongs to a call: the frames that say so.
   * @param {number} call
   * @param {number[]} kinds
   * @returns {Frame[]}
   */
  abort(call, kinds) {
    const aborted = [...this.#leaving].filter(
      ([, leaving]) => leaving.call === call && kinds.includes(leaving.kind),
    );
    return aborted.map(([id]) => {
      this.#end(id);
      return frame(Kind.ABORT, id);
    });
  }

  /** The connection is gone. */
  clear() {
    for (const id of [...this.#leaving.keys()]) this.#end(id);
  }

  /** @param {number} id */
  #end(id) {
    const leaving = this.#leaving.get(id);
    this.#leaving.delete(id);
    leaving?.gone();
  }
}

/**
 * One message that arrives in pieces.
 * @typedef {object} Arriving
 * @property {Frame} frame
 * @property {number} total
 * @property {number} arrived
 * @property {number} granted
 * @property {Uint8Array[]} pieces
 */

/** Large messages to us. Memory is taken for what has arrived, not for what is announced. */
export class Arrivals {
  /** @type {Map<number, Arriving>} */
  #arriving = new Map();
  #max;
  #send;
  #deliver;

  /**
   * @param {number} max bytes of the largest message
   * @param {(frame: Frame) => void} send
   * @param {(frame: Frame, refusal?: Failure) => void} deliver takes a whole message, or the
   *   beginning of one and why it can't be had
   */
  constructor(max, send, deliver) {
    this.#max = max;
    this.#send = send;
    this.#deliver = deliver;
  }

  /**
   * The beginning of one.
   * @param {Frame} first
   * @param {boolean} wanted
   */
  begin(first, wanted) {
    const id = Number(numberOf(first, Key.TRANSFER));
    const total = Number(numberOf(first, Key.TOTAL) ?? 0);
    const large = first.kind === Kind.CALL || first.kind === Kind.ANSWER || first.kind === Kind.ITEM;
    const arrived = first.body.length;
    if (!large || arrived > WHOLE || arrived >= total || this.#arriving.has(id)) {
      throw new CodecError("malformed", "a large message whose beginning makes no sense");
    }
    if (this.#arriving.size >= MOST) {
      throw new CodecError("malformed", "too many large messages at once");
    }
    if (!wanted) return this.#refuse(id);
    const fields = first.fields.filter(([key]) => key !== Key.TRANSFER && key !== Key.TOTAL);
    const bare = { ...first, fields };
    if (total > this.#max) {
      this.#refuse(id);
      const message = `a message of ${total} bytes, more than the ${this.#max} of maxMessage`;
      return this.#deliver(bare, { kind: "too_large", ran: ranOf(first.kind), message });
    }
    const pieces = [first.body.slice()];
    this.#arriving.set(id, { frame: bare, total, arrived, granted: arrived, pieces });
    this.#grant(id);
  }

  /**
   * More of one. Of one that nobody wants any more, nothing.
   * @param {Frame} piece
   */
  piece(piece) {
    const arriving = this.#arriving.get(piece.id);
    if (!arriving) return;
    arriving.arrived += piece.body.length;
    if (!piece.body.length || arriving.arrived > arriving.granted) {
      throw new CodecError("malformed", "a piece that no credit allows");
    }
    arriving.pieces.push(piece.body);
    if (arriving.arrived < arriving.total) {
      if (arriving.granted - arriving.arrived <= AHEAD / 2) this.#grant(piece.id);
      return;
    }
    this.#arriving.delete(piece.id);
    try {
      this.#deliver({ ...arriving.frame, body: joined(arriving.pieces, arriving.total) });
    } catch (error) {
      if (!(error instanceof RangeError)) throw error;
      const message = `there is no memory for a message of ${arriving.total} bytes`;
      const ran = ranOf(arriving.frame.kind);
      this.#deliver(arriving.frame, { kind: "too_large", ran, message });
    }
  }

  /**
   * The rest of one will not come.
   * @param {number} id
   */
  abort(id) {
    const arriving = this.#arriving.get(id);
    if (!arriving) return;
    this.#arriving.delete(id);
    const message = "whoever sent it was gone before all of it had come";
    this.#deliver(arriving.frame, { kind: "disconnected", ran: ranOf(arriving.frame.kind), message });
  }

  /**
   * Nobody waits any more for what belongs to a call.
   * @param {number} call
   * @param {number[]} kinds
   */
  forget(call, kinds) {
    for (const [id, { frame }] of [...this.#arriving]) {
      if (frame.id === call && kinds.includes(frame.kind)) this.#refuse(id);
    }
  }

  /** @param {number} id */
  #grant(id) {
    const arriving = /** @type {Arriving} */ (this.#arriving.get(id));
    const granted = Math.min(arriving.total, arriving.arrived + AHEAD);
    if (granted === arriving.granted) return;
    arriving.granted = granted;
    this.#send(frame(Kind.CREDIT, id, { flags: Flag.CAST, body: numbers([granted]) }));
  }

  /** @param {number} id */
  #refuse(id) {
    this.#arriving.delete(id);
    this.#send(frame(Kind.CREDIT, id, { flags: Flag.CAST, body: numbers([UNWANTED]) }));
  }
}

/** @param {number} kind */
function ranOf(kind) {
  return kind === Kind.ANSWER ? "yes" : "no";
}

/**
 * @param {Uint8Array[]} pieces
 * @param {number} total
 */
export function joined(pieces, total) {
  const whole = new Uint8Array(total);
  let at = 0;
  for (const piece of pieces) {
    whole.set(piece, at);
    at += piece.length;
  }
  return whole;
}

/**
 * A failure as a frame.
 * @param {number} id
 * @param {Failure} failure
 * @param {Partial<Frame>} [rest]
 */
export function failureFrame(id, failure, rest = {}) {
  const { args, worker, ...plain } = failure;
  const body = packMap({
    type: "",
    traceback: "",
    ...plain,
    args: args && packMap(args),
    worker: worker ?? undefined,
  });
  return frame(Kind.FAILURE, id, { ...rest, body });
}
