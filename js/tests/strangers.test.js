/** Servers that are none, or break: an error that says so, and a Node that goes on and ends. */

import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { createServer, connect as dial } from "node:net";
import { after, before, test } from "node:test";
import { fileURLToPath } from "node:url";
import { DaffiClient, Disconnected, InitializationError, ProtocolError } from "../daffi.js";
import { Network } from "./network.js";

/** @typedef {import("node:net").Socket} Socket */

/** @type {Network} */
let network;

before(async () => {
  network = await Network.start("router", { allowed_hosts: ["*"] });
});
after(() => network.end());

/**
 * Somebody who listens.
 * @param {(socket: Socket) => void} greet
 */
async function listening(greet) {
  /** @type {Set<Socket>} */
  const sockets = new Set();
  const server = createServer((socket) => {
    sockets.add(socket.on("error", () => {}));
    greet(socket);
  });
  await new Promise((resolve) => server.listen(0, "127.0.0.1", () => resolve(null)));
  const { port } = /** @type {import("node:net").AddressInfo} */ (server.address());
  const close = () => {
    for (const socket of sockets) socket.destroy();
    server.close();
  };
  return { wsUrl: `ws://127.0.0.1:${port}`, close };
}

const CHUNKED = "HTTP/1.1 200 OK\r\nContent-Type: text/html\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nabcde\r\n";
const PAGE = `<html>${"<p>not found</p>".repeat(20)}</html>`;

for (const [what, greet, text] of /** @type {[string, (socket: Socket) => void, RegExp][]} */ ([
  ["says nothing", () => {}, /no answer in 0.3 s$/],
  ["does not end its refusal", (socket) => socket.once("data", () => socket.write(CHUNKED)), /no answer in 0.3 s$/],
  [
    "breaks off its refusal",
    (socket) => socket.once("data", () => socket.write(CHUNKED, () => socket.resetAndDestroy())),
    /: [^:]+$/,
  ],
  [
    "has a web page for us",
    (socket) =>
      socket.once("data", () => {
        socket.end(`HTTP/1.1 404 Not Found\r\nContent-Length: ${PAGE.length}\r\n\r\n${PAGE}`);
      }),
    /: it refuses: 404$/,
  ],
])) {
  test(`a server that ${what}`, { timeout: 20_000 }, async () => {
    const { wsUrl, close } = await listening(greet);
    const client = new DaffiClient("a", { wsUrl, connectTimeout: 300 });
    try {
      await assert.rejects(client.connect(), (/** @type {Error} */ error) => {
        assert.ok(error instanceof InitializationError, String(error));
        assert.match(error.message, text);
        return true;
      });
    } finally {
      await client.stop();
      close();
    }
  });
}

test("connect() is given up where what is offered does not get there", { timeout: 20_000 }, async () => {
  let holds = true;
  const { wsUrl, close } = await listening((inner) => {
    const outer = dial(network.port, "127.0.0.1").on("error", () => {});
    outer.pipe(inner);
    inner.on("close", () => outer.destroy());
    let held = false;
    inner.on("data", (data) => {
      held ||= holds && data.length > 8_000; // the announcement
      if (!held) outer.write(data);
    });
  });
  const client = new DaffiClient("many", { wsUrl, connectTimeout: 500 });
  const other = new DaffiClient("other", { wsUrl: `ws://127.0.0.1:${network.port}` });
  for (let i = 0; i < 5_000; i += 1) client.callback(`given_up_${i}`, () => i);
  try {
    await assert.rejects(client.connect(), InitializationError);
    assert.equal(client.isConnected, false);
    const signal = AbortSignal.timeout(200);
    await assert.rejects(client.connect({ signal }), { name: "TimeoutError" });
    assert.equal(client.isConnected, false);
    holds = false;
    await client.connect();
    const conn = await other.connect();
    assert.equal(await conn.rpc().given_up_4999(), 4_999);
  } finally {
    await Promise.all([client.stop(), other.stop()]);
    close();
  }
});

