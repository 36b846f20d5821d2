/**
 * One call that is waited for: its time, its signals, and its one outcome.
 *
 * Imports `codec` and `errors` of ours, and the types of `calls` and `session`.
 */

import { CodecError, Kind, frame } from "./codec.js";
import { CallTimeout, Disconnected, Overloaded } from "./errors.js";

/** @typedef {import("./codec.js").Frame} Frame */
/** @typedef {import("./calls.js").Row} Row */

/** How long a call that names no timeout waits for a connection, in ms. */
const STRANDED = 10_000;
/** The longest that a timer can wait, in ms. */
const LONGEST = 2 ** 31 - 1;

/** @type {(value: any) => void} */
const NOTHING = () => {};

/**
 * What a call goes through.
 * @typedef {object} Line
 * @property {import("./calls.js").Calls} calls
 * @property {import("./session.js").Session | null} session the connection that there is now
 */

/**
 * What is known of a call.
 * @typedef {object} About
 * @property {string} call what it is called in errors
 * @property {number | null} timeout in ms
 * @property {AbortSignal[]} [signals]
 * @property {string[]} [receivers] who was named
 * @property {() => {receivers: string[], partial: Record<string, unknown>}} [missing] of a cast, who
 *   has not answered, and what did come
 */

/** @implements {Row} */
export class Pending {
  isSent = false;
  #line;
  #about;
  #take;
  #began = performance.now();
  #isOver = false;
  /** @type {ReturnType<typeof setTimeout> | undefined} */
  #timer;
  /** @type {ReturnType<typeof setTimeout> | undefined} */
  #stranded;
  #resolve = NOTHING;
  #reject = NOTHING;

  /**
   * @param {Line} line
   * @param {Frame} frame
   * @param {About} about
   * @param {(frame: Frame, pending: Pending) => void} take hears what comes for it
   */
  constructor(line, frame, about, take) {
    this.#line = line;
    this.#about = about;
    this.#take = take;
    this.frame = frame;
    /** @type {Promise<any>} */
    this.promise = new Promise((resolve, reject) => {
      this.#resolve = resolve;
      this.#reject = reject;
    });
  }

  get isOver() {
    return this.#isOver;
  }

  /** Begin: it is sent now, or when there is credit and a connection. */
  start() {
    const { signals = [], timeout } = this.#about;
    const aborted = signals.find((signal) => signal.aborted);
    if (aborted) {
      this.#isOver = true;
      this.#reject(aborted.reason);
      return this;
    }
    for (const signal of signals) signal.addEventListener("abort", this);
    this.limit(timeout);
    this.#line.calls.start(this);
    return this;
  }

  /**
   * From now on it may take so long; `null`: for ever.
   * @param {number | null} timeout
   */
  limit(timeout) {
    clearTimeout(this.#timer);
    this.#timer = undefined;
    if (timeout === null || timeout > LONGEST || this.#isOver) return;
    this.#timer = setTimeout(() => this.giveUp(this.#late(timeout)), timeout);
  }

  /**
   * What can't be read fails this call; what breaks the protocol ends the connection.
   * @param {Frame} frame
   */
  hear(frame) {
    try {
      this.#take(frame, this);
    } catch (error) {
      if (error instanceof CodecError) throw error;
      this.fail(error);
    }
  }

  /** @param {Promise<void> | undefined} gone */
  sent(gone) {
    clearTimeout(this.#stranded);
    this.onsent(gone);
  }

  /** What is to be done when it was sent. @type {(gone: Promise<void> | undefined) => void} */
  onsent = NOTHING;

  strand() {
    if (this.#about.timeout !== null) return;
    clearTimeout(this.#stranded);
    this.#stranded = setTimeout(() => this.giveUp(this.#late(STRANDED)), STRANDED);
  }

  /** @param {unknown} value */
  resolve(value) {
    if (this.#end()) this.#resolve(value);
  }

  /** @param {unknown} error */
  fail(error) {
    if (error instanceof CallTimeout && error.timeout === null) {
      // The worker was quicker to notice; how long it was is known here.
      error.timeout = this.#about.timeout;
      error.elapsed = performance.now() - this.#began;
    }
    if (this.#end()) this.#reject(error);
  }

  /**
   * Nobody waits any more: whoever has the call is told.
   * @param {unknown} error
   */
  giveUp(error) {
    if (!this.#end()) return;
    const { session } = this.#line;
    const { id } = this.frame;
    if (this.isSent && session) {
      session.abort(id, [Kind.CALL, Kind.ITEM]);
      session.forget(id, [Kind.ANSWER]);
      session.send(frame(Kind.CANCEL, id));
    }
    this.#reject(error);
  }

  /** A signal of the caller. @param {Event} event */
  handleEvent(event) {
    this.giveUp(/** @type {AbortSignal} */ (event.target).reason);
  }

  #end() {
    if (this.#isOver) return false;
    this.#isOver = true;
    clearTimeout(this.#timer);
    clearTimeout(this.#stranded);
    for (const signal of this.#about.signals ?? []) signal.removeEventListener("abort", this);
    this.#line.calls.end(this);
    return true;
  }

  /** @param {number} timeout */
  #late(timeout) {
    const { call, receivers, missing } = this.#about;
    const seconds = `${timeout / 1000} s`;
    if (!this.isSent && !this.#line.calls.isConnected) {
      const text = `there was no connection for ${seconds}, so ${call} was not sent`;
      return new Disconnected(text, { sent: false });
    }
    if (!this.isSent) {
      return new Overloaded(`there was no room for ${seconds}, so ${call} was not sent`);
    }
    const elapsed = performance.now() - this.#began;
    return new CallTimeout(`no answer to ${call} in ${seconds}`, {
      call,
      timeout,
      elapsed,
      receivers,
      ...missing?.(),
    });
  }
}

/**
 * Tell the server what it answers with nothing.
 * @param {Line} line
 * @param {Frame} frame
 * @param {About} about
 * @returns {Promise<void>} when it has answered
 */
export function tell(line, frame, about) {
  const told = new Pending(line, frame, about, () => told.resolve(0));
  return told.start().promise;
}
