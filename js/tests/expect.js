/** What the behaviours expect, in a browser as on Node. Imports nothing. */

/**
 * A value as text, with what JSON leaves out.
 * @param {unknown} value
 * @returns {string}
 */
function written(value) {
  return JSON.stringify(value, (_, item) => {
    if (typeof item === "bigint") return `${item}n`;
    if (item instanceof Uint8Array) {
      const some = [...item.subarray(0, 64)].join(",");
      return `bytes(${item.length}): ${some}`;
    }
    if (item === undefined) return "(undefined)";
    return Object.is(item, NaN) ? "(NaN)" : item;
  });
}

/**
 * @param {unknown} actual
 * @param {unknown} expected
 */
export function equal(actual, expected) {
  if (written(actual) !== written(expected)) {
    throw new Error(`expected ${written(expected)}, got ${written(actual)}`);
  }
}

/**
 * @param {unknown} value
 * @param {string} [what]
 */
export function ok(value, what = "a true value") {
  if (!value) throw new Error(`expected ${what}, got ${written(value)}`);
}

/**
 * The error that a promise ends in, of that class, with that text.
 * @template {Error} T
 * @param {Promise<unknown>} promise
 * @param {new (...args: any[]) => T} kind
 * @param {RegExp} [text]
 * @returns {Promise<T>}
 */
export async function fails(promise, kind, text = /./) {
  /** @type {unknown} */
  let error;
  try {
    error = { nothing: await promise };
  } catch (thrown) {
    error = thrown;
  }
  if (!(error instanceof kind)) {
    const shown = error instanceof Error ? `${error.name}: ${error.message}` : written(error);
    throw new Error(`expected a ${kind.name}, got ${shown}`);
  }
  if (!text.test(error.message)) throw new Error(`expected ${text}, got: ${error.message}`);
  return error;
}

/** A promise, and what resolves it. */
export function gate() {
  /** @type {(value?: any) => void} */
  let open = () => {};
  const opened = new Promise((resolve) => (open = resolve));
  return { open, opened };
}
