/**
 * Calls that come for us over one connection: they wait, run, and are answered.
 *
 * Imports `codec`, `calls`, `errors`, `formats`, `inflows`
 * and `transfers` of ours.
 */

import { weight } from "./calls.js";
import { Flag, Format, Key, Kind, callerOf, frame, nameOf, numberOf, numbers } from "./codec.js";
import { RemoteCallError, SerializationError } from "./errors.js";
import { isMap, packResult, serdeOf, unpackArguments } from "./formats.js";
import { Inflows, warn } from "./inflows.js";
import { failureFrame } from "./transfers.js";

/** @typedef {import("./codec.js").Frame} Frame */
/** @typedef {import("./errors.js").Failure} Failure */
/** @typedef {import("./connection.js").Connection} Connection */

/**
 * What a function that is called from outside may ask about its call.
 * @typedef {object} CurrentCall
 * @property {string} caller who calls
 * @property {string} function the name that was called
 * @property {string} serde
 * @property {number | null} deadline when it is too late, on the clock of `performance.now()`
 * @property {AbortSignal} signal aborts when nobody waits for the result any more
 * @property {Connection} conn makes nested calls: they have no more time than this one, and end
 *   with it
 */

/** @typedef {(...args: any[]) => any} Callback */

/**
 * A call that waits or runs.
 * @typedef {object} Job
 * @property {Frame} head CALL, or the OPEN of a stream
 * @property {Frame} payload CALL or ITEM
 * @property {number} deadline
 * @property {AbortController} controller
 * @property {import("./inflows.js").Inflow | null} stream
 */

/** What a worker needs of its client.
 * @typedef {object} Host
 * @property {string} name
 * @property {number} maxMessage bytes of the largest message that may be sent
 * @property {number} workers how many calls may run at once
 * @property {Map<string, Callback>} functions
 * @property {(scope: import("./connection.js").Scope) => Connection} connection
 * @property {(frame: Frame) => void} send
 * @property {(kind: string, message: string) => void} end closes the connection
 */

/** What a worker grants: calls that wait here, and their bytes. */
export const WINDOW = { calls: 1024, bytes: 16 * 1024 * 1024 };
/** Bytes of a message or a traceback that travel. */
const MAX_TEXT = 64 * 1024;

/** @type {CurrentCall | null} */
let current = null;

/**
 * The call that is being run. To be asked before the first `await` of a function; an error
 * anywhere else.
 * @returns {CurrentCall}
 */
export function currentCall() {
  if (current) return current;
  throw new Error("there is no current call: ask in a callback, before its first await");
}

/** The signal of the call that is being run, where there is one. */
export function currentSignal() {
  return current?.signal;
}

export class Worker {
  #host;
  /** @type {Set<Job>} */
  #waiting = new Set();
  /** @type {Set<Job>} */
  #running = new Set();
  /** @type {Map<number, Job>} */
  #jobs = new Map();
  #streams;
  #owed = { calls: 0, bytes: 0 };

