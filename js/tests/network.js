/** Networks of Python processes for the tests, started and ended. */

import { spawn } from "node:child_process";
import { createInterface } from "node:readline";
import { fileURLToPath } from "node:url";

/** The Python that has daffi. */
export const PYTHON = process.env.DAFFI_PYTHON ?? "python3";

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
   * @param {{cwd?: string, env?: Record<string, string | undefined>}} [where]
   */
  constructor(file, args, where = {}) {
    this.file = file;
    this.process = spawn(PYTHON, ["-u", file, ...args], { ...where, stdio: ["pipe", "pipe", "pipe"] });
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
   * @param {(port: number) => Promise<Program>} again starts it there
   */
  constructor(program, port, again) {
    this.program = program;
    this.port = port;
    this.url = `ws://127.0.0.1:${port}`;
    this.again = again;
  }

  /**
   * @param {"service" | "router"} topology
   * @param {Record<string, unknown>} [options] of the server
   */
  static async start(topology, options = {}) {
    const file = fileURLToPath(new URL("network.py", import.meta.url));
    const begin = (/** @type {number} */ port) => {
      const given = Object.entries({ ...options, port });
      return new Program(file, [topology, ...given.map(([key, value]) => `${key}=${JSON.stringify(value)}`)]);
    };
    const ready = async (/** @type {Program} */ program) => {
      const [word, port] = (await program.line()).split(" ");
      if (word !== "ready") throw new Error(`${file} says ${word}`);
      return Number(port);
    };
    const program = begin(0);
    return new Network(program, await ready(program), async (port) => {
      const next = begin(port);
      await ready(next);
      return next;
    });
  }

  /**
   * Have something done to the server: `stop`, `start`, or, to all its programs, `kill` and
   * `restart`.
   * @param {string} command
   */
  control(command) {
    const done = this.#turn.then(() => this.#do(command));
    this.#turn = done;
    return done;
  }

  /** @param {string} command */
  async #do(command) {
    if (command === "kill") {
      this.program.process.kill("SIGKILL");
      await this.program.ended;
    } else if (command === "restart") {
      this.program = await this.again(this.port);
    } else {
      this.program.tell(command);
      await this.program.line();
    }
  }

  end() {
    return this.program.end();
  }
}
