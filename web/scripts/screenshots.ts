/**
 * `npm run web:screenshots FOLDER` takes pictures of every view of the page, at desktop and phone width, light and dark.
 * Without FOLDER it takes the two that the README shows.
 */

import { mkdir } from 'node:fs/promises';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import type { Page } from 'playwright-core';
import { buildPage } from './build.js';
import { openChromium } from './chromium.js';
import { serve } from './serve.js';

const README = fileURLToPath(new URL('../screenshots/', import.meta.url));
const WIDTHS = { desktop: { width: 1280, height: 800 }, phone: { width: 390, height: 844 } } as const;
type Width = keyof typeof WIDTHS;
type Scheme = 'light' | 'dark';

/** Brings each view to a state with something to see. */
const VIEWS: Readonly<Record<string, (page: Page) => Promise<void>>> = {
  classify: (page) => page.locator('.bars li').filter({ hasText: 'Egyptian cat' }).waitFor(),
  where: (page) => page.locator('input[type=radio]:enabled').first().waitFor(),
  inside: async (page) => {
    await page.locator('svg .share').filter({ hasText: '%' }).first().waitFor();
    await page
      .getByRole('option', { name: /^layer1\.0|^layer1 0/ })
      .first()
      .click();
    await page.locator('canvas:visible').nth(8).waitFor();
  },
  compare: async (page) => {
    await page.getByRole('button', { name: 'Measure' }).click();
    await page.getByRole('button', { name: /Markdown/ }).waitFor({ timeout: 180_000 });
  },
};

const folder = process.argv[2];
const shots: readonly (readonly [string, Width, Scheme])[] = folder
  ? Object.keys(VIEWS).flatMap((view) =>
      (['desktop', 'phone'] as const).flatMap((width) =>
        (['light', 'dark'] as const).map((scheme) => [view, width, scheme] as const),
      ),
    )
  : [
      ['where', 'desktop', 'light'],
      ['inside', 'desktop', 'dark'],
    ];

const browser = await openChromium();
if (!browser) process.exit(1);
await buildPage({ isTold: false });
const served = await serve();
await mkdir(folder ?? README, { recursive: true });
for (const width of ['desktop', 'phone'] as const) {
  for (const colorScheme of ['light', 'dark'] as const) {
    const wanted = shots.filter(([, ofWidth, scheme]) => ofWidth === width && scheme === colorScheme);
    if (wanted.length === 0) continue;
    const page = await browser.newPage({ viewport: WIDTHS[width], colorScheme, reducedMotion: 'reduce' });
    await page.goto(served.url);
    await page.getByRole('button', { name: /cat/ }).click();
    await VIEWS.classify?.(page);
    for (const [view] of wanted) {
      await page.goto(`${served.url}#${view}`);
      await VIEWS[view]?.(page);
      const name = folder ? `${view}-${width}-${colorScheme}.png` : `${view}.png`;
      await page.screenshot({ path: join(folder ?? README, name), fullPage: folder !== undefined });
      console.log(name);
    }
    await page.close();
  }
}
await served.close();
await browser.close();
