/** Who comes and goes, and waiting for somebody. */

import { connect, element, log, press } from "../page.js";

/** @type {Set<string>} */
const here = new Set();

function show() {
  const people = [...here].sort().map((name) => {
    const person = document.createElement("span");
    person.className = "person";
    person.textContent = name;
    return person;
  });
  const nobody = document.createElement("span");
  nobody.className = "empty";
  nobody.textContent = "nobody";
  element("people").replaceChildren(...(people.length ? people : [nobody]));
}

const programs = ["1_router.py", "2_worker.py left", "2_worker.py right"];
const { conn } = await connect("page-waits", programs, (client) => {
  client.addEventHandler(({ type, member }) => {
    if (type === "connected") here.add(member);
    // When the server goes, nobody knows who else is there.
    else if (member === client.server) here.clear();
    else here.delete(member);
    show();
  });
});

press("both", () =>
  log(
    'conn.waitForMembers(["left", "right"])',
    conn.waitForMembers(["left", "right"]).then(() => "both are here"),
  ),
);

press("function", async () => {
  const found = conn.waitForFunction("hand").then(() => conn.cast().hand());
  await log('conn.waitForFunction("hand"), conn.cast().hand()', found);
});

press("nobody", () =>
  log('conn.waitForMembers("nobody", { timeout: 1000 })', conn.waitForMembers("nobody", { timeout: 1000 })),
);
