/** Every behaviour in a browser, each in a page of its own. */

import assert from "node:assert/strict";
import { after, before, describe, test } from "node:test";
import { Network } from "../network.js";
import { behaviours } from "../stage.js";
import { launch, serve } from "./chromium.js";

/** @type {import("playwright-core").Browser} */
let browser;
/** @type {Awaited<ReturnType<typeof serve>>} */
let site;

before(async () => {
  browser = await launch();
  site = await serve();
});

after(async () => {
  await browser?.close();
  site?.close();
});

/**
 * A page that can tell the network something.
 * @param {Network} network
 */
async function openPage(network) {
  const page = await browser.newPage();
  await page.exposeFunction("control", (/** @type {string} */ command) => network.control(command));
  await page.goto(`${site.origin}/js/tests/browser/`);
  return page;
}

for (const topology of /** @type {const} */ (["service", "router"])) {
  describe(`Chromium, ${topology}`, () => {
    /** @type {Network} */
    let network;
    before(async () => void (network = await Network.start(topology)));
    after(() => network.end());
    for (const name of Object.keys(behaviours(topology))) {
      test(name, { timeout: 60_000 }, async () => {
        const page = await openPage(network);
        try {
          await page.evaluate(run, { name, topology, url: network.url });
        } finally {
          await page.close();
        }
      });
    }
  });
}

/**
 * In the page: what the tests of Node do there.
 * @param {{name: string, topology: "service" | "router", url: string}} what
 */
async function run({ name, topology, url }) {
  const { behaviours, stageFor } = await import(new URL("../stage.js", location.href).href);
  const { stage, clean } = stageFor(url, topology, /** @type {any} */ (globalThis).control);
  try {
    await behaviours(topology)[name](stage);
  } finally {
    await clean();
  }
}

/**
 * In the page: what becomes of an attempt to connect.
 * @param {string} wsUrl
 */
async function attempt(wsUrl) {
  const { DaffiClient } = await import(/** @type {any} */ (new URL("/js/daffi.js", location.href).href));
  const client = new DaffiClient("page", { wsUrl });
  try {
    return await (await client.connect()).rpc().add(1, 2);
  } catch (error) {
    return `${/** @type {Error} */ (error).name}: ${/** @type {Error} */ (error).message}`;
  } finally {
    await client.stop();
  }
}

describe("who may come in", () => {
  /** @type {Network} */
  let network;
  before(async () => {
    network = await Network.start("service", { allowed_origins: ["http://example.com"] });
  });
  after(() => network.end());

  test("a page of another origin is refused, and told what to set", { timeout: 60_000 }, async () => {
    const page = await openPage(network);
    const said = await page.evaluate(attempt, network.url);
    assert.match(said, /^InitializationError: can't connect to ws:.*refuses WebSockets from http:/);
    assert.ok(said.includes(`allowed_origins=["${site.origin}"]`), said);
    await page.close();
  });

  test("a port where nobody is, is told apart from that", { timeout: 60_000 }, async () => {
    const page = await openPage(network);
    const said = await page.evaluate(attempt, "ws://127.0.0.1:9");
    assert.match(said, /^InitializationError: can't connect to ws:.*Is the server running/);
    await page.close();
  });
});
