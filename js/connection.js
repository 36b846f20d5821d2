/**
 * `conn.rpc(...).name(args)`: the six styles of calls, and questions about who is there.
 *
 * Imports `codec`, `errors`, `formats`, `greeting`, `options`, `pending` and `streams` of ours.
 */

import { Flag, Key, Kind, MAX_FIELDS, MAX_NAME, frame, nameOf, utf8 } from "./codec.js";
import { CallTimeout, MessageTooLarge, Overloaded, TransmissionFailure, fromFailure } from "./errors.js";
import { packArguments, packMap, unpackMap, unpackResult } from "./formats.js";
import { readFailure, readNames } from "./greeting.js";
import { checkedCall, checkedTimeout, checkedWait } from "./options.js";
import { Pending } from "./pending.js";
import { Stream, isSequence, opening, pour } from "./streams.js";

/** @typedef {import("./codec.js").Frame} Frame */

/** @typedef {import("./options.js").Options} Options */
/** @typedef {import("./options.js").CastOptions} CastOptions */
/** @typedef {import("./options.js").WaitOptions} WaitOptions */

/** What a call returns to: functions by name.
 * @typedef {Record<string, (...args: any[]) => Promise<any>>} Remote */

/** Somebody on the network, and what is offered there.
 * @typedef {{name: string, functions: {name: string, signature: string, doc: string}[]}} Member */

/**
 * What nested calls inherit from the call that they are made in.
 * @typedef {object} Scope
 * @property {import("./codec.js").Wide} [chain]
 * @property {number} [deadline] on the clock of `performance.now()`
 * @property {AbortSignal} [signal]
 */

/**
 * The client that a connection belongs to.
 * @typedef {import("./pending.js").Line & {
 *   maxMessage: number,
 *   defaultTimeout: number | null,
 *   chain: () => number,
 *   check: (nested: boolean) => void,
 *   keep: (stream: Stream, owner: object) => void,
 * }} Node
 */

/** With so many calls that wait to be sent, those that nobody waits for are refused. */
const MOST_POSTED = 1024;

/** What a client calls with. It stays the same when the connection is lost and comes back. */
export class Connection {
  #node;
  #scope;

  /**
   * @param {Node} node
   * @param {Scope} [scope]
   */
  constructor(node, scope = {}) {
    this.#node = node;
    this.#scope = scope;
  }

