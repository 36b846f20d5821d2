/**
 * Everything that daffi raises, and how a failure crosses the wire.
 *
 *     DaffiError
 *     ├── InitializationError    can't start or connect; wrong arguments for a client
 *     │   ├── AuthenticationError    the two sides could not prove who they are
 *     │   └── ProtocolError          the other side does not speak our protocol
 *     ├── Disconnected           the connection or the worker is gone
 *     │   └── Evicted                another node took our name
 *     ├── TransmissionFailure    nobody is there to run it; it never ran
 *     ├── CallTimeout            no answer in time
 *     ├── Overloaded             the pipe stayed full; it never ran
 *     ├── MessageTooLarge        above `maxMessage`
 *     ├── SerdeNotAllowed        a format that may not be used here; it never ran
 *     ├── SerializationError     arguments or a result that can't be written or read
 *     └── RemoteCallError        the function raised
 *
 * The classes, and `fromFailure`, which makes one of a failure that came over the wire. Imports
 * nothing of ours.
 */

/** The root: `error instanceof DaffiError` catches everything that daffi raises by itself. */
export class DaffiError extends Error {
  /**
   * Whether the function ran: `false`, and it is safe to call again; `true`; or `null` where nobody
   * can know.
   * @type {boolean | null}
   */
  ran = null;

  /** @override */
  get name() {
    return this.constructor.name;
  }
}

/** A client can't connect, or was given wrong arguments. */
export class InitializationError extends DaffiError {
  /** @override @type {boolean | null} */
  ran = false;
}

/** The two sides could not prove to each other who they are. */
export class AuthenticationError extends InitializationError {}

/** The other side does not speak this protocol, or not this version of it. */
export class ProtocolError extends InitializationError {}

/** The connection, or the worker, is gone. */
export class Disconnected extends DaffiError {
  /**
   * @param {string} [message]
   * @param {{sent?: false | null, worker?: string | null}} [about]
   */
  constructor(message, { sent = null, worker = null } = {}) {
    super(message);
    /** `false` when the function did not run, `null` when that is unknown, as `ran` is. */
    this.sent = sent;
    this.ran = sent;
    /** Who ran it, where one was chosen. */
    this.worker = worker;
  }
}

/** Another node connected under our name. This one does not come back. */
export class Evicted extends Disconnected {}

/** Nobody offers the function, or the receiver is not there. It never ran. */
export class TransmissionFailure extends DaffiError {
  /** @override @type {boolean | null} */
  ran = false;
}

/** No answer in time. */
export class CallTimeout extends DaffiError {
  /**
   * @param {string} [message]
   * @param {{call?: string | null, timeout?: number | null, elapsed?: number | null,
   *   receivers?: string[], partial?: Record<string, unknown>}} [about]
   */
  constructor(message, about = {}) {
    super(message);
    /** The name of the function. */
    this.call = about.call ?? null;
    /** Milliseconds. */
    this.timeout = about.timeout ?? null;
    /** Milliseconds. */
    this.elapsed = about.elapsed ?? null;
    /** Of a cast, those who had not answered; of another call, who was named. */
    this.receivers = about.receivers ?? [];
    /** Of a cast, what did come: worker to result or error. */
    this.partial = about.partial ?? {};
  }
}

/** The pipe stayed full for as long as the call could wait. It never ran. */
export class Overloaded extends DaffiError {
  /** @override @type {boolean | null} */
  ran = false;
}

/** The message is larger than somebody accepts. */
export class MessageTooLarge extends DaffiError {}

/** The format may not be used between these peers. It never ran. */
export class SerdeNotAllowed extends DaffiError {}

/** Arguments or a result can't be written or read; the text says which, and where. */
export class SerializationError extends DaffiError {}

/** The function raised. */
export class RemoteCallError extends DaffiError {
  /** @override @type {boolean | null} */
  ran = true;

  /**
   * @param {string} [message]
   * @param {{type?: string, traceback?: string, args?: unknown[], worker?: string | null}} [about]
   */
  constructor(message, about = {}) {
    super(message);
    /** The name of what was raised, `ValueError` for example. */
    this.remoteType = about.type ?? "";
    /** The text of the traceback over there. */
    this.remoteTraceback = about.traceback ?? "";
    /** What the exception was made with, where that is plain. */
    this.args = about.args ?? [];
    /** Who ran it. */
    this.worker = about.worker ?? null;
  }
}

/**
 * A failure as it travels.
 * @typedef {object} Failure
 * @property {string} kind
 * @property {"no" | "maybe" | "yes"} ran
 * @property {string} message
 * @property {string} [type]
 * @property {string} [traceback]
 * @property {unknown[]} [args]
 * @property {string | null} [worker]
 */

/** @type {Record<string, new (message?: string) => DaffiError>} */
const SIMPLE = {
  unreachable: TransmissionFailure,
  overloaded: Overloaded,
  too_large: MessageTooLarge,
  serde_not_allowed: SerdeNotAllowed,
  serialization: SerializationError,
  protocol: ProtocolError,
  authentication: AuthenticationError,
};

/**
 * The error for a failure that came over the wire.
 * @param {Failure} failure
 * @param {string} [call] the name of the function
 * @returns {DaffiError}
 */
export function fromFailure(failure, call) {
  const error = made(failure, call);
  error.ran = failure.ran === "maybe" ? null : failure.ran === "yes";
  return error;
}

/**
 * @param {Failure} failure
 * @param {string} [call]
 * @returns {DaffiError}
 */
function made(failure, call) {
  const { kind, message, type, traceback, args } = failure;
  const worker = failure.worker || null;
  switch (kind) {
    case "raised":
      return new RemoteCallError(message, { type, traceback, args, worker });
    case "disconnected":
    case "stopping":
    case "evicted": {
      const Gone = kind === "evicted" ? Evicted : Disconnected;
      return new Gone(message, { sent: failure.ran === "no" ? false : null, worker });
    }
    case "timeout":
      return new CallTimeout(message || `${call ?? "the call"} was not run in time`, {
        call,
        receivers: worker === null ? [] : [worker],
      });
  }
  const Simple = Object.hasOwn(SIMPLE, kind) ? SIMPLE[kind] : undefined;
  if (Simple) return new Simple(message);
  return new RemoteCallError(message || `the call failed: ${kind}`, { type, traceback, worker });
}
