/**
 * daffi for browsers and for Node: call the functions of Python processes, and be called by them.
 *
 *     import { DaffiClient } from "./daffi.js";
 *
 *     const client = new DaffiClient("page", { wsUrl: "ws://127.0.0.1:7700" });
 *     const conn = await client.connect();
 *     console.log(await conn.rpc({ timeout: 5000 }).add(3, 4));
 *
 * The face: what users import, and nothing else.
 */

export { DaffiClient } from "./client.js";
export { Connection } from "./connection.js";
export * from "./errors.js";
export { currentCall } from "./worker.js";

/** @typedef {import("./options.js").ClientOptions} ClientOptions */
/** @typedef {import("./options.js").CastOptions} CastOptions */
/** @typedef {import("./connection.js").Member} Member */
/** @typedef {import("./options.js").Options} Options */
/** @typedef {import("./presence.js").Presence} Presence */
/** @typedef {import("./worker.js").Callback} Callback */
/** @typedef {import("./worker.js").CurrentCall} CurrentCall */
