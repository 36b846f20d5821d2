/** A stream that goes on and on holds no more memory than one that has begun. */

import assert from "node:assert/strict";
import { test } from "node:test";
import { setFlagsFromString } from "node:v8";
import { runInNewContext } from "node:vm";
import { DaffiClient } from "../daffi.js";
import { Network } from "./network.js";

setFlagsFromString("--expose-gc");
const collect = /** @type {() => void} */ (runInNewContext("gc"));

const ITEMS = 20_000;

test("items that have gone leave nothing behind", { timeout: 120_000 }, async () => {
  const network = await Network.start("service");
  const client = new DaffiClient("a", { wsUrl: network.url });
  try {
    const conn = await client.connect();
    for (const style of /** @type {const} */ (["stream", "stream_nowait"])) {
      /** @type {number[]} */
      const used = [];
      async function* items() {
        for (let n = 0; n <= ITEMS; n += 1) {
          if (n % (ITEMS / 2) === 0) {
            collect();
            used.push(process.memoryUsage().heapUsed);
          }
          yield n;
        }
      }
      await conn[style]().kind(items());
      const each = (used[2] - used[1]) / (ITEMS / 2);
      assert.ok(each < 50, `${style}: ${each} bytes an item`);
    }
  } finally {
    await client.stop();
    await network.end();
  }
});
