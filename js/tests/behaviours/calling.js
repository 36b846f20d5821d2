/**
 * What a caller may rely on, written once: run on Node and in a browser, over a Service and a
 * Router. Imports `expect` and the client.
 */

import { CallTimeout, Disconnected, Evicted, InitializationError, MessageTooLarge, Overloaded, RemoteCallError, SerializationError, TransmissionFailure } from "../../daffi.js"; // prettier-ignore
import { equal, fails, gate, ok } from "../expect.js";

/** @typedef {import("../stage.js").Behaviour} Behaviour */

const MIB = 2 ** 20;

/** Over both topologies. @type {Record<string, Behaviour>} */
export const anywhere = {
  async "calls return what was returned, in each format"({ connect }) {
    const conn = await connect("a");
    equal(await conn.rpc().add(3, 4), 7);
    for (const serde of /** @type {const} */ (["json", "msgpack"])) {
      for (const value of [null, true, -1, 1.5, "größer", [1, [2]], { a: { b: null } }]) {
        equal(await conn.rpc({ serde }).echo(value), value);
      }
      equal(await conn.rpc({ serde, kwargs: { b: 2, c: "x" } }).arguments(1), [[1], { b: 2, c: "x" }]);
    }
    const bytes = Uint8Array.from({ length: 300 }, (_, n) => n);
    equal(await conn.rpc({ serde: "msgpack" }).echo({ bytes }), { bytes });
    equal(await conn.rpc({ serde: "raw" }).echo(bytes), bytes);
    equal(await conn.rpc({ serde: "raw" }).echo("grüße"), "grüße");
    equal(await conn.rpc({ serde: "raw" }).kind("text"), "str");
  },

  async "integers beyond 2^53 arrive as BigInt, and as int over there"({ connect }) {
    const conn = await connect("a");
    for (const serde of /** @type {const} */ (["json", "msgpack"])) {
      for (const value of [2n ** 53n, -(2n ** 63n), 2n ** 64n - 1n, 2 ** 40, Number.MAX_SAFE_INTEGER]) {
        equal(await conn.rpc({ serde }).echo(value), value);
        equal(await conn.rpc({ serde }).kind(value), "int");
      }
      equal(await conn.rpc({ serde }).add(2n ** 53n, 1), 2n ** 53n + 1n);
      equal(await conn.rpc({ serde }).add(2n ** 53n, -1), 2 ** 53 - 1);
      equal(await conn.rpc({ serde }).kind(0.5), "float");
    }
    equal(await conn.rpc().kind(1e20), "float");
  },

  async "many calls at once get their own answers"({ connect }) {
    const call = (await connect("a")).rpc({ timeout: 20_000 });
    const sums = await Promise.all(Array.from({ length: 3000 }, (_, n) => call.add(n, n)));
    equal(sums, Array.from({ length: 3000 }, (_, n) => 2 * n));
  },

  async "what was raised arrives with its type and traceback"({ connect, worker }) {
    const conn = await connect("a");
    const call = conn.rpc({ receiver: worker });
    const error = await fails(call.fail("no such thing"), RemoteCallError, /^no such thing$/);
    equal([error.remoteType, error.worker, error.args], ["ValueError", worker, ["no such thing"]]);
    ok(/in fail\n.*raise ValueError/s.test(error.remoteTraceback), "the traceback of Python");
  },

  async "failures have a class each"({ connect, client }) {
    const conn = await connect("a");
    await fails(conn.rpc().nothing(), TransmissionFailure, /nothing/);
    await fails(conn.rpc({ receiver: "nobody" }).add(1, 2), TransmissionFailure, /nobody/);
    await fails(conn.rpc().add({ a: NaN }, 1), SerializationError, /args\[0\]\.a/);
    await fails(conn.rpc().add(1, 2, 3), RemoteCallError, /positional/);
    await fails(conn.rpc({ serde: "raw" }).echo(1), TypeError);
    await fails(client("b").connect().then((other) => other.rpc({ serde: "raw" }).add("a")), RemoteCallError);
    const small = await connect("c", { maxMessage: 1000 });
    await fails(small.rpc().echo("x".repeat(1000)), MessageTooLarge);
    await fails(small.rpc({ serde: "msgpack" }).blob(100_000), MessageTooLarge);
    equal(await small.rpc().add(1, 1), 2);
    await fails((async () => conn.rpc()._hidden())(), TypeError);
    await fails((async () => conn.rpc({ serde: /** @type {any} */ ("xml") }))(), TypeError);
  },

  async "a result that can't be read is an error of its call alone"({ connect }) {
    const conn = await connect("a");
    const calls = ["keys", "proto"].map((what) => conn.rpc({ serde: "msgpack", timeout: 10_000 }).unreadable(what));
    const answered = conn.rpc().add(1, 2);
    for (const call of calls) await fails(call, SerializationError, /the result can't be read: /);
    equal(await answered, 3);
    const escapes = "\n\"1234567890123456789".repeat(200_000);
    const [text, number] = await conn.rpc().echo([escapes, 2n ** 60n]);
    ok(text === escapes && number === 2n ** 60n, "long strings with escapes");
  },

  async "wrong options of a call are errors at once, and leave nothing behind"({ client }) {
    const node = client("a");
    const conn = await node.connect();
    const wrong = [
      [{ timout: 5 }, /no option timout: there are timeout,/],
      [{ timeout: -1 }, /timeout is a number of milliseconds, or null, not -1/],
      [{ timeout: NaN }, /not NaN/],
      [{ timeout: "5" }, /timeout is a number/],
      [{ receiver: null }, /receiver is a name, not null/],
      [{ serde: "pickle" }, /json, msgpack and raw/],
      [{ kwargs: [1] }, /kwargs is an object/],
      [{ signal: new AbortController() }, /AbortSignal/],
      [null, /options are an object/],
    ];
    for (const [options, text] of wrong) {
      const call = async () => conn.rpc(/** @type {any} */ (options)).add(1, 2);
      await fails(call(), TypeError, /** @type {RegExp} */ (text));
    }
    await fails(conn.waitForMembers("a", /** @type {any} */ ({ timeout: -1 })), TypeError, /milliseconds/);
    await fails((async () => conn.cast({ receiver: [] }).add(1, 2))(), TypeError, /at least one/);
    for (const timeout of [null, Infinity, 1e300, 1e13, 2 ** 40]) {
      equal(await conn.rpc({ timeout }).add(1, 2), 3);
      await conn.stream({ timeout }).take([{ key: "endless", value: 1 }]);
      await conn.waitForMembers(["a"], { timeout });
    }
    const began = performance.now();
    await node.stop();
    ok(performance.now() - began < 5000, "nothing that stop() waits for");
  },

  async "a timeout reaches the function"({ connect }) {
    const conn = await connect("a");
    const error = await fails(conn.rpc({ timeout: 150 }).wait("late"), CallTimeout, /wait/);
    equal([error.call, error.timeout], ["wait", 150]);
    ok(Number(error.elapsed) >= 149, "at least 149 ms");
    equal(await conn.rpc().was_given_up("late"), true);
  },

  async "an AbortSignal reaches the function"({ connect }) {
    const conn = await connect("a");
    const controller = new AbortController();
    const call = conn.rpc({ signal: controller.signal }).wait("aborted");
    equal(await conn.rpc().add(1, 1), 2);
    controller.abort(new RangeError("changed my mind"));
    await fails(call, RangeError, /changed my mind/);
    equal(await conn.rpc().was_given_up("aborted"), true);
    await fails(conn.rpc({ signal: controller.signal }).add(1, 1), RangeError);
  },

  async "large messages go and come in pieces"({ connect }) {
    const conn = await connect("a");
    for (const size of [65_535, 65_536, 65_537, 5 * MIB]) {
      const bytes = Uint8Array.from({ length: size }, (_, n) => n % 256);
      const [large, small] = await Promise.all([
        conn.rpc({ serde: "raw", timeout: 30_000 }).echo(bytes),
        conn.rpc({ timeout: 30_000 }).add(1, 2),
      ]);
      equal([large.length, small], [size, 3]);
      ok(large.every((/** @type {number} */ byte, /** @type {number} */ n) => byte === n % 256), "the same");
    }
    const many = [6, 7, 8].map((mib) => conn.rpc({ serde: "msgpack" }).blob(mib * MIB));
    equal((await Promise.all(many)).map((one) => one.length / MIB), [6, 7, 8]);
  },

  async "a large message that is given up leaves the connection as it was"({ connect }) {
    const conn = await connect("a");
    const bytes = new Uint8Array(48 * MIB);
    const up = conn.rpc({ serde: "raw", signal: AbortSignal.timeout(30) }).echo(bytes);
    await fails(up, DOMException);
    const down = conn.rpc({ serde: "msgpack", timeout: 60 }).blob(96 * MIB);
    await fails(down, CallTimeout);
    equal(await conn.rpc({ timeout: 10_000 }).add(20, 1), 21);
  },

  async "calls that nobody waits for arrive"({ connect }) {
    const conn = await connect("a");
    for (let n = 0; n < 500; n += 1) void conn.rpc_nowait().take({ key: "post", value: n });
    equal(await conn.rpc().took("post", 500), Array.from({ length: 500 }, (_, n) => n));
    await conn.cast_nowait({ serde: "msgpack" }).take({ key: "cast", value: 1 });
    equal(await conn.rpc().took("cast", 1), [1]);
    let refused = 0;
    for (let n = 0; n < 20_000; n += 1) {
      try {
        void conn.rpc_nowait().add(n, n);
      } catch (error) {
        ok(error instanceof Overloaded);
        refused += 1;
      }
    }
    ok(refused > 0, "a limit");
    equal(await conn.rpc().add(1, 2), 3); // behind all the others: there is room again
    for (let n = 0; n < 2000; n += 1) await conn.rpc_nowait().take({ key: "awaited", value: n });
    equal((await conn.rpc().took("awaited", 2000)).length, 2000);
  },

  async "streams come from generators, one item after the other"({ connect }) {
    const conn = await connect("a");
    await conn.stream().take((function* () {
      for (let n = 0; n < 50; n += 1) yield { key: "sync", value: n };
    })()); // prettier-ignore
    equal(await conn.rpc().took("sync"), Array.from({ length: 50 }, (_, n) => n));
    /** What had arrived when the next was made. @type {number[]} */
    const before = [];
    await conn.stream().take((async function* () {
      for (let n = 0; n < 4; n += 1) {
        before.push((await conn.rpc().took("async")).length);
        yield { key: "async", value: n };
      }
    })()); // prettier-ignore
    equal(before, [0, 1, 2, 3]);
    await conn.stream().take([]);
    await conn.stream({ serde: "raw" }).take([new Uint8Array(3), new Uint8Array(3 * MIB), "text"]);
    equal(await conn.rpc().took("raw"), [3, 3 * MIB, "text"]);
    await conn.stream_nowait().take((function* () {
      for (let n = 14; n < 1014; n += 1) yield { key: "nowait", value: n };
    })()); // prettier-ignore
    equal((await conn.rpc().took("nowait", 1000)).at(-1), 1013);
  },

  async "a stream takes single items over one proxy"({ connect }) {
    const conn = await connect("a");
    const pipe = conn.stream();
    await Promise.all([0, 1, 2].map((n) => pipe.take({ key: "single", value: n })));
    equal(await conn.rpc().took("single"), [0, 1, 2]);
  },

  async "an item that fails ends its stream, and the generator"({ connect }) {
    const conn = await connect("a");
    const closed = gate();
    async function* items() {
      try {
        for (let n = 11; n < 100; n += 1) yield { key: "failing", value: n };
      } finally {
        closed.open();
      }
    }
    await fails(conn.stream().take(items()), RemoteCallError, /thirteen/);
    await closed.opened;
    equal(await conn.rpc().took("failing"), [11, 12]);
    const own = (function* () {
      yield { key: "own", value: 1 };
      throw new RangeError("of the generator");
    })();
    await fails(conn.stream().take(own), RangeError, /of the generator/);
    await fails(conn.stream({ timeout: 100 }).wait(["stuck"]), CallTimeout);
    equal(await conn.rpc().was_given_up("stuck"), true);
    equal(await conn.rpc().add(1, 2), 3);
  },

  async "who is there can be asked for and waited for"({ connect, client, topology }) {
    const conn = await connect("a");
    const members = await conn.members();
    const offers = topology === "router" ? "worker" : "server";
    const found = members.find(({ name }) => name === offers);
    ok(found?.functions.some(({ name, doc }) => name === "add" && doc === "Add."), "add");
    await fails(conn.waitForMembers("zoe", { timeout: 50 }), CallTimeout, /zoe/);
    const both = conn.waitForMembers(["zoe", "server"], { timeout: 10_000 });
    await client("zoe").connect();
    await both;
    await conn.waitForFunction("echo");
  },

  async "handlers hear who comes and goes, in order"({ client }) {
    const watcher = client("watcher");
    /** @type {string[]} */
    const heard = [];
    const [came, went] = [gate(), gate()];
    watcher.addEventHandler(({ type, member }) => {
      if (member === "guest" || member === "server") heard.push(`${type} ${member}`);
      if (heard.at(-1) === "connected guest") came.open();
      if (heard.at(-1) === "disconnected guest") went.open();
    });
    await watcher.connect();
    const guest = client("guest");
    await guest.connect();
    await came.opened;
    await guest.stop();
    await went.opened;
    equal(heard, ["connected server", "connected guest", "disconnected guest"]);
    const late = gate();
    watcher.addEventHandler(({ member }) => member === "server" && late.open());
    await late.opened;
  },

  async "a name that is taken over is not fought for"({ client, connect }) {
    const conn = await connect("twice");
    const waiting = conn.rpc().wait("evicted");
    equal(await conn.rpc().add(1, 1), 2);
    await client("twice").connect();
    await fails(waiting, Evicted);
    await fails(conn.rpc().add(1, 1), Evicted);
  },

  async "it comes back after a restart of the server"({ client, connect, control }) {
    const node = client("back", { reconnectDelay: 20 });
    /** @type {string[]} */
    const heard = [];
    const [lost, back, again] = [gate(), gate(), gate()];
    node.addEventHandler(({ type, member }) => {
      if (member !== "server") return;
      heard.push(type);
      if (type === "disconnected") lost.open();
      if (heard.length === 3) back.open();
      if (heard.length === 5) again.open();
    });
    const conn = await node.connect();
    const once = await connect("once", { autoreconnect: false });
    const under_way = conn.rpc().wait("cut", 60);
    const error = fails(under_way, Disconnected);
    equal(await conn.rpc().add(1, 1), 2);
    await control("kill");
    equal((await error).sent, null);
    await lost.opened;
    const short = await fails(conn.rpc({ timeout: 50 }).add(1, 1), Disconnected, /no connection/);
    equal(short.sent, false);
    await fails(once.rpc().add(1, 1), Disconnected);
    const waits = conn.waitForFunction("add", { timeout: 20_000 });
    await control("restart");
    await back.opened;
    await waits;
    equal(await conn.rpc({ timeout: 20_000 }).add(20, 22), 42);
    await control("stop");
    await control("start");
    await again.opened;
    await conn.waitForFunction("wait", { timeout: 20_000 });
    equal(heard, ["connected", "disconnected", "connected", "disconnected", "connected"]);
  },

  async "stop lets calls end, and what was posted arrive"({ client, connect }) {
    const node = client("leaver");
    const conn = await node.connect();
    const slow = conn.rpc().wait("finished", 0.2);
    void conn.rpc_nowait().take({ key: "last", value: 1 });
    void conn.rpc_nowait({ serde: "msgpack" }).take({ key: "last", value: new Uint8Array(3 * MIB) });
    await node.stop();
    equal(await slow, "finished");
    await fails(conn.rpc().add(1, 2), Disconnected, /stopped/);
    await fails(node.connect(), Disconnected);
    equal(await (await connect("b")).rpc().took("last", 2), [1, 3 * MIB]);
  },

  async "a server that is not there, or no address, is an error that says so"({ client }) {
    await fails((async () => client("a", { wsUrl: "http://127.0.0.1" }))(), InitializationError, /ws:/);
    const nobody = client("a", { wsUrl: "ws://127.0.0.1:1" });
    await fails((async () => nobody.members())(), InitializationError, /connect\(\)/);
    const text = /can't connect to ws:\/\/127\.0\.0\.1:1/;
    await fails(nobody.connect(), InitializationError, text);
    await fails(nobody.connect({ wait: 200 }), InitializationError, text);
    const controller = new AbortController();
    const trying = nobody.connect({ wait: 60_000, signal: controller.signal });
    controller.abort(new RangeError("enough"));
    await fails(trying, RangeError);
  },
};
