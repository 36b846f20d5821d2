/** Calls in JSON: results, keyword arguments, BigInt, errors, timeouts, an AbortSignal. */

import { connect, element, log, press } from "../page.js";

const { conn } = await connect("page-json", ["1_service.py"]);

press("add", () => {
  const [a, b] = [Number(element("a").value), Number(element("b").value)];
  log(`conn.rpc().add(${a}, ${b})`, conn.rpc().add(a, b));
});

press("greet", () =>
  log(
    'conn.rpc({ kwargs: { times: 2 } }).greet("Ada")',
    conn.rpc({ kwargs: { times: 2 } }).greet("Ada"),
  ),
);

press("factorial", () => log("conn.rpc().factorial(20)", conn.rpc().factorial(20)));

press("divide", () => log("conn.rpc().divide(1, 0)", conn.rpc().divide(1, 0)));

press("slow", () => log("conn.rpc({ timeout: 200 }).think(5)", conn.rpc({ timeout: 200 }).think(5)));

press("abort", () => {
  const signal = AbortSignal.timeout(300);
  log("conn.rpc({ signal: AbortSignal.timeout(300) }).think(5)", conn.rpc({ signal }).think(5));
});

press("nobody", () => log("conn.rpc().fly()", conn.rpc().fly()));

press("hundred", () => {
  const call = conn.rpc();
  const sums = Promise.all(Array.from({ length: 100 }, (_, n) => call.add(n, n)));
  log("100 × conn.rpc().add(n, n)", sums.then((all) => `${all.length} results, the last is ${all[99]}`));
});
