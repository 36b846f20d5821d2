/** Every behaviour on Node, over the package `ws`. */

import { after, before, describe, test } from "node:test";
import { Network } from "./network.js";
import { behaviours, stageFor } from "./stage.js";

for (const topology of /** @type {const} */ (["service", "router"])) {
  describe(`Node, ${topology}`, () => {
    /** @type {Network} */
    let network;
    before(async () => void (network = await Network.start(topology)));
    after(() => network.end());
    for (const [name, run] of Object.entries(behaviours(topology))) {
      test(name, { timeout: 60_000 }, async () => {
        const { stage, clean } = stageFor(network.url, topology, (command) => network.control(command));
        try {
          await run(stage);
        } finally {
          await clean();
        }
      });
    }
  });
}
