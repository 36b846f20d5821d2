/** What a behaviour runs on, on Node as in a browser. Imports the client. */

import { DaffiClient } from "../daffi.js";
import { over_router } from "./behaviours/called.js";
import { anywhere } from "./behaviours/calling.js";

/**
 * @typedef {object} Stage
 * @property {"service" | "router"} topology
 * @property {string} url
 * @property {string} worker who runs the functions
 * @property {(name: string, options?: object) => import("../daffi.js").DaffiClient} client
 * @property {(name: string, options?: object) => Promise<import("../daffi.js").Connection>} connect
 * @property {(command: string) => Promise<void>} control
 */

/** @typedef {(stage: Stage) => Promise<void>} Behaviour */

/**
 * All that is to be shown over a topology.
 * @param {"service" | "router"} topology
 * @returns {Record<string, Behaviour>}
 */
export function behaviours(topology) {
  return topology === "router" ? { ...anywhere, ...over_router } : anywhere;
}

/**
 * What a behaviour runs on, and how it is cleaned up.
 * @param {string} url
 * @param {"service" | "router"} topology
 * @param {(command: string) => Promise<void>} control
 */
export function stageFor(url, topology, control) {
  /** @type {DaffiClient[]} */
  const clients = [];
  /** @param {string} name @param {object} [options] */
  const client = (name, options) => {
    const made = new DaffiClient(name, { wsUrl: url, ...options });
    clients.push(made);
    return made;
  };
  const worker = topology === "router" ? "worker" : "server";
  /** @param {string} name @param {object} [options] */
  const connect = (name, options) => client(name, options).connect();
  const stage = { topology, url, worker, client, connect, control };
  return { stage, clean: () => Promise.all(clients.map((each) => each.stop())) };
}
