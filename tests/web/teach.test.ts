/** The view Teach of the page, in Debian's Chromium: pictures, the camera, the file of what was learned. */

import { mkdtemp, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import sharp from 'sharp';
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { pretrained } from '../../bindings/index.node.js';
import { buildPage } from '../../web/scripts/build.js';
import { complaints, openChromium } from '../../web/scripts/chromium.js';
import { serve } from '../../web/scripts/serve.js';

const folder = await mkdtemp(join(tmpdir(), 'resnet-wasm-teach-'));
const browser = await openChromium(
  '--autoplay-policy=no-user-gesture-required',
  '--use-fake-device-for-media-stream',
  '--use-fake-ui-for-media-stream',
);
// The weights come through npm, which may be out of reach.
const hindrance = browser && (await pretrained.fetch('resnet50').then(() => undefined, String));
if (hindrance) console.error(`SKIPPED: the tests of the page: ${hindrance}`);

const test = suite('teach');

/** A PNG of one colour with a stripe, so that no two are the same. */
const coloured = (background: string, index: number): Promise<Buffer> =>
  sharp({ create: { width: 96, height: 96, channels: 3, background } })
    .composite([
      { input: { create: { width: 96, height: 4, channels: 3, background: '#888' } }, left: 0, top: 8 * index },
    ])
    .png()
    .toBuffer();

const files = (background: string, count: number, from = 0) =>
  Promise.all(
    Array.from({ length: count }, async (_, i) => ({
      name: `${background.slice(1)}-${i}.png`,
      mimeType: 'image/png',
      buffer: await coloured(background, from + i),
    })),
  );

if (browser && !hindrance) {
  await buildPage({ folder, isTold: false });

  test('two classes are learned from files, tested, downloaded and opened again', async () => {
    const served = await serve({ folder });
    const context = await browser.newContext({ permissions: ['camera'], viewport: { width: 390, height: 800 } });
    try {
      const page = await context.newPage();
      const found = complaints(page);
      await page.goto(`${served.url}#teach`);
      const cards = page.locator('.class-card');
      const status = (text: RegExp) => page.locator('.teach .status').filter({ hasText: text }).waitFor();
      for (const [i, [name, colour]] of (
        [
          ['red', '#c83232'],
          ['blue', '#3232c8'],
        ] as const
      ).entries()) {
        await cards.nth(i).locator('input[type=text]').fill(name);
        await cards
          .nth(i)
          .locator('input[type=file]')
          .setInputFiles(await files(colour, 4));
        await cards.nth(i).getByText('4 pictures').waitFor();
      }
      await status(/Learned from 8 pictures in .* it gets 100\.0\s%/);
      const [other] = await files('#3232c8', 1, 7);
      await page.locator('.results input[accept="image/*"]').setInputFiles(other as NonNullable<typeof other>);
      await page.locator('.teach .bars li').first().filter({ hasText: /^blue/ }).waitFor();
      await page.getByLabel('The picture, and where it looks like blue').waitFor();

      await cards.nth(0).locator('.thumbs button').first().click();
      await cards.nth(0).getByText('3 pictures').waitFor();
      await status(/Learned from 7 pictures/);

      const isWide = await page.evaluate(() => document.documentElement.scrollWidth > innerWidth);
      assert.not(isWide, 'expected no scrolling sideways on a phone');

      const downloading = page.waitForEvent('download');
      await page.getByRole('button', { name: 'Download', exact: true }).click();
      const download = await downloading;
      assert.is(download.suggestedFilename(), 'red-blue.safetensors');
      const path = join(folder, 'head.safetensors');
      await download.saveAs(path);
      assert.ok((await readFile(path)).length < 40_000);

      await page.reload();
      await page.locator('input[accept=".safetensors"]').first().setInputFiles(path);
      await status(/It knows red, blue\./);
      await page.locator('.results input[accept="image/*"]').setInputFiles(other as NonNullable<typeof other>);
      await page.locator('.teach .bars li').first().filter({ hasText: /^blue/ }).waitFor();
      assert.equal(found, []);
    } finally {
      await context.close();
      await served.close();
    }
  });

  test('a button that is held takes pictures of the camera, and what it sees is classified live', async () => {
    const served = await serve({ folder });
    const context = await browser.newContext({ permissions: ['camera'] });
    try {
      const page = await context.newPage();
      const found = complaints(page);
      await page.goto(`${served.url}#teach`);
      const cards = page.locator('.class-card');
      await cards
        .nth(1)
        .locator('input[type=file]')
        .setInputFiles(await files('#3232c8', 3));
      await page.getByRole('button', { name: 'Camera', exact: true }).click();
      const hold = cards.nth(0).getByRole('button', { name: 'Hold to record' });
      await hold.hover();
      await page.mouse.down();
      await cards
        .nth(0)
        .getByText(/^[3-9] pictures/)
        .waitFor();
      await page.mouse.up();
      await page
        .locator('.teach .bars li')
        .first()
        .filter({ hasText: /^Class 1/ })
        .waitFor();
      await page.getByRole('button', { name: 'Close the camera' }).click();
      assert.equal(found, []);
    } finally {
      await context.close();
      await served.close();
    }
  });
}

test.after(async () => {
  await browser?.close();
  await rm(folder, { recursive: true });
});

test.run();
