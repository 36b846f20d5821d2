/** When the loop keeps turning for an answer, and that it ends. */

import assert from "node:assert/strict";
import { test } from "node:test";
import { setTimeout as sleep } from "node:timers/promises";
import { Gate, Spin } from "../spinning.js";

/**
 * Calls for which the gate is open.
 * @param {Gate} gate
 * @param {number} calls
 * @param {number} slept what one takes without a spin, in ms
 * @param {number} spun what it takes with one
 */
function opened(gate, calls, slept, spun) {
  let open = 0;
  for (let call = 0; call < calls; call += 1) {
    open += Number(gate.isOpen);
    gate.note(gate.isOpen ? spun : slept);
  }
  return open;
}

test("the gate stays open where a spin pays, but for a few calls that sleep for comparison", () => {
  assert.equal(opened(new Gate(), 10 * (64 + 2048), 0.06, 0.03), 10 * (32 + 2048));
});

for (const [what, slept, spun] of /** @type {[string, number, number][]} */ ([
  ["makes calls slower", 0.05, 0.075],
  ["hardly helps", 0.05, 0.048],
  ["can't matter, as calls are slow,", 80, 50],
])) {
  test(`a spin that ${what} is tried a few times, and rarely again`, () => {
    assert.equal(opened(new Gate(), 10 * (64 + 512), slept, spun), 10 * 32);
  });
}

test("a moment for which the machine does something else decides nothing", () => {
  const gate = new Gate();
  for (let call = 0; call < 64; call += 1) {
    gate.note(call % 32 < 5 ? 4 : gate.isOpen ? 0.03 : 0.06);
  }
  assert.ok(gate.isOpen);
});

test("the gate changes its mind when the machine does", () => {
  const gate = new Gate();
  opened(gate, 64 + 400, 0.05, 0.08);
  assert.ok(!gate.isOpen);
  opened(gate, 64 + 512, 0.06, 0.03);
  assert.ok(gate.isOpen);
  opened(gate, 2 * (64 + 2048), 0.05, 0.08);
  assert.ok(!gate.isOpen);
});

/** Whether the loop is kept from sleeping. */
function turns() {
  return process.getActiveResourcesInfo().includes("Immediate");
}

/** What the loop was kept awake for has run. */
function turn() {
  return new Promise((resolve) => setImmediate(resolve));
}

/** One whose gate has been opened. */
function openSpin() {
  const spin = new Spin();
  for (let call = 0; call < 32; call += 1) {
    spin.begin();
    spin.end();
  }
  return spin;
}

/**
 * A call is sent, and its answer looked for; a machine that stumbles may take longer than that lasts.
 * @param {Spin} spin
 */
function begin(spin) {
  for (let attempt = 0; attempt < 100 && !turns(); attempt += 1) spin.begin();
  assert.ok(turns());
}

test("an answer that does not come is looked for no longer than a moment", async () => {
  const spin = openSpin();
  begin(spin);
  await sleep(5);
  await turn();
  assert.ok(!turns());
});

test("a call that ends, or is no longer alone, lets the loop sleep", async () => {
  for (const end of /** @type {const} */ (["end", "leave"])) {
    const spin = openSpin();
    begin(spin);
    spin[end]();
    await turn();
    assert.ok(!turns());
  }
});
