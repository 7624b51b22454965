/** All views of the page in each browser but Chromium (page.test.ts), with and without cross-origin isolation. */

import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { pretrained } from '../../bindings/index.node.js';
import { buildPage } from '../../web/scripts/build.js';
import { openFirefox } from '../../web/scripts/firefox.js';
import { serve } from '../../web/scripts/serve.js';
import type { Tab, TestBrowser } from '../../web/scripts/tab.js';
import { openWebKit } from '../../web/scripts/webkit.js';

/** What a visitor does, in the page itself. A step that waits in vain names what it waited for. */
const VISITOR = `
const all = (selector) => [...document.querySelectorAll(selector)];
const until = async (name, find) => {
  for (const end = Date.now() + 120_000; Date.now() < end; ) {
    const found = find();
    if (found) return found;
    await new Promise((resolve) => setTimeout(resolve, 50));
  }
  throw new Error('waited in vain for ' + name + '; the page says: ' + document.body.innerText.slice(0, 500));
};
const press = async (name) => (await until(name, () => all('button').find((each) => each.textContent === name))).click();
const sample = async (alt) => (await until(alt, () => all('.samples img').find((each) => each.alt.includes(alt)))).closest('button').click();
const best = (label) => until(label, () => all('.bars li')[0]?.textContent.startsWith(label));
const info = () => until('the network', () => all('.info').map((each) => each.textContent).find((text) => /thread/.test(text)));
`;

const visit = <Value>(tab: Tab, steps: string): Promise<Value> =>
  tab.evaluate<Value>(`(async () => { ${VISITOR} ${steps} })()`);

async function assertViews(tab: Tab, url: string, threads: RegExp, complaints: RegExp): Promise<void> {
  await tab.open(url);
  const said = await visit<string>(tab, "await sample('cat'); await best('Egyptian cat'); return info();");
  assert.match(said, threads);
  await visit(
    tab,
    "await sample('espresso'); await best('espresso'); await sample('cat'); await best('Egyptian cat');",
  );

  // How many colours the canvas has: a photograph under its map of heat.
  const colours = await visit<number>(
    tab,
    `location.hash = '#where';
    await until('maps', () => all('input[type=radio]:enabled')[0]);
    const canvas = await until('the canvas', () => all('canvas[role=img]')[0]);
    const context = new OffscreenCanvas(24, 24).getContext('2d');
    context.drawImage(canvas, 0, 0, 24, 24);
    return new Set(new Uint32Array(context.getImageData(0, 0, 24, 24).data.buffer)).size;`,
  );
  assert.ok(colours > 100, `expected a photograph, got ${colours} colours`);

  await visit(
    tab,
    `location.hash = '#inside';
    const block = await until('layer3.1', () => all('[role=option]').find((each) => /^layer3\\.1\\b/.test(each.getAttribute('aria-label') ?? each.textContent)));
    block.dispatchEvent(new MouseEvent('click', { bubbles: true }));
    await until('its channels', () => document.body.textContent.includes('1,024 channels of 14×14'));`,
  );

  const rows = await visit<string>(
    tab,
    `location.hash = '#compare';
    (await until('the networks', () => all('input[name=network][value=resnet50]')[0])).click();
    const rounds = all('select[name=rounds]')[0];
    rounds.value = '5';
    rounds.dispatchEvent(new Event('change', { bubbles: true }));
    await press('Measure');
    await until('the end', () => all('body *').some((each) => each.childElementCount === 0 && each.textContent === 'Done.'));
    return all('.results tbody')[0].textContent;`,
  );
  assert.match(rows, /resnet18/);
  assert.match(tab.found.join('\n'), complaints);
}

const folder = await mkdtemp(join(tmpdir(), 'resnet-wasm-engines-'));
const browsers: TestBrowser[] = [];
for (const open of [openFirefox, openWebKit]) {
  const browser = await open();
  if (browser) browsers.push(browser);
}
// The weights come through npm, which may be out of reach.
const hindrance = browsers.length > 0 && (await pretrained.fetch('resnet50').then(() => undefined, String));
if (hindrance) console.error(`SKIPPED: the page in Firefox and WebKit: ${hindrance}`);
const isBuilt = browsers.length > 0 && !hindrance;
if (isBuilt) await buildPage({ folder, isTold: false });

const test = suite('page in other browsers');

test.after(async () => {
  for (const browser of browsers) await browser.close();
  await rm(folder, { recursive: true });
});

for (const browser of isBuilt ? browsers : []) {
  for (const isolated of [true, false]) {
    test(`${browser.name} ${browser.version}, ${isolated ? '' : 'not '}isolated`, async () => {
      const served = await serve({ folder, isolated });
      const tab = await browser.open();
      try {
        // WebKitGTK says that a page is isolated, and clones no shared memory.
        const isShared = isolated && browser.name === 'Firefox';
        const complaints = isShared || !isolated ? /^$/ : /^(One thread, since no worker started \(.+\)\.\n?)+$/;
        await assertViews(tab, served.url, isShared ? /, [2-9]\d* threads/ : /, 1 thread\b/, complaints);
      } finally {
        await tab.close();
        await served.close();
      }
    });
  }
}

test.run();
