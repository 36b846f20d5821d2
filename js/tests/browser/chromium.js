/**
 * A real Chromium without a window, and pages served to it on localhost.
 *
 * `DAFFI_CHROMIUM` names the program where it is not one of the usual ones.
 */

import { existsSync, readFileSync, realpathSync, statSync } from "node:fs";
import { createServer } from "node:http";
import { extname, join, sep } from "node:path";
import { fileURLToPath } from "node:url";
import { chromium } from "playwright-core";

/** The checkout. */
export const ROOT = realpathSync(fileURLToPath(new URL("../../..", import.meta.url)));

const USUAL = ["chromium", "chromium-browser", "google-chrome", "google-chrome-stable"];
const TYPES = /** @type {Record<string, string>} */ ({
  ".html": "text/html; charset=utf-8",
  ".js": "text/javascript; charset=utf-8",
  ".mjs": "text/javascript; charset=utf-8",
  ".css": "text/css; charset=utf-8",
});

/** Where the browser is; nothing where there is none. */
function program() {
  const { DAFFI_CHROMIUM, PATH = "" } = process.env;
  if (DAFFI_CHROMIUM) return DAFFI_CHROMIUM;
  const places = PATH.split(":").flatMap((folder) => USUAL.map((name) => join(folder, name)));
  return places.find((place) => existsSync(place));
}

/**
 * Start the browser.
 * @param {string[]} [more] what it is told besides
 */
export function launch(more = []) {
  const executablePath = program();
  if (!executablePath) {
    throw new Error("there is no Chromium: install it (make chromium), or name it in DAFFI_CHROMIUM");
  }
  // Its sandbox does not start for root, and pages of ours need none.
  return chromium.launch({ executablePath, args: ["--no-sandbox", "--disable-dev-shm-usage", ...more] });
}

/**
 * Serve `js/` and the example pages.
 * @returns {Promise<{origin: string, close: () => void}>}
 */
export function serve() {
  const server = createServer((request, response) => {
    const path = new URL(request.url ?? "/", "http://localhost").pathname;
    const file = join(ROOT, decodeURIComponent(path.endsWith("/") ? `${path}index.html` : path));
    const open = ["js", join("examples", "browser")].some((part) => file.startsWith(join(ROOT, part) + sep));
    if (!open || !existsSync(file) || !statSync(file).isFile()) {
      response.writeHead(404).end();
      return;
    }
    response.writeHead(200, { "Content-Type": TYPES[extname(file)] ?? "application/octet-stream" });
    response.end(readFileSync(file));
  });
  return new Promise((resolve) => {
    server.listen(0, "127.0.0.1", () => {
      const { port } = /** @type {import("node:net").AddressInfo} */ (server.address());
      const close = () => {
        server.close();
        server.closeAllConnections();
      };
      resolve({ origin: `http://127.0.0.1:${port}`, close });
    });
  });
}
