/** Functions that this page offers, and Python calls. */

import { currentCall } from "../../../js/daffi.js";
import { connect, element, log } from "../page.js";

const canvas = /** @type {HTMLCanvasElement} */ (element("picture"));
const pen = /** @type {CanvasRenderingContext2D} */ (canvas.getContext("2d"));
pen.scale(3, 3);

/**
 * A function as any other: what it returns is the answer.
 * @param {[number, number][]} points @param {{colour?: string}} [options] keyword arguments
 */
function draw(points, { colour = "teal" } = {}) {
  pen.lineWidth = 3;
  pen.strokeStyle = colour;
  pen.beginPath();
  for (const [x, y] of points) pen.lineTo(x, y);
  pen.stroke();
  return points.length;
}

/**
 * One that takes its time. Whoever asked may change their mind: the signal says so.
 * @param {string} question
 * @returns {Promise<string>}
 */
function ask(question) {
  const { signal } = currentCall();
  element("question").textContent = question;
  element("answer").disabled = false;
  element("answer").focus();
  return new Promise((resolve, reject) => {
    const done = () => {
      element("question").textContent = "Nothing now.";
      element("answer").value = "";
      element("answer").disabled = true;
    };
    element("send").onclick = () => {
      resolve(element("answer").value);
      done();
    };
    signal.addEventListener("abort", () => {
      reject(new Error("nobody waits for it any more"));
      done();
    });
  });
}

/** One that fails. @param {string} name */
function cookie(name) {
  throw new RangeError(`there is no cookie ${name}`);
}

await connect("page", ["1_router.py", "2_caller.py"], (client) => {
  for (const run of [draw, ask, cookie]) {
    client.callback(run.name, (...args) => {
      const { caller } = currentCall();
      const said = args.map((each) => (Array.isArray(each) ? `[${each.length} points]` : JSON.stringify(each)));
      // Called here, before anything is awaited: `run` may ask for the current call too.
      const outcome = (async () => run(.../** @type {[any]} */ (args)))();
      void log(`${caller}: ${run.name}(${said.join(", ")})`, outcome);
      return outcome;
    });
  }
});
