/**
 * The client: it connects, comes back after a loss, and says goodbye.
 *
 * What a connection brings is handed on here: answers to `calls`, calls to `worker`, news to
 * `presence`. Imports every room of ours but `transfers`.
 */

import { Calls } from "./calls.js";
import { Flag, Kind, frame, readNumbers } from "./codec.js";
import { Backoff, mayPass, reach } from "./connecting.js";
import { Connection } from "./connection.js";
import { CallTimeout, Disconnected, Evicted, InitializationError } from "./errors.js";
import { announcements, fitting, readFailure, readPresence } from "./greeting.js";
import { checked } from "./options.js";
import { tell } from "./pending.js";
import { Events } from "./presence.js";
import { Session, failed } from "./session.js";
import { failureFrame } from "./transfers.js";
import { WINDOW, Worker, currentSignal } from "./worker.js";

/** @typedef {import("./codec.js").Frame} Frame */
/** @typedef {import("./errors.js").Failure} Failure */
/** @typedef {import("./greeting.js").Welcome} Welcome */
/** @typedef {import("./streams.js").Stream} Stream */
/** @typedef {import("./worker.js").Callback} Callback */

/** How long `stop()` lets things end, in ms. */
const DRAIN = 10_000;
/** How often it looks whether they have, in ms. */
const GLANCE = 5;

export class DaffiClient {
  #url;
  #token;
  #options;
  #incarnation = crypto.getRandomValues(new Uint8Array(16));
  /** @type {"new" | "up" | "down" | "stopping" | "over"} */
  #phase = "new";
  /** Why it is over. @type {Error} */
  #why = new Disconnected("the client was stopped", { sent: false });
  #calls = new Calls();
  /** @type {Session | null} */
  #session = null;
  /** @type {Worker | null} */
  #worker = null;
  /** @type {Map<string, Callback>} */
  #functions = new Map();
  #events = new Events();
  /** The last chain of calls that began here; others begin elsewhere. */
  #chain = new Uint32Array(this.#incarnation.buffer)[0] * 2 ** 20;
  #server = "";
  #serverMax = Infinity;
  /** @type {Promise<Connection> | null} */
  #connecting = null;
  /** @type {Promise<void> | null} */
  #leaving = null;
  /** Ends pauses and attempts. */
  #giveUp = new AbortController();
  /** Streams that were kept open. @type {Set<Stream>} */
  #streams = new Set();
  /** They end when nobody has their proxy any more. */
  #kept = new FinalizationRegistry((/** @type {Stream} */ stream) => this.#endStream(stream));
  #node;
  #conn;

