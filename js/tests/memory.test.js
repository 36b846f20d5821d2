/** A stream that goes on and on holds no more memory than one that has begun. */

import assert from "node:assert/strict";
import { test } from "node:test";
import { setFlagsFromString } from "node:v8";
import { runInNewContext } from "node:vm";
import { DaffiClient } from "../daffi.js";
import { Network } from "./network.js";

setFlagsFromString("--expose-gc");
const collect = /** @type {() => void} */ (runInNewContext("gc"));

// So many that what is on its way at either measurement counts for little: without
// acknowledgements some two thousand items are.
const ITEMS = { stream: 20_000, stream_nowait: 200_000 };

test("items that have gone leave nothing behind", { timeout: 120_000 }, async () => {
  const network = await Network.start("service");
  const client = new DaffiClient("a", { wsUrl: network.url });
  try {
    const conn = await client.connect();
    for (const style of /** @type {const} */ (["stream", "stream_nowait"])) {
      const count = ITEMS[style];
      /** @type {number[]} */
      const used = [];
      async function* items() {
        for (let n = 0; n <= count; n += 1) {
          if (n % (count / 2) === 0) {
            collect();
            used.push(process.memoryUsage().heapUsed);
          }
          yield n;
        }
      }
      await conn[style]().kind(items());
      const each = (used[2] - used[1]) / (count / 2);
      assert.ok(each < 50, `${style}: ${each} bytes an item`);
    }
  } finally {
    await client.stop();
    await network.end();
  }
});
