/**
 * What all pages share: the connection with its state, buttons, and a log of calls.
 *
 * `?port=` in the address of a page says where its Python side listens, 7700 where it is missing.
 */

import { DaffiClient, Evicted, RemoteCallError } from "../../js/daffi.js";

const PORT = new URLSearchParams(location.search).get("port") ?? "7700";
export const ADDRESS = `ws://${location.hostname}:${PORT}`;

/**
 * The element with that id.
 * @param {string} id
 * @returns {any}
 */
export function element(id) {
  return document.getElementById(id);
}

/**
 * Connect, and say on the page how that goes. Nobody being there is no reason to give up: it is
 * tried again until somebody is.
 * @param {string} name
 * @param {string[]} programs what is to be started on the Python side
 * @param {(client: DaffiClient) => void} [prepare] runs before the first attempt
 */
export async function connect(name, programs, prepare) {
  const client = new DaffiClient(name, { wsUrl: ADDRESS });
  prepare?.(client);
  client.addEventHandler(({ type, member }) => {
    if (member !== client.server) return;
    const up = type === "connected";
    state(up ? "up" : "down", up ? `connected to ${member} at ${ADDRESS}` : "connection lost, coming back");
    if (!up) client.members().catch(ended);
  });
  for (;;) {
    try {
      const conn = await client.connect();
      element("trouble")?.remove();
      for (const button of document.querySelectorAll("button")) button.disabled = false;
      return { client, conn };
    } catch (error) {
      trouble(error, programs);
      await new Promise((resolve) => setTimeout(resolve, 1000));
    }
  }
}

/** @param {string} name @param {string} text */
function state(name, text) {
  element("status").dataset.state = name;
  element("status").textContent = text;
}

/**
 * A page that is open twice has one name: the second takes it over, and the first stays away.
 * @param {unknown} error
 */
function ended(error) {
  if (error instanceof Evicted) state("down", "this page was opened elsewhere; reload it to have it here");
}

/** @param {any} error @param {string[]} programs */
function trouble(error, programs) {
  state("down", `not connected to ${ADDRESS}`);
  const box = element("trouble") ?? document.createElement("div");
  box.id = "trouble";
  const [said, how, what] = ["p", "p", "pre"].map((tag) => document.createElement(tag));
  said.textContent = error.message;
  how.textContent = "Start this in the folder of the page; it goes on by itself:";
  what.textContent = programs.map((program) => `python ${program}`).join("\n");
  box.replaceChildren(said, how, what);
  document.querySelector("main")?.before(box);
}

/**
 * What a button does.
 * @param {string} id
 * @param {() => unknown} run
 */
export function press(id, run) {
  element(id).addEventListener("click", run);
}

/**
 * Put a call into the log: what is called, what comes of it, and how long that takes.
 * @template T
 * @param {string} call
 * @param {Promise<T>} outcome
 * @returns {Promise<T | undefined>} nothing where it failed
 */
export async function log(call, outcome) {
  const entry = document.createElement("li");
  const [code, time, result] = ["div", "time", "div"].map((tag) => document.createElement(tag));
  code.className = "call";
  code.textContent = call;
  result.className = "result";
  result.textContent = "waits";
  entry.className = "waits";
  entry.append(code, time, result);
  document.querySelector("#log .empty")?.remove();
  element("log").prepend(entry);
  const began = performance.now();
  const took = () => {
    time.textContent = `${(performance.now() - began).toFixed(1)} ms`;
  };
  try {
    const value = await outcome;
    took();
    entry.className = "done";
    result.textContent = shown(value);
    return value;
  } catch (error) {
    took();
    entry.className = "failed";
    result.textContent = explained(error);
    if (error instanceof RemoteCallError && error.remoteTraceback) {
      const details = document.createElement("details");
      const [summary, trace] = ["summary", "pre"].map((tag) => document.createElement(tag));
      summary.textContent = `traceback on ${error.worker}`;
      trace.textContent = error.remoteTraceback;
      details.append(summary, trace);
      entry.append(details);
    }
    return undefined;
  }
}

/**
 * A value in one line.
 * @param {unknown} value
 * @returns {string}
 */
export function shown(value) {
  if (value === undefined) return "sent";
  if (value === null) return "done";
  if (typeof value === "bigint") return `${value}n`;
  if (value instanceof Uint8Array) return `${value.length} bytes`;
  if (value instanceof Error) return explained(value);
  if (Array.isArray(value)) return `[${value.map(shown).join(", ")}]`;
  if (typeof value !== "object") return JSON.stringify(value);
  return `{${Object.entries(value).map(([key, item]) => `${key}: ${shown(item)}`).join(", ")}}`;
}

/**
 * An error in one line.
 * @param {any} error
 */
export function explained(error) {
  const type = error instanceof RemoteCallError ? `${error.remoteType}, raised by ${error.worker}` : error.name;
  return `${type}: ${error.message}`;
}

/**
 * Set the length of a bar.
 * @param {HTMLElement} bar
 * @param {number} share from 0 to 1
 */
export function fill(bar, share) {
  /** @type {HTMLElement} */ (bar.firstElementChild).style.width = `${Math.round(share * 100)}%`;
}
