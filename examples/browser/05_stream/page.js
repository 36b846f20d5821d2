/** Streams: an async generator, an array, an item that fails, one that is given up. */

import { connect, element, fill, log, press } from "../page.js";

const { conn } = await connect("page-stream", ["1_service.py"]);
const CHUNK = 64 * 1024;
const TOTAL = 128;

/** Made as they are sent, and shown when the one before has arrived. */
async function* chunks() {
  for (let number = 0; number < TOTAL; number += 1) {
    progress(number);
    yield new Uint8Array(CHUNK).fill(number);
  }
  progress(TOTAL);
}

/** @param {number} number */
function progress(number) {
  fill(element("bar"), number / TOTAL);
  element("arrived").textContent = `${(number * CHUNK) / 1024} KiB of ${(TOTAL * CHUNK) / 1024} KiB`;
}

press("upload", async () => {
  await log('conn.stream({ serde: "raw" }).upload(chunks())', conn.stream({ serde: "raw" }).upload(chunks()));
  await log("conn.rpc().uploaded()", conn.rpc().uploaded());
});

press("give-up", async () => {
  const controller = new AbortController();
  const stream = conn.stream({ serde: "raw", signal: controller.signal });
  const sent = log("conn.stream({ signal }).upload(chunks())", stream.upload(chunks()));
  setTimeout(() => controller.abort(), 30);
  await sent;
  await log("conn.rpc().uploaded()", conn.rpc().uploaded());
});

press("rows", async () => {
  const rows = Array.from({ length: 1000 }, (_, id) => ({ id }));
  await log("conn.stream().insert(rows)", conn.stream().insert(rows));
  await log("conn.rpc().inserted()", conn.rpc().inserted());
});

press("bad", () => {
  const rows = [{ id: 1 }, { name: "no id" }, { id: 3 }];
  return log("conn.stream().insert(rows)", conn.stream().insert(rows));
});
