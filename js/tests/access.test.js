/** Who gets in: tokens, refusals, options. */

import assert from "node:assert/strict";
import { inspect } from "node:util";
import { after, before, test } from "node:test";
import { WebSocketServer } from "ws";
import { Kind, PREAMBLE, encode, frame, readFrame } from "../codec.js";
import { AuthenticationError, DaffiClient, InitializationError } from "../daffi.js";
import { packMap } from "../formats.js";
import { readMap } from "../greeting.js";
import { Network } from "./network.js";

const TOKEN = "Žofie 水 🦀";

/** @type {Network} */
let guarded;
/** @type {Network} */
let open;

before(async () => {
  guarded = await Network.start("router", { token: TOKEN });
  open = await Network.start("service");
});
after(() => Promise.all([guarded.end(), open.end()]));

/** @param {string} wsUrl @param {string} [token] */
async function attempt(wsUrl, token) {
  const client = new DaffiClient("a", { wsUrl, token });
  try {
    return await (await client.connect()).rpc().add(1, 2);
  } finally {
    await client.stop();
  }
}

test("who knows the token comes in", async () => {
  assert.equal(await attempt(guarded.url, TOKEN), 3);
});

test("who does not know it learns only that", async () => {
  for (const token of [undefined, "wrong", `${TOKEN} `]) {
    await assert.rejects(attempt(guarded.url, token), (/** @type {Error} */ error) => {
      assert.ok(error instanceof AuthenticationError, error.message);
      assert.match(error.message, /can't connect to ws:.*token/);
      assert.ok(!error.message.includes(TOKEN));
      return true;
    });
  }
  assert.throws(() => new DaffiClient("a", { wsUrl: open.url, token: "" }), InitializationError);
});

test("a server that does not ask for it is not trusted", async () => {
  await assert.rejects(attempt(open.url, TOKEN), /does not ask for the token/);
});

test("the token is nowhere to be seen", () => {
  const client = new DaffiClient("a", { wsUrl: open.url, token: TOKEN });
  assert.ok(!inspect(client, { depth: 9, showHidden: true }).includes(TOKEN));
  assert.ok(!JSON.stringify(client).includes(TOKEN));
});

/**
 * A server that asks for the token and does not know it.
 * @param {(proof: Record<string, any>, server: object) => object} welcome what it says in the end
 */
async function impostor(welcome) {
  const listening = new WebSocketServer({ port: 0, host: "127.0.0.1" });
  await new Promise((resolve) => listening.once("listening", resolve));
  const server = { name: "router", incarnation: new Uint8Array(16) };
  listening.on("connection", (socket) => {
    socket.once("message", () => {
      const body = packMap({ ...server, nonce: new Uint8Array(32).fill(7) });
      socket.send(Buffer.concat([PREAMBLE, encode(frame(Kind.CHALLENGE, 0, { body }))]));
      socket.once("message", (/** @type {Buffer} */ data) => {
        const proof = readMap(/** @type {any} */ (readFrame(data, 0)).frame.body);
        socket.send(encode(frame(Kind.WELCOME, 0, { body: packMap(welcome(proof, server)) })));
      });
    });
  });
  const { port } = /** @type {import("node:net").AddressInfo} */ (listening.address());
  const close = () => {
    for (const socket of listening.clients) socket.terminate();
    listening.close();
  };
  return { url: `ws://127.0.0.1:${port}`, close };
}

test("a server that reflects the proof, or gives none, is found out", async () => {
  const limits = { max_message: 1000, calls: 10, bytes: 1000 };
  for (const proof of [undefined, new Uint8Array(32), "reflected", new Uint8Array(31)]) {
    const { url, close } = await impostor((said, server) => {
      return { ...server, limits, proof: proof === "reflected" ? said.proof : proof };
    });
    try {
      await assert.rejects(attempt(url, TOKEN), /it does not know the token/);
    } finally {
      close();
    }
  }
});

test("what a server says when it refuses is heard on Node", async () => {
  const network = await Network.start("service", { allowed_hosts: ["example.com"] });
  try {
    await assert.rejects(attempt(network.url), /: can't connect to ws:\S+: (?!can't).*allowed_hosts/s);
  } finally {
    await network.end();
  }
});

test("wrong options are errors that name them", () => {
  const wrong = (/** @type {any} */ name, /** @type {any} */ options) => () => new DaffiClient(name, options);
  assert.throws(wrong("a", undefined), /say where the server is/);
  assert.throws(wrong("a", { wsUrl: "localhost:7700" }), /ws:/);
  assert.throws(wrong("a", { wsUrl: "ws://h:1/#x" }), /#fragment/);
  assert.throws(wrong("", { wsUrl: "ws://h:1" }), /not empty/);
  assert.throws(wrong(3, { wsUrl: "ws://h:1" }), /a name is a text/);
  assert.throws(wrong("a", { wsUrl: "ws://h:1", timeout: 3 }), /no option timeout/);
  for (const [key, value] of [
    ["workers", 0], ["workers", "2"], ["reconnectDelay", 0], ["reconnectDelay", NaN], ["connectTimeout", -1],
    ["connectTimeout", Infinity], ["defaultTimeout", "x"], ["maxMessage", 0.5], ["autoreconnect", "no"],
  ]) {
    const text = new RegExp(`^${key} is .*, not ${value}$`);
    assert.throws(wrong("a", { wsUrl: "ws://h:1", [key]: value }), { name: "InitializationError", message: text });
  }
  wrong("a", { wsUrl: "ws://h:1", workers: undefined, defaultTimeout: null, token: undefined })();
  assert.match(new DaffiClient(null, { wsUrl: "ws://h:1" }).name, /^node-[0-9a-f]{10}$/);
  const client = new DaffiClient("a", { wsUrl: "ws://h:1" });
  assert.throws(() => client.callback("a", function* () {}), /generator/);
  assert.throws(() => client.callback("_a", () => 1), /can't be named/);
});
