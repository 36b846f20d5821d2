/**
 * The example pages as people see them: their programs started, their buttons pressed.
 *
 * `pages.test.js` checks what they show, `screenshots.js` takes pictures of it.
 */

import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { Program } from "../network.js";
import { ROOT } from "./chromium.js";

/** @typedef {import("playwright-core").Page} Page */

/**
 * @typedef {object} Scene
 * @property {string} folder
 * @property {string[]} programs what one would type after `python`, without the port
 * @property {(act: Act) => Promise<void>} play
 */

export const EXAMPLES = join(ROOT, "examples", "browser");

/** A page with its programs. */
export class Act {
  /** @type {Program[]} */
  #programs = [];
  port = "0";

  /**
   * @param {Page} page
   * @param {string} folder
   */
  constructor(page, folder) {
    this.page = page;
    this.folder = folder;
  }

  /**
   * Start a program of the example and hear its first line.
   * @param {string} line
   */
  async start(line) {
    const [file, ...args] = line.split(" ");
    const program = new Program(join(EXAMPLES, this.folder, file), [this.port, ...args]);
    this.#programs.push(program);
    const first = await program.line();
    const ready = /^ready on 127\.0\.0\.1:(\d+)$/.exec(first);
    if (ready) this.port = ready[1];
    else matches(first, promised(program.file)[0]);
    return program;
  }

  /**
   * Open the page.
   * @param {string} site
   */
  async open(site) {
    await this.page.goto(`${site}examples/browser/${this.folder}/?port=${this.port}`);
  }

  /**
   * Press a button, and wait until as many calls of the log have ended.
   * @param {string} button
   * @param {number} count how many there are then
   * @returns {Promise<string>} what the newest shows
   */
  async press(button, count) {
    await this.page.click(`#${button}:enabled`);
    const ended = "#log li.done, #log li.failed";
    await this.page.waitForFunction(
      ({ ended, count }) => document.querySelectorAll(ended).length === count,
      { ended, count },
    );
    return /** @type {string} */ (await this.page.textContent("#log li:first-child .result"));
  }

  /** @param {string} selector */
  async text(selector) {
    return (await this.page.textContent(selector)) ?? "";
  }

  /**
   * Wait until an element shows that.
   * @param {string} selector
   * @param {string} text
   */
  async shows(selector, text) {
    await this.page.waitForFunction(
      ({ selector, text }) => document.querySelector(selector)?.textContent?.includes(text),
      { selector, text },
    );
  }

  /** End the programs as Ctrl-C does; they print what they promise, and complain of nothing. */
  async end() {
    for (const program of this.#programs.reverse()) {
      program.process.kill("SIGINT");
      assert.equal(await program.end(), "");
      assert.equal(await program.ended, 0);
      if (program.file.endsWith("_caller.py")) continue;
      const [, ...lines] = promised(program.file);
      for (const line of lines) matches(await program.line(), line);
    }
  }
}

/**
 * The lines that the docstring of a program says it prints.
 * @param {string} file
 */
export function promised(file) {
  const [, block] = readFileSync(file, "utf8").split('"""')[1].split("\nIt prints:\n\n");
  return block.split("\n").map((line) => line.trim()).filter(Boolean); // prettier-ignore
}

/**
 * @param {string} line
 * @param {string} pattern with `...` for anything
 */
export function matches(line, pattern) {
  const parts = pattern.split("...").map((part) => part.replace(/[.*+?^${}()|[\]\\]/g, "\\$&"));
  assert.match(line, new RegExp(`^${parts.join(".*")}$`));
}

