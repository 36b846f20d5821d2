/** Bytes inside structures, in MessagePack, both ways. */

import { connect, element, log, press, shown } from "../page.js";

/** @typedef {{width: number, height: number, pixels: Uint8Array}} Picture */

const canvas = /** @type {HTMLCanvasElement} */ (element("picture"));
const { conn } = await connect("page-msgpack", ["1_service.py"]);
const call = conn.rpc({ serde: "msgpack" });

/** The last picture. @type {Picture | undefined} */
let picture;

/** @param {Picture | undefined} came red, green, blue and opacity of each dot */
function show(came) {
  if (!came) return;
  picture = came;
  const { width, height, pixels } = came;
  [canvas.width, canvas.height] = [width, height];
  const image = new ImageData(new Uint8ClampedArray(pixels), width, height);
  canvas.getContext("2d")?.putImageData(image, 0, 0);
  element("size").textContent = `${width} × ${height}, ${shown(pixels)}`;
}

const draw = async () => show(await log("rpc.mandelbrot(320, 200)", call.mandelbrot(320, 200)));

press("draw", draw);

press("negative", async () => {
  if (!picture) await draw();
  show(await log("rpc.negative(picture)", call.negative(picture)));
});

press("checksum", async () => {
  if (!picture) await draw();
  // One string or bytes without anything around them: "raw".
  const raw = conn.rpc({ serde: "raw" });
  log('conn.rpc({ serde: "raw" }).checksum(pixels)', raw.checksum(picture?.pixels));
});
