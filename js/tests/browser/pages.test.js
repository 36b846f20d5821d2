/** The example pages: what they show, with and without their Python side. */

import assert from "node:assert/strict";
import { readdirSync } from "node:fs";
import { createServer } from "node:net";
import { join } from "node:path";
import { after, before, test } from "node:test";
import { Program } from "../network.js";
import { launch } from "./chromium.js";
import { Act, EXAMPLES, SCENES, matches, promised } from "./scenes.js";

/** @type {import("playwright-core").Browser} */
let browser;
/** @type {Program} */
let server;
let site = "";

before(async () => {
  browser = await launch();
  server = new Program(join(EXAMPLES, "serve.py"), ["0"]);
  site = (await server.line()).replace(/^open /, "");
});

after(async () => {
  await browser?.close();
  server?.process.kill("SIGINT");
  assert.equal(await server?.end(), "");
});

/** A page, and what it complained of. */
async function openPage() {
  const page = await browser.newPage();
  /** @type {string[]} */
  const complaints = [];
  page.on("pageerror", (error) => complaints.push(String(error)));
  page.on("console", (message) => {
    if (message.type() === "error" || message.type() === "warning") complaints.push(message.text());
  });
  return { page, complaints };
}

/** A port where nobody listens. @returns {Promise<string>} */
function freePort() {
  const taken = createServer();
  return new Promise((resolve) => {
    taken.listen(0, "127.0.0.1", () => {
      const { port } = /** @type {import("node:net").AddressInfo} */ (taken.address());
      taken.close(() => resolve(String(port)));
    });
  });
}

for (const { folder, programs, play } of SCENES) {
  test(folder, { timeout: 60_000 }, async () => {
    const { page, complaints } = await openPage();
    const act = new Act(page, folder);
    try {
      for (const program of programs) await act.start(program);
      await act.open(site);
      await act.shows("#status", "connected to");
      await play(act);
      assert.deepEqual(complaints, []);
    } finally {
      await page.close();
      await act.end();
    }
  });
}

test("a page whose Python side is missing says what to start, and goes on by itself", { timeout: 60_000 }, async () => {
  const { page } = await openPage();
  const probe = new Act(page, "01_service_json");
  probe.port = await freePort();
  await probe.open(site);
  await probe.shows("#trouble", "Is the server running?");
  assert.equal(await probe.text("#trouble pre"), "python 1_service.py");
  assert.ok(await page.isDisabled("#add"));
  await probe.start("1_service.py");
  await probe.shows("#status", "connected to shop");
  assert.equal(await page.locator("#trouble").count(), 0);
  assert.equal(await probe.press("add", 1), "7");
  await page.close();
  await probe.end();
});

test("a page that is opened twice says so, and does not fight", { timeout: 60_000 }, async () => {
  const [first, second] = [(await openPage()).page, (await openPage()).page];
  const act = new Act(first, "01_service_json");
  const other = new Act(second, "01_service_json");
  try {
    await act.start("1_service.py");
    other.port = act.port;
    await act.open(site);
    await act.shows("#status", "connected to shop");
    await other.open(site);
    await other.shows("#status", "connected to shop");
    await act.shows("#status", "opened elsewhere; reload it");
    await first.reload();
    await act.shows("#status", "connected to shop");
    await other.shows("#status", "opened elsewhere; reload it");
  } finally {
    await Promise.all([first.close(), second.close()]);
    await act.end();
  }
});

test("every page has a scene, and the index leads to it", async () => {
  const folders = readdirSync(EXAMPLES, { withFileTypes: true }).filter((entry) => entry.isDirectory());
  assert.deepEqual(folders.map(({ name }) => name).sort(), SCENES.map(({ folder }) => folder));
  const { page } = await openPage();
  await page.goto(site);
  const links = await page.locator("td a").evaluateAll((all) => all.map((link) => link.getAttribute("href")));
  assert.deepEqual(links, SCENES.map(({ folder }) => `${folder}/`)); // prettier-ignore
  await page.close();
});

test("the server of the pages hands out nothing else", async () => {
  matches(`open ${site}`, promised(server.file)[0].replace("8000", "..."));
  for (const path of ["README.md", ".git/config", "js/../README.md", "js/%2e%2e/Cargo.toml", "js2", "js/"]) {
    const { status } = await fetch(site + path);
    assert.ok(path === "js/" ? status === 200 : status === 404, `${path}: ${status}`);
  }
});
