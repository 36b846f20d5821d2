/**
 * The caller of one row that is not Python: `node bench/calling.js URL SECONDS` calls `add` over
 * WebSocket, one call after another, and prints how many there are in a second.
 */

import { DaffiClient } from "../js/daffi.js";

const [wsUrl, seconds] = process.argv.slice(2);
const client = new DaffiClient("caller", { wsUrl });
const conn = await client.connect();

/** @param {number} time in seconds */
async function perSecond(time) {
  const start = performance.now();
  let [done, now] = [0, start];
  while (now < start + 1000 * time) {
    await conn.rpc({ timeout: 30_000 }).add(1, 2);
    done += 1;
    now = performance.now();
  }
  return (1000 * done) / (now - start);
}

await perSecond(2); // until it is compiled
console.log(await perSecond(Number(seconds)));
await client.stop();
