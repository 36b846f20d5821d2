/**
 * Does the packed client work? Copied by `make wheel` into the folder that it is installed into.
 *
 *     node smoke.mjs PYTHON SMOKE_PY    calls a Service that this Python runs
 */

import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { once } from "node:events";
import { createInterface } from "node:readline";
import { DaffiClient, RemoteCallError } from "daffi";

const [python, program] = process.argv.slice(2);
const service = spawn(python, ["-I", program, "service", "{}"], { stdio: ["pipe", "pipe", "inherit"] });
try {
  const [ready] = await once(createInterface({ input: service.stdout }), "line");
  const client = new DaffiClient("node", { wsUrl: `ws://127.0.0.1:${ready.split(" ")[1]}` });
  const conn = await client.connect();
  for (const serde of ["json", "msgpack"]) {
    assert.equal(await conn.rpc({ timeout: 20_000, serde }).add(3, 4), 7);
  }
  await assert.rejects(conn.rpc({ timeout: 20_000 }).fail("on purpose"), RemoteCallError);
  await client.stop();
  service.stdin.end();
  assert.deepEqual(await once(service, "exit"), [0, null]);
  console.log(`daffi on Node ${process.versions.node}:\n    a Service over WebSocket`);
} finally {
  service.kill();
}
