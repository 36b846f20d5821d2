/** Casts: everybody, a few, those who are quick enough, and nobody in particular. */

import { CallTimeout } from "../../../js/daffi.js";
import { connect, element, explained, log, press, shown } from "../page.js";

const { conn } = await connect("page-cast", [
  "1_router.py",
  "2_worker.py berlin 10",
  "2_worker.py madrid broken",
  "2_worker.py warsaw 30 1",
]);

/** @param {Record<string, unknown> | undefined} answers @param {string[]} [missing] */
function show(answers = {}, missing = []) {
  const rows = [...Object.entries(answers), ...missing.map((name) => [name, null])].sort();
  const cells = rows.map(([station, answer]) => {
    const row = document.createElement("tr");
    const [name, said] = [document.createElement("td"), document.createElement("td")];
    name.textContent = String(station);
    const failed = answer instanceof Error;
    said.className = answer === null ? "empty" : failed ? "bad" : "good";
    said.textContent = answer === null ? "no answer in time" : failed ? explained(answer) : shown(answer);
    row.append(name, said);
    return row;
  });
  element("stations").replaceChildren(...cells);
}

press("all", async () => show(await log("conn.cast().temperature()", conn.cast().temperature())));

press("some", async () => {
  const receiver = ["berlin", "warsaw"];
  const call = 'conn.cast({ receiver: ["berlin", "warsaw"] }).temperature()';
  show(await log(call, conn.cast({ receiver }).temperature()));
});

press("hurry", async () => {
  const asked = conn.cast({ timeout: 200 }).temperature();
  await log("conn.cast({ timeout: 200 }).temperature()", asked);
  // What did come in time is in the error.
  asked.then(show, (error) => {
    if (error instanceof CallTimeout) show(error.partial, error.receivers);
  });
});

press("note", () =>
  log('conn.cast_nowait().note("hello")', conn.cast_nowait().note("hello")),
);
