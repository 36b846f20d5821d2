/** Takes pictures of the example pages for the documentation. */

import { mkdirSync } from "node:fs";
import { join } from "node:path";
import { ROOT, launch, serve } from "./chromium.js";
import { Act, SCENES } from "./scenes.js";

const IMAGES = join(ROOT, "docs", "images");

mkdirSync(IMAGES, { recursive: true });
const browser = await launch();
const { origin, close } = await serve();
for (const { folder, programs, play } of SCENES) {
  const viewport = { width: 1080, height: 400 };
  const page = await browser.newPage({ viewport, colorScheme: "light" });
  const act = new Act(page, folder);
  try {
    for (const program of programs) await act.start(program);
    await act.open(`${origin}/`);
    await play(act);
    await page.mouse.move(0, 0);
    await page.screenshot({ fullPage: true, path: join(IMAGES, `browser_${folder}.png`) });
    console.log(`docs/images/browser_${folder}.png`);
  } finally {
    await page.close();
    await act.end();
  }
}
await browser.close();
close();
