/** The page `docs/secured.md`, followed to its end: TLS, a token, a page in Chromium, and Node. */

import assert from "node:assert/strict";
import { execFile } from "node:child_process";
import { createHash, createPublicKey } from "node:crypto";
import { cpSync, mkdirSync, mkdtempSync, readFileSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { after, before, test } from "node:test";
import { promisify } from "node:util";
import { PYTHON, Program } from "../network.js";
import { ROOT, launch } from "./chromium.js";
import { blocks } from "./docs.js";

const PAGE = readFileSync(join(ROOT, "docs", "secured.md"), "utf8");
const run = promisify(execFile);

let folder = "";
let port = "";
/** @type {Program[]} */
const programs = [];
/** @type {Record<string, string | undefined>} */
let env = {};

/**
 * The file of the page that begins with that line.
 * @param {string} first
 */
function file(first) {
  const found = PAGE.match(new RegExp(`^\`\`\`\\w+\n(${first}.*?)^\`\`\`$`, "ms"));
  return (found?.[1] ?? "").replaceAll("7700", port || "0");
}

/**
 * Start one of its Python programs; its first line.
 * @param {string} name
 */
async function start(name) {
  writeFileSync(join(folder, name), file(`# ${name}`));
  const program = new Program(join(folder, name), [], { cwd: folder, env });
  programs.push(program);
  return program.line();
}

before(async () => {
  folder = mkdtempSync(join(tmpdir(), "daffi-"));
  const [, preparing] = PAGE.split("\n## ");
  const path = `${dirname(PYTHON)}:${process.env.PATH}`;
  for (const code of blocks("sh", preparing)) {
    await run("bash", ["-euc", code], { cwd: folder, env: { PATH: path } });
  }
  env = { ...process.env, DAFFI_TOKEN: readFileSync(join(folder, "token"), "utf8").trim() };
  port = (await start("router.py")).split(" ").at(-1) ?? "";
  assert.equal(await start("worker.py"), "ready");
  // What npm puts there.
  const modules = join(folder, "node_modules");
  mkdirSync(modules);
  for (const name of ["@msgpack", "@noble", "ws"]) symlinkSync(join(ROOT, "js", "node_modules", name), join(modules, name));
  symlinkSync(join(ROOT, "js"), join(modules, "daffi"));
});

after(async () => {
  for (const program of programs.reverse()) {
    program.process.kill("SIGTERM");
    await program.end();
  }
  rmSync(folder, { recursive: true });
});

test("the page connects with the token, and says what is wrong", { timeout: 60_000 }, async () => {
  const place = join(folder, "page");
  mkdirSync(place);
  writeFileSync(join(place, "index.html"), file("<!doctype html>"));
  cpSync(join(folder, "node_modules"), join(place, "node_modules"), { recursive: true });
  const files = new Program("-m", ["http.server", "--bind", "127.0.0.1", "--directory", place, "0"]);
  programs.push(files);
  const site = /http:\/\/[\d.:]+/.exec(await files.line())?.[0];
  // Instead of the CA among those of whoever runs this: the key of this one certificate.
  const key = createPublicKey(readFileSync(join(folder, "server.pem"))).export({ type: "spki", format: "der" });
  const accepted = createHash("sha256").update(key).digest("base64");
  for (const [args, token, text] of /** @type {[string[], string, RegExp][]} */ ([
    [[`--ignore-certificate-errors-spki-list=${accepted}`], env.DAFFI_TOKEN, /^3 \+ 4 = 7$/],
    [[`--ignore-certificate-errors-spki-list=${accepted}`], "another", /: its token is another one/],
    [[], env.DAFFI_TOKEN, /Is the server running\? Does the browser accept its certificate\?.* https:/],
  ])) {
    const browser = await launch(args);
    try {
      const page = await browser.newPage();
      await page.goto(`${site}/`);
      await page.fill("input", token);
      await page.click("button");
      await page.waitForFunction(() => document.querySelector("p")?.textContent);
      assert.match((await page.textContent("p")) ?? "", text);
    } finally {
      await browser.close();
    }
  }
});

test("Node connects, and says what is wrong", { timeout: 60_000 }, async () => {
  const caller = join(folder, "caller.mjs");
  writeFileSync(caller, file("// caller.mjs"));
  const trusting = { ...env, NODE_EXTRA_CA_CERTS: join(folder, "ca.pem") };
  const { stdout, stderr } = await run(process.execPath, [caller], { env: trusting });
  assert.deepEqual([stdout, stderr], ["3 + 4 = 7\n", ""]);
  const others = { ...trusting, DAFFI_TOKEN: "another" };
  await assert.rejects(run(process.execPath, [caller], { env: others }), /AuthenticationError: .*token/);
  await assert.rejects(run(process.execPath, [caller], { env }), /certificate: name the file of its CA in NODE_EXTRA_CA_CERTS/);
});
