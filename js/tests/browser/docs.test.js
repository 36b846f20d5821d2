/** The page `docs/browser.md` keeps its word: its files work, and its pieces print what they say. */

import assert from "node:assert/strict";
import { mkdirSync, mkdtempSync, readFileSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "node:test";
import { inspect } from "node:util";
import { DaffiClient, currentCall } from "../../daffi.js";
import { Network, Program } from "../network.js";
import { ROOT, launch } from "./chromium.js";
import { blocks } from "./docs.js";

const PAGE = readFileSync(join(ROOT, "docs", "browser.md"), "utf8");

test("the three files of the page are a page", { timeout: 60_000 }, async () => {
  const folder = mkdtempSync(join(tmpdir(), "daffi-"));
  const modules = join(folder, "node_modules");
  mkdirSync(modules);
  // What npm puts there.
  for (const name of ["@msgpack", "@noble"]) symlinkSync(join(ROOT, "js", "node_modules", name), join(modules, name));
  symlinkSync(join(ROOT, "js"), join(modules, "daffi"));
  writeFileSync(join(folder, "service.py"), blocks("python", PAGE)[0].replace("7700", "0"));
  const service = new Program(join(folder, "service.py"), []);
  const served = ["-m", "http.server", "--bind", "127.0.0.1", "--directory", folder, "0"];
  const files = new Program("-m", served.slice(1));
  const browser = await launch();
  try {
    const port = /^ready on port (\d+)$/.exec(await service.line())?.[1];
    writeFileSync(join(folder, "index.html"), blocks("html", PAGE)[0].replace("7700", String(port)));
    const site = /http:\/\/[\d.:]+/.exec(await files.line())?.[0];
    const page = await browser.newPage();
    await page.goto(`${site}/`);
    await page.waitForFunction(() => document.querySelector("p")?.textContent === "3 + 4 = 7");
  } finally {
    await browser.close();
    for (const program of [service, files]) {
      program.process.kill("SIGTERM");
      await program.end();
    }
    rmSync(folder, { recursive: true });
  }
});

test("the pieces of the page print what they say", { timeout: 60_000 }, async () => {
  const network = await Network.start("router");
  const client = new DaffiClient("page", { wsUrl: network.url });
  const conn = await client.connect();
  try {
    const pieces = blocks("js", PAGE);
    assert.ok(pieces.length > 5);
    for (const piece of pieces) {
      /** @type {string[]} */
      const printed = [];
      const log = (/** @type {unknown[]} */ ...values) =>
        printed.push(values.map((value) => (typeof value === "string" ? value : inspect(value))).join(" "));
      const names = { client, conn, DaffiClient, currentCall, console: { log } };
      const run = new Function(...Object.keys(names), `return (async () => {${piece}})()`);
      await run(...Object.values(names));
      const promised = [...piece.matchAll(/console\.log\(.*\); \/\/ (.*)$/gm)].map(([, said]) => said);
      assert.deepEqual(printed, promised, piece);
    }
  } finally {
    await client.stop();
    await network.end();
  }
});