  /**
   * One worker runs it; resolves with what it returned.
   * @param {Options} [options]
   */
  rpc(options = {}) {
    const { receivers, format } = checkedCall(options, false);
    return remote(async (name, args) => {
      const pending = this.#pending(name, args, options, { format, receivers }, (came) => {
        if (came.kind === Kind.ANSWER) pending.resolve(unpackResult(came));
        else if (came.kind === Kind.FAILURE) pending.fail(failure(came, name));
      });
      return pending.start().promise;
    });
  }

  /**
   * All who offer it run it, or those who are named; resolves with an object of worker to result,
   * or to the error that it ended in.
   * @param {CastOptions} [options]
   */
  cast(options = {}) {
    const { receivers, format } = checkedCall(options, true);
    return remote(async (name, args) => {
      /** Who was asked, in order. @type {string[]} */
      let targets = [];
      /** @type {Map<string, unknown>} */
      const came = new Map();
      const answers = () => {
        const answered = targets.filter((target) => came.has(target));
        return Object.fromEntries(answered.map((target) => [target, came.get(target)]));
      };
      const partial = () => {
        return { receivers: targets.filter((target) => !came.has(target)), partial: answers() };
      };
      const flags = Flag.CAST;
      const about = { format, receivers, flags, missing: partial };
      const pending = this.#pending(name, args, options, about, (frame) => {
        if (frame.kind === Kind.TARGETS) {
          targets = readNames(frame.body);
        } else if (!(frame.flags & Flag.PART)) {
          pending.fail(failure(frame, name));
        } else {
          const worker = nameOf(frame, Key.WORKER) ?? "";
          const result = frame.kind === Kind.ANSWER ? readable(frame) : failure(frame, name);
          // A worker that was quicker to notice that time is over has not answered.
          if (result instanceof CallTimeout) return;
          came.set(worker, result);
          if (came.size === targets.length) pending.resolve(answers());
        }
      });
      return pending.start().promise;
    });
  }

  /**
   * One worker runs it; resolves when it is sent, and need not be awaited.
   * @param {Options} [options]
   */
  rpc_nowait(options = {}) {
    return this.#posting(options, false);
  }

  /**
   * All who offer it run it, or those who are named; resolves when it is sent.
   * @param {CastOptions} [options]
   */
  cast_nowait(options = {}) {
    return this.#posting(options, true);
  }

  /**
   * One worker runs it for each item of an iterable or async iterable, or for one single item that
   * is none. Resolves when all have run; each is acknowledged before the next is sent.
   * @param {Options} [options]
   */
  stream(options = {}) {
    return this.#streaming(options, false);
  }

  /**
   * The same without acknowledgements; resolves when all items are sent.
   * @param {Options} [options]
   */
  stream_nowait(options = {}) {
    return this.#streaming(options, true);
  }

  /**
   * Who is there.
   * @returns {Promise<Member[]>}
   */
  async members() {
    const answer = await this.#ask({ ask: "members" }, "members()", {});
    return /** @type {[string, [string, string, string][]][]} */ (unpackMap(answer.body)).map(
      ([name, some]) => {
        const functions = some.map(([name, signature, doc]) => ({ name, signature, doc }));
        return { name, functions };
      },
    );
  }

  /**
   * Resolves when all of them are there.
   * @param {string | string[]} names
   * @param {WaitOptions} [options]
   */
  async waitForMembers(names, options = {}) {
    const all = typeof names === "string" ? [names] : [...names];
    await this.#ask({ ask: "wait_members", names: all }, `waitForMembers(${all.join(", ")})`, options);
  }

  /**
   * Resolves when somebody offers it.
   * @param {string} name
   * @param {WaitOptions} [options]
   */
  async waitForFunction(name, options = {}) {
    await this.#ask({ ask: "wait_function", name }, `waitForFunction(${name})`, options);
  }

  /**
   * @param {object} question
   * @param {string} call
   * @param {WaitOptions} options
   * @returns {Promise<Frame>}
   */
  async #ask(question, call, options) {
    const { timeout = null, signal } = checkedWait(options);
    this.#node.check(this.#isNested);
    const about = { call, timeout: this.#left(timeout), signals: this.#signals(signal) };
    const asked = frame(Kind.ASK, 0, { body: packMap(question) });
    const pending = new Pending(this.#node, asked, about, (came) => {
      if (came.kind === Kind.ANSWER) pending.resolve(came);
      else if (came.kind === Kind.FAILURE) pending.fail(failure(came, call));
    });
    return pending.start().promise;
  }

  /**
   * @param {CastOptions} options
   * @param {boolean} cast
   */
  #posting(options, cast) {
    const { receivers, format } = checkedCall(options, cast);
    const flags = Flag.ONEWAY | (cast ? Flag.CAST : 0);
    return remote((name, args) => {
      const { calls, session } = this.#node;
      if (calls.unsent >= MOST_POSTED || session?.isCrammed) {
        const text = "too many calls that nobody waits for wait to be sent; await them, or make fewer";
        throw new Overloaded(text);
      }
      const about = { format, receivers, flags };
      const pending = this.#pending(name, args, { ...options, timeout: null }, about, () => {});
      pending.onsent = (gone) => void (gone ?? Promise.resolve()).then(() => pending.resolve(undefined));
      pending.start().promise.catch((error) => {
        console.warn(`daffi: a call of ${name} that nobody waits for was not sent: ${error.message}`);
      });
      return pending.promise;
    });
  }

  /**
   * @param {Options} options
   * @param {boolean} oneway
   */
  #streaming(options, oneway) {
    const { receivers, format } = checkedCall(options, false);
    /** Streams that take single items, by function. @type {Map<string, Stream>} */
    const kept = new Map();
    const owner = remote(async (name, args) => {
      const open = () => {
        this.#node.check(this.#isNested);
        const fields = this.#fields(name, receivers, null);
        const about = { call: name, timeout: null, receivers, signals: this.#signals(options.signal) };
        return new Stream(this.#node, opening(fields, oneway), about);
      };
      const timeout = this.#left(options.timeout);
      const pack = (/** @type {unknown[]} */ items) => this.#packed(format, items, options.kwargs);
      if (args.length === 1 && isSequence(args[0])) {
        return pour(open(), args[0], (item) => pack([item]), timeout);
      }
      const payload = pack(args);
      let stream = kept.get(name);
      if (!stream) {
        stream = open();
        kept.set(name, stream);
        this.#node.keep(stream, owner);
      }
      return stream.item(() => payload, timeout);
    });
    return owner;
  }

  /**
   * @param {string} name
   * @param {unknown[]} args
   * @param {CastOptions} options
   * @param {{format: number, receivers: string[], flags?: number,
   *   missing?: import("./pending.js").About["missing"]}} about
   * @param {(frame: Frame) => void} take
   */
  #pending(name, args, options, { format, receivers, flags = 0, missing }, take) {
    this.#node.check(this.#isNested);
    const payload = this.#packed(format, args, options.kwargs);
    const timeout = this.#left(options.timeout);
    const fields = this.#fields(name, receivers, timeout);
    const call = frame(Kind.CALL, 0, { ...payload, flags: flags | payload.flags, fields });
    const signals = this.#signals(options.signal);
    return new Pending(this.#node, call, { call: name, timeout, signals, receivers, missing }, take);
  }

  /**
   * @param {number} format
   * @param {unknown[]} args
   * @param {Record<string, unknown>} [kwargs]
   */
  #packed(format, args, kwargs = {}) {
    const payload = packArguments(format, args, kwargs);
    const most = this.#node.maxMessage;
    if (payload.body.length > most) {
      throw new MessageTooLarge(
        `a message of ${payload.body.length} bytes, more than the ${most} that are accepted`,
      );
    }
    return payload;
  }

  /**
   * @param {string} name
   * @param {string[]} receivers
   * @param {number | null} timeout
   */
  #fields(name, receivers, timeout) {
    /** @type {import("./codec.js").Field[]} */
    const fields = [
      [Key.FUNCTION, nameBytes(name)],
      [Key.CHAIN, this.#scope.chain ?? this.#node.chain()],
    ];
    let size = 64 + MAX_NAME;
    for (const receiver of receivers) {
      const bytes = nameBytes(receiver);
      fields.push([Key.RECEIVER, bytes]);
      size += bytes.length + 3;
    }
    if (timeout !== null) fields.push([Key.DEADLINE, Math.max(0, Math.round(timeout * 1000))]);
    if (size > MAX_FIELDS) throw new MessageTooLarge("the names of the receivers do not fit into a call");
    return fields;
  }

  get #isNested() {
    return this.#scope.signal !== undefined;
  }

  /**
   * What is left of the time, with what the surrounding call has.
   * @param {number | null | undefined} timeout
   */
  #left(timeout = this.#node.defaultTimeout) {
    const { deadline } = this.#scope;
    const limit = checkedTimeout(timeout);
    if (deadline === undefined) return limit;
    return Math.min(limit ?? Infinity, Math.max(0, deadline - performance.now()));
  }

  /** @param {AbortSignal} [signal] */
  #signals(signal) {
    return [signal, this.#scope.signal].filter((each) => each !== undefined);
  }
}

/**
 * A name as it travels.
 * @param {string} name
 */
function nameBytes(name) {
  const bytes = utf8(name);
  if (bytes.length <= MAX_NAME) return bytes;
  throw new TransmissionFailure(
    `there is no ${name.slice(0, 40)}...: a name has at most ${MAX_NAME} bytes, not ${bytes.length}`,
  );
}

/**
 * Functions by name. It is no promise, so `then` is none of them.
 * @param {(name: string, args: unknown[]) => Promise<any>} call
 * @returns {Remote}
 */
function remote(call) {
  return new Proxy(/** @type {Remote} */ ({}), {
    get(_, name) {
      if (typeof name === "symbol" || name === "then") return undefined;
      if (name.startsWith("_")) {
        throw new TypeError(`${name} begins with _, and such names are not called from outside`);
      }
      return (/** @type {unknown[]} */ ...args) => call(name, args);
    },
  });
}

/**
 * @param {Frame} frame
 * @param {string} name
 */
function failure(frame, name) {
  return fromFailure(readFailure(frame.body), name);
}

/** A part of a cast, or the error that it can't be read.
 * @param {Frame} frame */
function readable(frame) {
  try {
    return unpackResult(frame);
  } catch (error) {
    return error;
  }
}