/** @type {Scene[]} */
export const SCENES = [
  {
    folder: "01_service_json",
    programs: ["1_service.py"],
    async play(act) {
      assert.equal(await act.press("add", 1), "7");
      assert.equal(await act.press("greet", 2), '"hello, hello Ada"');
      assert.equal(await act.press("factorial", 3), "2432902008176640000n");
      assert.match(await act.press("divide", 4), /^ZeroDivisionError, raised by shop: /);
      assert.match(await act.text("#log details pre"), /Traceback[^]*in divide/);
      assert.match(await act.press("slow", 5), /^CallTimeout: no answer to think in 0.2 s/);
      assert.match(await act.press("abort", 6), /^TimeoutError: /);
      assert.match(await act.press("nobody", 7), /^TransmissionFailure: .*fly/);
      assert.match(await act.press("hundred", 8), /100 results, the last is 198/);
    },
  },
  {
    folder: "02_service_msgpack",
    programs: ["1_service.py"],
    async play(act) {
      const picture = "{width: 320, height: 200, pixels: 256000 bytes}";
      assert.equal(await act.press("draw", 1), picture);
      assert.match(await act.press("checksum", 2), /^"[0-9a-f]{64}"$/);
      assert.equal(await act.press("negative", 3), picture);
      assert.equal(await act.press("negative", 4), picture);
    },
  },
  {
    folder: "03_router_json",
    programs: ["1_router.py", "2_worker.py anna", "2_worker.py ben", "2_worker.py carl"],
    async play(act) {
      await act.shows("#workers", "carl");
      await act.press("thirty", 1);
      assert.equal(await act.text("#workers"), "anna10ben10carl10");
      assert.equal(await act.press("pinned", 2), '"anna"');
      await act.press("one", 3);
    },
  },
  {
    folder: "04_cast",
    programs: [
      "1_router.py",
      "2_worker.py berlin 10",
      "2_worker.py madrid broken",
      "2_worker.py warsaw 30 0.6",
    ],
    async play(act) {
      await act.press("all", 1);
      assert.match(await act.text("#stations"), /^berlin10madridValueError, raised by .*warsaw30$/);
      assert.equal(await act.press("note", 2), "sent");
      assert.match(await act.press("some", 3), /^\{(berlin: 10, warsaw: 30|warsaw: 30, berlin: 10)\}$/);
      assert.match(await act.press("hurry", 4), /^CallTimeout/);
      await act.shows("#stations", "warsawno answer in time");
    },
  },
  {
    folder: "05_stream",
    programs: ["1_service.py"],
    async play(act) {
      assert.match(await act.press("upload", 2), /^\{bytes: 8388608, sha256: "[0-9a-f]{16}"\}$/);
      assert.equal(await act.text("#arrived"), "8192 KiB of 8192 KiB");
      await act.press("give-up", 4);
      assert.match(await act.text("#log li:nth-child(2) .result"), /^AbortError/);
      assert.equal(await act.press("rows", 6), "1000");
      assert.match(await act.press("bad", 7), /^ValueError, raised by archive: row 1001 has no id/);
    },
  },
  {
    folder: "06_wait_for_members",
    programs: ["1_router.py", "2_worker.py left"],
    async play(act) {
      await act.shows("#people", "left");
      assert.match(await act.press("nobody", 1), /^CallTimeout/);
      await act.page.click("#both");
      const right = await act.start("2_worker.py right");
      await act.shows("#log li:first-child .result", "both are here");
      assert.match(await act.press("function", 3), /^\{(left: "left", right: "right"|right: "right", left: "left")\}$/);
      assert.equal(await act.text("#people"), "leftrightrouter");
      right.process.kill("SIGINT");
      await act.page.waitForFunction(() => !document.querySelector("#people")?.textContent?.includes("right"));
      await act.start("2_worker.py right");
      await act.shows("#people", "right");
    },
  },
  {
    folder: "07_page_is_called",
    programs: ["1_router.py"],
    async play(act) {
      const caller = await act.start("2_caller.py");
      const [, ...lines] = promised(caller.file);
      for (const line of lines.slice(0, -1)) matches(await caller.line(), line);
      await act.shows("#question", "What is your name?");
      await act.page.fill("#answer", "Ada");
      assert.equal(await act.press("send", 4), '"Ada"');
      matches(await caller.line(), lines.at(-1) ?? "");
      assert.equal(await caller.ended, 0);
    },
  },
];
