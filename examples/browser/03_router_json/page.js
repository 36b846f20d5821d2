/** Round robin, as the Router decides it, and one worker by its name. */

import { connect, element, fill, log, press } from "../page.js";

const { client, conn } = await connect("page-router", ["1_router.py", "2_worker.py anna", "2_worker.py ben"]);

/** @type {Map<string, number>} */
const counts = new Map();

/** @param {string | undefined} worker */
function count(worker) {
  if (worker === undefined) return;
  counts.set(worker, (counts.get(worker) ?? 0) + 1);
  show();
}

function show() {
  const most = Math.max(1, ...counts.values());
  const rows = [...counts].sort().map(([worker, calls]) => {
    const row = document.createElement("tr");
    row.innerHTML = '<td></td><td></td><td><div class="bar"><div></div></div></td>';
    const [name, number, bar] = row.children;
    name.textContent = worker;
    number.textContent = String(calls);
    fill(/** @type {HTMLElement} */ (bar.firstElementChild), calls / most);
    return row;
  });
  element("workers").replaceChildren(...rows);
}

client.addEventHandler(async ({ type }) => {
  if (type === "disconnected") return;
  for (const { name, functions } of await client.members()) {
    if (functions.length && !counts.has(name)) counts.set(name, 0);
  }
  show();
});

press("one", async () => count(await log("conn.rpc().work()", conn.rpc().work())));

press("thirty", async () => {
  const call = conn.rpc({ timeout: 5000 });
  const all = Promise.all(Array.from({ length: 30 }, () => call.work()));
  for (const worker of (await log("30 × conn.rpc().work()", all)) ?? []) count(worker);
});

press("pinned", async () => {
  const receiver = [...counts.keys()].sort()[0] ?? "anna";
  count(await log(`conn.rpc({ receiver: "${receiver}" }).work()`, conn.rpc({ receiver }).work()));
});