/** A frame of PRESENCE whose body is no MessagePack, in a message. */
const NO_BODY = [0x82, 18, 2, 0, 0, 0, 0x42, ...Array(11).fill(0), 0xc1, 0xc1];
const JUNK = {
  "a frame that no WebSocket has": [0xff, 0xff, 0xff, 0xff],
  "a message without an end": [0x82, 0x7f, 0, 0, 1, 0, 0, 0, 0, 0],
  "text that is none": [0x81, 2, 0xff, 0xff],
  text: [0x81, 2, 0x61, 0x62],
  "a part of a frame": [0x82, 3, 1, 2, 3],
  "a body that is none": NO_BODY,
};

for (const [what, bytes] of Object.entries(JUNK)) {
  test(`${what} ends the connection, and only that`, { timeout: 20_000 }, async () => {
    /** @type {Socket | undefined} */
    let inner;
    const { wsUrl, close } = await listening((socket) => {
      inner = socket;
      const outer = dial(network.port, "127.0.0.1").on("error", () => {});
      socket.pipe(outer).pipe(socket);
    });
    const client = new DaffiClient("junk", { wsUrl, autoreconnect: false });
    try {
      const conn = await client.connect();
      const waiting = conn.rpc().wait("junk");
      assert.equal(await conn.rpc().add(1, 2), 3);
      inner?.write(Uint8Array.from(bytes));
      await assert.rejects(waiting, Disconnected);
    } finally {
      await client.stop();
      close();
    }
  });
}

test("a greeting that makes no sense is one of no daffi", { timeout: 20_000 }, async () => {
  const { WebSocketServer } = await import("ws");
  const server = new WebSocketServer({ port: 0, host: "127.0.0.1" });
  await new Promise((resolve) => server.once("listening", resolve));
  // The preamble, then a WELCOME whose body is no MessagePack.
  const said = [0xda, 0x66, 0x66, 0x69, 1, 1, 0, 0, 2, 0, 0, 0, 4, ...Array(11).fill(0), 0xc1, 0xc1];
  server.on("connection", (socket) => socket.once("message", () => socket.send(Uint8Array.from(said))));
  const { port } = /** @type {import("node:net").AddressInfo} */ (server.address());
  const client = new DaffiClient("a", { wsUrl: `ws://127.0.0.1:${port}` });
  try {
    await assert.rejects(client.connect(), (/** @type {Error} */ error) => {
      assert.ok(error instanceof ProtocolError, String(error));
      assert.match(error.message, /can't connect to ws:.*MessagePack/);
      return true;
    });
  } finally {
    await client.stop();
    for (const socket of server.clients) socket.terminate();
    server.close();
  }
});

test("nothing keeps Node alive once a server is dead, or a client stopped", { timeout: 60_000 }, async () => {
  const daffi = fileURLToPath(new URL("../daffi.js", import.meta.url));
  const script = `
    import { DaffiClient } from ${JSON.stringify(daffi)};
    const stopped = new DaffiClient("stopped", { wsUrl: ${JSON.stringify(network.url)} });
    await (await stopped.connect()).rpc().add(1, 2);
    await stopped.stop();
    const client = new DaffiClient("orphan", { wsUrl: ${JSON.stringify(network.url)}, autoreconnect: false });
    const conn = await client.connect();
    console.log("ready");
    await conn.rpc().wait("for ever").catch(({ message }) => console.log(message));
  `;
  const child = spawn(process.execPath, ["--input-type=module", "-e", script]);
  let printed = "";
  const ready = new Promise((resolve) => {
    child.stdout.on("data", (data) => (printed += data).includes("ready") && resolve(null));
  });
  const ended = new Promise((resolve) => child.on("exit", resolve));
  try {
    await Promise.race([ready, ended]);
    network.program.process.kill("SIGSTOP");
    const began = performance.now();
    assert.equal(await ended, 0);
    assert.match(printed, /silent for 6 s/);
    const seconds = (performance.now() - began) / 1000;
    assert.ok(seconds < 12, `it lived for ${seconds} s`);
  } finally {
    network.program.process.kill("SIGCONT");
    child.kill("SIGKILL");
  }
});
