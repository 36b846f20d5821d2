/** Networks of Python processes for the tests, started and ended. */

import { spawn } from "node:child_process";
import { createInterface } from "node:readline";
import { fileURLToPath } from "node:url";

const PYTHON = process.env.DAFFI_PYTHON ?? "python3";

/** How long a process may take to say something, in ms. */
const PATIENCE = 20_000;

/** One Python process, its lines, and its end. */
export class Program {
  /** @type {string[]} */
  #lines = [];
  #wake = () => {};
  #complaints = "";

  /**
   * @param {string} file
   * @param {string[]} args
   */
  constructor(file, args) {
    this.file = file;
    this.process = spawn(PYTHON, ["-u", file, ...args], { stdio: ["pipe", "pipe", "pipe"] });
    this.process.stderr.on("data", (data) => (this.#complaints += data));
    createInterface(this.process.stdout).on("line", (line) => {
      this.#lines.push(line);
      this.#wake();
    });
    /** The exit code. @type {Promise<number | null>} */
    this.ended = new Promise((resolve) => {
      this.process.on("exit", (code) => {
        resolve(code);
        this.#wake();
      });
    });
  }

  /** The next line; an error when none comes. */
  async line() {
    const late = setTimeout(() => this.process.kill("SIGKILL"), PATIENCE);
    try {
      for (;;) {
        const line = this.#lines.shift();
        if (line !== undefined) return line;
        if (this.process.exitCode !== null || this.process.signalCode !== null) {
          throw new Error(`${this.file} ended\n${this.#complaints}`);
        }
        await new Promise((wake) => (this.#wake = () => wake(null)));
      }
    } finally {
      clearTimeout(late);
    }
  }

  /** @param {string} line */
  tell(line) {
    this.process.stdin.write(`${line}\n`);
  }

  /** Whatever it does. */
  async end() {
    this.process.stdin.end();
    const late = setTimeout(() => this.process.kill("SIGKILL"), PATIENCE);
    await this.ended;
    clearTimeout(late);
    return this.#complaints;
  }
}

/** A server with what stands behind it. */
export class Network {
  /** @type {Promise<unknown>} */
  #turn = Promise.resolve();

  /**
   * @param {Program} program
   * @param {number} port
   */
  constructor(program, port) {
    this.program = program;
    this.port = port;
    this.url = `ws://127.0.0.1:${port}`;
  }

  /**
   * @param {"service" | "router"} topology
   * @param {Record<string, unknown>} [options] of the server
   */
  static async start(topology, options = {}) {
    const file = fileURLToPath(new URL("network.py", import.meta.url));
    const given = Object.entries(options).map(([key, value]) => `${key}=${JSON.stringify(value)}`);
    const program = new Program(file, [topology, ...given]);
    const [ready, port] = (await program.line()).split(" ");
    if (ready !== "ready") throw new Error(`${file} says ${ready}`);
    return new Network(program, Number(port));
  }

  /**
   * Have something done to the server.
   * @param {string} command
   */
  control(command) {
    const done = this.#turn.then(async () => {
      this.program.tell(command);
      await this.program.line();
    });
    this.#turn = done;
    return done;
  }

  end() {
    return this.program.end();
  }
}