  /**
   * A client that has yet to connect.
   * @param {string | null | undefined} name unique on the network; made up where it is missing
   * @param {import("./options.js").ClientOptions} options
   */
  constructor(name, options) {
    const given = checked(name, options, this.#incarnation);
    /** The name that others see. */
    this.name = given.name;
    this.#url = given.url;
    this.#token = given.token;
    this.#options = given.options;
    this.#node = this.#makeNode();
    this.#conn = new Connection(this.#node);
  }

  /** The name of the server that was greeted last. */
  get server() {
    return this.#server;
  }

  /** Whether there is a connection. */
  get isConnected() {
    return this.#session !== null;
  }

  /**
   * Connect. The connection then comes back by itself after a loss.
   * @param {{wait?: number, signal?: AbortSignal}} [options] `wait`: for so many ms a server that
   *   is not up yet is tried again
   * @returns {Promise<Connection>}
   */
  connect({ wait = 0, signal } = {}) {
    if (this.#phase === "stopping" || this.#phase === "over") return Promise.reject(this.#why);
    if (this.#phase !== "new" && !this.#connecting) return Promise.resolve(this.#conn);
    this.#connecting ??= this.#connect(wait, signal).finally(() => (this.#connecting = null));
    return this.#connecting;
  }

  /**
   * Offer a function under a name, from now on. What it returns, or its promise brings, is the
   * answer. Keyword arguments come as an object behind the others.
   * @template {Callback} T
   * @param {string} name
   * @param {T} run
   * @returns {T}
   */
  callback(name, run) {
    if (typeof name !== "string" || typeof run !== "function") {
      throw new TypeError('callback takes a name and a function: callback("add", (a, b) => a + b)');
    }
    if (!name || name.startsWith("_")) throw new TypeError(`a function can't be named "${name}"`);
    if (/Generator/.test(run.constructor.name)) {
      throw new TypeError(`${name} is a generator function, and a result is no stream: return an array`);
    }
    this.#functions.set(name, run);
    this.#session && this.#announce(this.#session).catch(() => {});
    return run;
  }

  /**
   * Hear who comes and goes: first of everybody who is there already. Handlers may be
   * async; each event waits for the one before.
   * @param {import("./presence.js").Handler} handler
   * @returns {() => void} takes it off again
   */
  addEventHandler(handler) {
    const asked = this.#events.areWanted;
    const remove = this.#events.add(handler);
    if (!asked) this.#session?.send(frame(Kind.WATCH, 0));
    return remove;
  }

  /** Who is there, and what is offered. */
  members() {
    return this.#conn.members();
  }

  /**
   * Take no new calls, let those that run end, for at most 10 s, and say goodbye. In a callback,
   * before its first `await`, it does not wait for that one.
   * @returns {Promise<void>}
   */
  stop() {
    this.#leaving ??= this.#stop(currentSignal());
    return this.#leaving;
  }

  /** @param {AbortSignal} [inside] of the call that asks for it */
  async #stop(inside) {
    if (this.#phase === "over") return;
    const [session, worker] = [this.#session, this.#worker];
    this.#phase = "stopping";
    this.#giveUp.abort(this.#why);
    for (const stream of this.#streams) this.#endStream(stream);
    if (session && worker) {
      const until = performance.now() + DRAIN;
      if (this.#functions.size) {
        const about = { call: "stop()", timeout: DRAIN };
        await tell(this.#node, frame(Kind.LEAVING, 0), about).catch(() => {});
      }
      const done = () => worker.isIdle(inside) && this.#calls.size === 0 && session.isWritten;
      while (!session.isOver && !done() && performance.now() < until) {
        await new Promise((resolve) => setTimeout(resolve, GLANCE));
      }
      session.finish(failed("stopping", `${this.name} was stopped`));
    }
    this.#end(this.#why);
  }

  /** What calls go through. @returns {import("./connection.js").Node} */
  #makeNode() {
    const client = this;
    return {
      calls: this.#calls,
      get session() {
        return client.#session;
      },
      get maxMessage() {
        return Math.min(client.#options.maxMessage, client.#serverMax);
      },
      get defaultTimeout() {
        return client.#options.defaultTimeout;
      },
      chain() {
        client.#chain += 1;
        return client.#chain;
      },
      check(nested) {
        const phase = client.#phase;
        if (phase === "new") throw new InitializationError("connect() comes before the first call");
        if (phase === "over" || (phase === "stopping" && !nested)) throw client.#why;
      },
      keep(stream, owner) {
        client.#streams.add(stream);
        const gone = () => client.#streams.delete(stream);
        stream.outcome.then(gone, gone);
        client.#kept.register(owner, stream);
      },
    };
  }

  /** @param {Stream} stream */
  #endStream(stream) {
    if (!stream.isOver) stream.end(null).catch(() => {});
  }

  /**
   * @param {number} wait
   * @param {AbortSignal} [signal]
   */
  async #connect(wait, signal) {
    const until = performance.now() + wait;
    const backoff = new Backoff(this.#options.reconnectDelay);
    for (;;) {
      try {
        const { known } = await this.#attempt(signal);
        // Whoever is connected can be called.
        await known.catch((error) => this.#undo(error));
        if (this.#phase === "stopping" || this.#phase === "over") throw this.#why;
        return this.#conn;
      } catch (error) {
        const left = until - performance.now();
        if (left <= 0 || !mayPass(error) || signal?.aborted || this.#phase !== "new") throw error;
        await backoff.pause(signal ?? this.#giveUp.signal, left);
      }
    }
  }

  /**
   * Connect once. `known` hears when the server knows what did not fit into the greeting.
   * @param {AbortSignal} [signal]
   * @returns {Promise<{known: Promise<void>}>}
   */
  async #attempt(signal) {
    const { connectTimeout, maxMessage } = this.#options;
    const hello = {
      name: this.name,
      incarnation: this.#incarnation,
      functions: fitting(this.#offered()),
      limits: { max_message: maxMessage, ...WINDOW },
      watch: this.#events.areWanted,
    };
    const signals = signal ? [this.#giveUp.signal, signal] : [this.#giveUp.signal];
    const reached = await reach(this.#url, hello, this.#token, connectTimeout, signals);
    const { socket, welcome, rest } = reached;
    const worker = this.#makeWorker(() => session);
    const session = new Session(socket, maxMessage, {
      arrived: (came) => this.#arrived(came, worker),
      dropped: (began, why) => this.#dropped(began, why, worker),
      wants: (answer) => this.#calls.get(answer.id) !== undefined,
      ended: (why) => this.#lost(session, worker, why),
    });
    this.#session = session;
    this.#worker = worker;
    this.#server = welcome.name;
    this.#serverMax = welcome.limits.max_message;
    this.#phase = "up";
    if (!hello.watch && this.#events.areWanted) session.send(frame(Kind.WATCH, 0));
    this.#calls.connected(welcome.limits, (frame) => session.send(frame));
    // Those that came meanwhile, and those that did not fit into the greeting.
    const all = this.#functions.size === hello.functions.length;
    const known = all ? Promise.resolve() : this.#announce(session, signals);
    known.catch(() => {});
    this.#calls.resume();
    session.begin(rest);
    return { known };
  }

  /** @param {() => Session} session */
  #makeWorker(session) {
    const node = this.#node;
    return new Worker({
      name: this.name,
      workers: this.#options.workers,
      functions: this.#functions,
      get maxMessage() {
        return node.maxMessage;
      },
      connection: (scope) => new Connection(node, scope),
      send: (frame) => void session().send(frame),
      end: (kind, message) => session().finish(failed(kind, message)),
    });
  }

  /** @returns {import("./greeting.js").Offered[]} */
  #offered() {
    return [...this.#functions.keys()].map((name) => [name, "", ""]);
  }

  /**
   * Say what is offered; the promise is kept when the server knows.
   * @param {Session} session
   * @param {AbortSignal[]} [signals] give up waiting
   */
  #announce(session, signals) {
    const bodies = announcements(this.#offered());
    const last = /** @type {Uint8Array} */ (bodies.pop());
    for (const body of bodies) session.send(frame(Kind.ANNOUNCE, this.#calls.nextId(), { body }));
    const about = { call: "the announcement", timeout: this.#options.connectTimeout, signals };
    return tell(this.#node, frame(Kind.ANNOUNCE, 0, { body: last }), about);
  }

  /**
   * As if it had never been connected; where the connection was lost it comes back all the same.
   * @param {unknown} error why it is given up
   */
  #undo(error) {
    const [session, worker] = [this.#session, this.#worker];
    if (this.#phase !== "up" || !session) return;
    [this.#phase, this.#session] = ["new", null];
    worker?.abandon();
    this.#calls.disconnected(() => new Disconnected("connect() was given up"), true);
    session.finish(failed("stopping", "connect() was given up"));
    const text = `${this.#url} did not take in what is offered in time`;
    throw error instanceof CallTimeout ? new InitializationError(text) : error;
  }

  /**
   * @param {Frame} came
   * @param {Worker} worker
   */
  #arrived(came, worker) {
    switch (came.kind) {
      case Kind.ANSWER:
      case Kind.FAILURE:
      case Kind.TARGETS: {
        const row = this.#calls.get(came.id);
        if (row) return row.hear(came);
        if (came.kind === Kind.FAILURE && came.flags & Flag.ONEWAY) {
          const { message } = readFailure(came.body);
          console.warn(`daffi: a call that nobody waits for failed: ${message}`);
        }
        return;
      }
      case Kind.CREDIT: {
        if (came.flags & Flag.ONEWAY) return this.#calls.get(came.id)?.hear(came);
        const [calls, bytes] = readNumbers(came.body, 2).map(Number);
        return this.#calls.credit(calls, bytes);
      }
      case Kind.PRESENCE:
        return this.#events.tell(readPresence(came.body));
    }
    worker.arrived(came);
  }

  /**
   * @param {Frame} began
   * @param {Failure} why
   * @param {Worker} worker
   */
  #dropped(began, why, worker) {
    if (began.kind !== Kind.ANSWER) return worker.dropped(began, why);
    this.#calls.get(began.id)?.hear(failureFrame(began.id, why, began));
  }

  /**
   * @param {Session} session
   * @param {Worker} worker
   * @param {Failure} why
   */
  #lost(session, worker, why) {
    worker.abandon();
    if (this.#session !== session) return;
    this.#session = null;
    const text = `the connection to ${this.#server} at ${this.#url} is gone: ${why.message}`;
    const gone = () => (why.kind === "evicted" ? new Evicted(text) : new Disconnected(text));
    const stays = this.#options.autoreconnect && why.kind !== "evicted";
    this.#events.lost(this.#server);
    if (this.#phase === "up" && !stays) return this.#end(gone());
    this.#calls.disconnected(gone, false);
    if (this.#phase !== "up") return;
    this.#phase = "down";
    void this.#comeBack();
  }

  async #comeBack() {
    const backoff = new Backoff(this.#options.reconnectDelay);
    while (this.#phase === "down") {
      await backoff.pause(this.#giveUp.signal);
      if (this.#phase !== "down") return;
      // It says why it can't come back to whoever waits, in time; there is nobody else to tell.
      await this.#attempt().catch(() => {});
    }
  }

  /** It is over: nothing waits any more.
   * @param {Error} why */
  #end(why) {
    if (this.#phase === "over") return;
    this.#phase = "over";
    this.#why = why;
    this.#calls.disconnected(() => why, true);
  }
}
