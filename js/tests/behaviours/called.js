/**
 * What takes several members: casts, and functions of ours that others call. Over a Router, on Node
 * and in a browser. Imports `expect` and the client.
 */

import { CallTimeout, DaffiError, Disconnected, RemoteCallError, TransmissionFailure, currentCall } from "../../daffi.js"; // prettier-ignore
import { equal, fails, gate, ok } from "../expect.js";

/** @typedef {import("../stage.js").Behaviour} Behaviour */

const MIB = 2 ** 20;

/** Over a Router: several workers, and functions of ours. @type {Record<string, Behaviour>} */
export const over_router = {
  async "a cast brings an answer or an error from each"({ connect }) {
    const conn = await connect("a");
    const sums = await conn.cast().add(1, 2);
    equal([Object.keys(sums).sort(), sums.worker, sums.second], [["second", "worker"], 3, 3]);
    equal(await conn.cast({ receiver: ["second"] }).add(1, 2), { second: 3 });
    equal(await conn.cast({ receiver: "worker", serde: "raw" }).echo("x"), { worker: "x" });
    const failed = await conn.cast().fail("everywhere");
    ok(failed.worker instanceof RemoteCallError && failed.second.message === "everywhere");
    await fails(conn.cast({ receiver: ["worker", "nobody"] }).add(1, 2), TransmissionFailure);
    const late = await fails(conn.cast({ timeout: 100 }).wait("cast"), CallTimeout);
    equal([late.receivers, late.partial], [["worker"], {}]);
    equal(await conn.rpc({ receiver: "worker" }).was_given_up("cast"), true);
  },

  async "the Router deals calls out in turn"({ connect, client }) {
    for (const name of ["one", "two", "three"]) {
      const node = client(name);
      node.callback("who", () => name);
      await node.connect();
    }
    const call = (await connect("a")).rpc();
    const all = await Promise.all(Array.from({ length: 30 }, () => call.who()));
    const count = (/** @type {string} */ name) => all.filter((each) => each === name).length;
    equal(["one", "two", "three"].map(count), [10, 10, 10]);
    equal(await (await connect("b")).rpc({ receiver: "two" }).who(), "two");
  },

  async "whoever has connected can be called, also with more functions than a greeting holds"({ connect, client }) {
    const call = (await connect("a")).rpc();
    const node = client("many");
    for (let i = 0; i < 20_000; i += 1) node.callback(`many_${i}`, () => i);
    await node.connect();
    equal(await call.many_19999(), 19_999);
  },

  async "Python calls a function of ours, in each format"({ client, connect }) {
    const page = client("page");
    page.callback("join", (...args) => args.map(String).join("+"));
    page.callback("later", async (/** @type {any} */ value) => (await Promise.resolve(), value));
    page.callback("options", (/** @type {number} */ a, { b = 0 } = {}) => a + b);
    await page.connect();
    const { call } = (await connect("a")).rpc({ timeout: 10_000 });
    equal(await call("page", "join", [1, "b", null], { serde: "json" }), "1+b+null");
    equal(await call("page", "later", [2n ** 60n], { serde: "msgpack" }), 2n ** 60n);
    equal(await call("page", "later", ["grüße"], { serde: "opaque" }), "grüße");
    equal(await call("page", "options", [1], { serde: "json", kwargs: { b: 2 } }), 3);
    equal(await call("page", "options", [1], { serde: "json" }), 1);
    page.callback("added", () => "while connected");
    await (await connect("b")).waitForFunction("added", { timeout: 10_000 });
    equal(await call("page", "added", [], { serde: "json" }), "while connected");
    const large = "x".repeat(3 * MIB);
    equal((await call("page", "later", [large], { serde: "json" })).length, 3 * MIB);
  },

  async "what a function of ours throws is raised in Python"({ client, connect }) {
    const page = client("page");
    page.callback("broken", () => {
      throw new RangeError("out of reach");
    });
    page.callback("rejects", async () => Promise.reject("a string"));
    page.callback("wrong", () => ({ value: NaN }));
    await page.connect();
    const { call } = (await connect("a")).rpc({ timeout: 10_000 });
    const json = { serde: "json" };
    const [type, text, trace] = await call("page", "broken", [], json);
    equal([type, text], ["RemoteCallError", "RangeError: out of reach"]);
    ok(trace.includes("called.js"), "the stack of JavaScript");
    equal((await call("page", "rejects", [], json))[1], "string: a string");
    equal((await call("page", "wrong", [], json))[0], "SerializationError");
    equal((await call("page", "gone", [], json))[0], "TransmissionFailure");
    const [refused, why] = await call("page", "broken", [], { serde: "pickle" });
    equal(refused, "SerdeNotAllowed");
    ok(/serde/.test(why), "what to do instead");
  },

  async "a call that Python gives up aborts the function of ours"({ client, connect }) {
    const page = client("page", { workers: 1 });
    const [aborted, queued] = [gate(), gate()];
    let ran = 0;
    page.callback("wait", () => {
      const { signal, caller, deadline } = currentCall();
      ok(deadline !== null && caller === "worker");
      ran += 1;
      return new Promise((_, reject) => {
        signal.addEventListener("abort", () => {
          aborted.open();
          reject(new Error("given up"));
        });
      });
    });
    page.callback("after", () => queued.open());
    const own = await page.connect();
    const { call } = (await connect("a")).rpc({ timeout: 10_000 });
    // The second is given up while it waits for the first.
    const [first, second] = await Promise.all([
      call("page", "wait", [], { serde: "json", timeout: 0.5 }),
      call("page", "wait", [], { serde: "json", timeout: 0.1 }),
    ]);
    equal([first[0], second[0]], ["CallTimeout", "CallTimeout"]);
    await aborted.opened;
    equal(await own.rpc({ receiver: "page" }).after(), null);
    await queued.opened;
    equal(ran, 1);
  },

  async "a function of ours may stop its client"({ client, connect }) {
    const page = client("page");
    const stopped = gate();
    page.callback("quit", async () => {
      await page.stop();
      stopped.open();
    });
    await page.connect();
    const conn = await connect("a");
    const began = performance.now();
    await fails(conn.rpc({ receiver: "page" }).quit(), Disconnected);
    await stopped.opened;
    ok(performance.now() - began < 5000, "it does not wait for itself");
    const other = client("other");
    other.callback("bye", () => (void other.stop(), "bye"));
    await other.connect();
    equal(await conn.rpc({ receiver: "other" }).bye(), "bye");
  },

  async "nested calls inherit what is left, and go on in their chain"({ client, connect }) {
    const page = client("page", { workers: 1 });
    page.callback("down", async (/** @type {number} */ n) => {
      const { conn } = currentCall();
      await Promise.resolve();
      return n ? 1 + (await conn.rpc({ receiver: "page" }).down(n - 1)) : 0;
    });
    page.callback("round", async () => {
      const { conn } = currentCall();
      return conn.rpc({ receiver: "worker" }).call("page", "down", [2], { serde: "json" });
    });
    page.callback("wait", async () => currentCall().conn.rpc({ receiver: "worker" }).wait("nested"));
    await page.connect();
    const conn = await connect("a");
    const call = conn.rpc({ receiver: "page", timeout: 5000 });
    equal(await call.down(5), 5);
    equal(await call.round(), 2);
    // Both calls end at the same time, and the inner one may be heard of first.
    await fails(conn.rpc({ receiver: "page", timeout: 150 }).wait(), DaffiError, /no answer to wait/);
    equal(await conn.rpc({ receiver: "worker" }).was_given_up("nested"), true);
    await fails((async () => currentCall())(), Error, /no current call/);
  },

  async "streams of Python run one item at a time, and end with what fails"({ client, connect }) {
    const page = client("page");
    /** @type {number[]} */
    const came = [];
    const all = gate();
    page.callback("item", async (/** @type {number} */ n) => {
      await new Promise((resolve) => setTimeout(resolve, n % 3));
      came.push(n);
      if (came.length === 400) all.open();
      if (n === 700) throw new Error("seven hundred");
    });
    await page.connect();
    const { pour } = (await connect("a")).rpc({ timeout: 20_000 });
    equal(await pour("page", "item", 100, true), "sent");
    equal(came, Array.from({ length: 100 }, (_, n) => n));
    equal(await pour("page", "item", 300, false), "sent");
    await all.opened;
    equal(came.slice(100), Array.from({ length: 300 }, (_, n) => n));
    const [type, text] = await pour("page", "item", 1000, true);
    equal([type, text], ["RemoteCallError", "Error: seven hundred"]);
    equal(came.at(-1), 700);
  },

  async "more calls than run at once wait, and none is lost"({ client, connect }) {
    const page = client("page", { workers: 3 });
    let [running, most] = [0, 0];
    page.callback("work", async (/** @type {number} */ n) => {
      most = Math.max(most, (running += 1));
      await Promise.resolve();
      running -= 1;
      return n;
    });
    await page.connect();
    const { work } = (await connect("a")).rpc({ timeout: 20_000 });
    const all = await Promise.all(Array.from({ length: 3000 }, (_, n) => work(n)));
    equal(all, Array.from({ length: 3000 }, (_, n) => n));
    equal(most, 3);
  },

  async "stop lets functions of ours end"({ client, connect }) {
    const page = client("page");
    const began = gate();
    page.callback("slow", async () => {
      began.open();
      await new Promise((resolve) => setTimeout(resolve, 150));
      return "ended well";
    });
    await page.connect();
    const conn = await connect("a");
    const call = conn.rpc({ receiver: "page" }).slow();
    await began.opened;
    await page.stop();
    equal(await call, "ended well");
    await fails(conn.rpc({ receiver: "page" }).slow(), TransmissionFailure);
  },

  async "a call under way ends when its worker does"({ client, connect }) {
    const page = client("page");
    const began = gate();
    page.callback("hang", () => (began.open(), new Promise(() => {})));
    await page.connect();
    const call = (await connect("a")).rpc({ receiver: "page" }).hang();
    const gone = fails(call, Disconnected);
    await began.opened;
    await client("page").connect();
    equal((await gone).sent, null);
  },
};