  /** @param {Host} host */
  constructor(host) {
    this.#host = host;
    this.#streams = new Inflows({
      send: (frame) => host.send(frame),
      end: (kind, message) => host.end(kind, message),
      fail: (id, why) => this.#fail(id, why),
      run: (open, item, stream) => {
        stream.job = this.#job(open, item, stream);
        this.#wait(stream.job);
        this.#advance();
      },
    });
  }

  /**
   * Whether nothing waits or runs.
   * @param {AbortSignal} [but] of a call that does not count
   */
  isIdle(but) {
    const own = [...this.#running].find((job) => job.controller.signal === but);
    const [calls, streams] = [own ? 1 : 0, own?.stream ? 1 : 0];
    return !(this.#waiting.size || this.#running.size > calls || this.#streams.size > streams);
  }

  /**
   * Take in a frame that is for us.
   * @param {Frame} came
   */
  arrived(came) {
    switch (came.kind) {
      case Kind.CALL:
        this.#wait(this.#job(came, came, null));
        return this.#advance();
      case Kind.CANCEL:
        return this.#cancel(came.id);
      case Kind.OPEN:
        this.#credit(came);
        return this.#streams.open(came);
      case Kind.ITEM:
        return this.#streams.item(came);
      case Kind.END:
        return this.#streams.finish(came.id);
    }
  }

  /**
   * A large message for us will not come, or can't be had.
   * @param {Frame} began
   * @param {Failure} why
   */
  dropped(began, why) {
    const told = why.kind !== "disconnected" && !(began.flags & Flag.ONEWAY);
    if (began.kind === Kind.ITEM) return this.#streams.drop(began.id, told ? why : null);
    this.#credit(began);
    if (told) this.#fail(began.id, why);
  }

  /** Nobody can be answered any more: what waits does not run, what runs may stop. */
  abandon() {
    const jobs = [...this.#running];
    this.#waiting.clear();
    this.#jobs.clear();
    this.#streams.clear();
    for (const job of jobs) job.controller.abort();
  }

  /**
   * @param {Frame} head
   * @param {Frame} payload
   * @param {import("./inflows.js").Inflow | null} stream
   * @returns {Job}
   */
  #job(head, payload, stream) {
    const left = numberOf(payload, Key.DEADLINE);
    const deadline = left === undefined ? Infinity : performance.now() + Number(left) / 1000;
    return { head, payload, deadline, controller: new AbortController(), stream };
  }

  /** @param {Job} job */
  #wait(job) {
    this.#waiting.add(job);
    if (!job.stream && !(job.head.flags & Flag.ONEWAY)) this.#jobs.set(job.head.id, job);
  }

  /** Begins what may begin. A call of a chain that runs here begins at once: it is waited for. */
  #advance() {
    for (const job of [...this.#waiting]) {
      const chain = numberOf(job.head, Key.CHAIN);
      const nested =
        chain !== undefined &&
        [...this.#running].some((other) => numberOf(other.head, Key.CHAIN) === chain);
      if (!nested && this.#running.size >= this.#host.workers) continue;
      if (!this.#waiting.delete(job)) continue;
      if (!job.stream) this.#credit(job.payload);
      this.#running.add(job);
      void this.#run(job);
    }
  }

  /** @param {Job} job */
  async #run(job) {
    /** @type {Failure | null} */
    let failure = null;
    /** @type {import("./formats.js").Payload | null} */
    let result = null;
    try {
      if (performance.now() > job.deadline) {
        failure = { kind: "timeout", ran: "no", message: `its time was over before it ran` };
      } else {
        ({ result, failure } = await this.#call(job));
      }
    } finally {
      this.#running.delete(job);
    }
    if (job.stream) this.#streams.ran(job.stream, failure);
    else if (job.head.flags & Flag.ONEWAY) warn(job.head, failure);
    else if (this.#jobs.get(job.head.id) === job) {
      this.#jobs.delete(job.head.id);
      if (failure) this.#fail(job.head.id, failure);
      else if (result) this.#host.send(frame(Kind.ANSWER, job.head.id, result));
    }
    this.#advance();
  }

  /**
   * Run the function.
   * @param {Job} job
   * @returns {Promise<{result: import("./formats.js").Payload | null, failure: Failure | null}>}
   */
  async #call({ head, payload, deadline, controller }) {
    const name = nameOf(head, Key.FUNCTION) ?? "";
    const run = this.#host.functions.get(name);
    if (!run) return refused("unreachable", `${this.#host.name} does not offer ${name} any more`);
    if (payload.format === Format.PICKLE) {
      const how = 'Call it with serde="json", "msgpack" or "opaque"';
      return refused("serde_not_allowed", `${this.#host.name} is JavaScript and reads no pickles. ${how}`);
    }
    /** @type {unknown[]} */
    let args;
    try {
      const [positional, kwargs] = unpackArguments(payload);
      args = Object.keys(kwargs).length ? [...positional, kwargs] : positional;
    } catch (error) {
      return refused("serialization", /** @type {Error} */ (error).message);
    }
    const chain = numberOf(head, Key.CHAIN);
    const limit = deadline === Infinity ? undefined : deadline;
    const { signal } = controller;
    let returned;
    try {
      current = {
        caller: callerOf(head),
        function: name,
        serde: serdeOf(payload.format),
        deadline: limit ?? null,
        signal,
        conn: this.#host.connection({ chain, deadline: limit, signal }),
      };
      try {
        returned = run(...args);
      } finally {
        current = null;
      }
      returned = await returned;
    } catch (error) {
      return { result: null, failure: raised(error) };
    }
    try {
      const result = packResult(payload.format, returned);
      const [size, most] = [result.body.length, this.#host.maxMessage];
      if (size <= most) return { result, failure: null };
      const message = `a result of ${size} bytes, more than the ${most} that are accepted`;
      return { result: null, failure: { kind: "too_large", ran: "yes", message } };
    } catch (error) {
      const { message } = /** @type {SerializationError} */ (error);
      return { result: null, failure: { kind: "serialization", ran: "yes", message } };
    }
  }

  /** @param {number} id */
  #cancel(id) {
    const job = this.#streams.cancel(id) ?? this.#jobs.get(id);
    this.#jobs.delete(id);
    if (!job) return;
    if (this.#waiting.delete(job) && !job.stream) this.#credit(job.payload);
    job.controller.abort();
  }

  /** A call does not wait here any more; credit goes back in quarters of the window.
   * @param {Frame} call */
  #credit(call) {
    const owed = this.#owed;
    owed.calls += 1;
    owed.bytes += weight(call);
    if (owed.calls < WINDOW.calls / 4 && owed.bytes < WINDOW.bytes / 4) return;
    this.#host.send(frame(Kind.CREDIT, 0, { body: numbers([owed.calls, owed.bytes]) }));
    this.#owed = { calls: 0, bytes: 0 };
  }

  /**
   * @param {number} id
   * @param {Failure} failure
   */
  #fail(id, failure) {
    this.#host.send(failureFrame(id, { ...failure, worker: this.#host.name }));
  }
}

/**
 * @param {string} kind
 * @param {string} message
 * @returns {{result: null, failure: Failure}}
 */
function refused(kind, message) {
  return { result: null, failure: { kind, ran: "no", message } };
}

/**
 * An exception as a failure; whatever was thrown.
 * @param {unknown} error
 * @returns {Failure}
 */
function raised(error) {
  const like = isMap(error) ? error : {};
  const type = error instanceof RemoteCallError ? error.remoteType : like.name;
  return {
    kind: "raised",
    ran: "yes",
    message: cut(String(like.message ?? error)),
    type: cut(String(type ?? typeof error), 1024),
    traceback: cut(String(like.stack ?? "")),
  };
}

/**
 * At most so many bytes of text; its middle is left out.
 * @param {string} text
 * @param {number} most
 */
function cut(text, most = MAX_TEXT) {
  const half = Math.floor(most / 8);
  // A character has at most three bytes for each of its units.
  return text.length * 3 <= most ? text : `${text.slice(0, half)} ... ${text.slice(-half)}`;
}
