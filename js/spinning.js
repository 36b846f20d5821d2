/**
 * On Node, the event loop keeps turning for a moment while one call is waited for.
 *
 * To be woken takes longer than many an answer does. So where nothing but one call is under way,
 * the loop looks for its answer again and again before it sleeps; timers and everything else go
 * on meanwhile. Whether that pays is measured, as a busy machine, a single processor or a slow
 * function may have it otherwise. Browsers do not have it; `DAFFI_SPIN=0` turns it off. Imports
 * nothing of ours.
 */

/** The longest that the loop turns for one call, in ms. */
const SPIN = 0.1;
/** Where calls take longer, in ms, a spin makes no difference. */
const SLOW = 0.2;
/** How many calls are measured in a row, each way. */
const SAMPLE = 32;
/** For how many calls the loop spins where that paid, and for how many it sleeps where it did not. */
const HOLDS = { spinning: 2048, sleeping: 512 };
/** It takes processor time, so it has to be faster by this much. */
const GAIN = 0.9;

/** Measures a few calls that sleep and a few that spin, and says what the next ones do. */
export class Gate {
  /** Whether the next call spins. */
  isOpen = false;
  /** What the calls took that were measured: those that slept, and then those that spun.
   * @type {number[]} */
  #took = [];
  /** Calls for which the outcome still holds. */
  #left = 0;

  /**
   * A call has ended.
   * @param {number} took in ms
   */
  note(took) {
    if (this.#left > 0) {
      this.#left -= 1;
      if (this.#left === 0) this.isOpen = false;
      return;
    }
    this.#took.push(took);
    if (this.#took.length === SAMPLE) this.isOpen = true;
    if (this.#took.length < 2 * SAMPLE) return;
    const slept = median(this.#took.slice(0, SAMPLE));
    const spun = median(this.#took.slice(SAMPLE));
    this.isOpen = spun < SLOW && spun < GAIN * slept;
    this.#left = this.isOpen ? HOLDS.spinning : HOLDS.sleeping;
    this.#took = [];
  }
}

/** @param {number[]} values */
function median(values) {
  // A moment for which the machine did something else says nothing of the others.
  return values.sort((one, other) => one - other)[values.length >> 1] ?? 0;
}

/** The waiting for one call at a time. */
export class Spin {
  #gate = new Gate();
  /** When the call was sent that is waited for, on the clock of `performance.now()`. */
  #began = 0;
  #isWaiting = false;
  #isTurning = false;

  /** One call was sent, and nothing else is waited for. */
  begin() {
    if (!MAY_SPIN) return;
    this.#began = performance.now();
    this.#isWaiting = true;
    if (this.#gate.isOpen && !this.#isTurning) this.#turn();
  }

  /** It has ended. */
  end() {
    if (!this.#isWaiting) return;
    this.#isWaiting = false;
    this.#gate.note(performance.now() - this.#began);
  }

  /** It is no longer alone. */
  leave() {
    this.#isWaiting = false;
  }

  #turn = () => {
    this.#isTurning =
      this.#isWaiting && this.#gate.isOpen && performance.now() < this.#began + SPIN;
    // The loop does not sleep before it has run this.
    if (this.#isTurning) setImmediate(this.#turn);
  };
}

/** Whether this is Node, and nobody has said otherwise. */
const MAY_SPIN = maySpin();

function maySpin() {
  const { process } = /** @type {{process?: NodeJS.Process}} */ (globalThis);
  return Boolean(process?.versions?.node) && process?.env.DAFFI_SPIN !== "0";
}
