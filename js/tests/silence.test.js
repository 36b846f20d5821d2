/** Heartbeats: a connection on which nobody calls stays, and one that is dead is noticed. */

import assert from "node:assert/strict";
import { test } from "node:test";
import { DaffiClient, Disconnected } from "../daffi.js";
import { Network } from "./network.js";

test("a silent server is noticed, a silent connection is kept", { timeout: 60_000 }, async () => {
  const network = await Network.start("service");
  const client = new DaffiClient("a", { wsUrl: network.url });
  /** @type {string[]} */
  const heard = [];
  client.addEventHandler(({ type, member }) => void (member === "server" && heard.push(type)));
  try {
    const conn = await client.connect();
    // Longer than either side waits for a sign of life.
    assert.equal(await conn.rpc().wait("quiet", 8), "quiet");
    assert.deepEqual(heard, ["connected"]);
    const call = conn.rpc().wait("never");
    assert.equal(await conn.rpc().add(1, 2), 3);
    network.program.process.kill("SIGSTOP");
    const began = performance.now();
    await assert.rejects(call, (/** @type {Error} */ error) => {
      assert.ok(error instanceof Disconnected && error.sent === null);
      assert.match(error.message, /silent for 6 s/);
      return true;
    });
    const seconds = (performance.now() - began) / 1000;
    assert.ok(seconds > 5 && seconds < 10, `${seconds} s`);
    network.program.process.kill("SIGCONT");
    assert.equal(await conn.rpc({ timeout: 20_000 }).add(3, 4), 7);
  } finally {
    network.program.process.kill("SIGCONT");
    await client.stop();
    await network.end();
  }
});
