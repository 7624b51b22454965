/** Visits to pages that classify a photograph, in Chromium, and what they must answer. */

import '../support/flags.mjs';
import { cpus } from 'node:os';
import { join } from 'node:path';
import type { Browser, BrowserContext } from 'playwright-core';
import sirv from 'sirv';
import * as assert from 'uvu/assert';
import { type Classification, load } from '../../bindings/index.node.js';
import { complaints, ISOLATED, listen, openChromium } from '../../web/scripts/chromium.js';
import { emptyApp, root, writeRandomWeights } from './packed.js';

export const NETWORK = 'resnet18';
export const WEIGHTS = `${NETWORK}.safetensors`;
export const PHOTO = join(root, 'tests/data/photos/chelsea-56.png');

export const browser = await openChromium();
export const weights = join(await emptyApp('page-weights'), WEIGHTS);
if (browser) await writeRandomWeights(NETWORK, weights);

/** The class that the same network sees in the photograph in Node. */
export async function classInNode(): Promise<Classification> {
  using model = await load(NETWORK, { weights });
  const [best] = await model.classify(PHOTO, { topK: 1 });
  return best as Classification;
}

export interface Visit {
  /** What the page wrote. */
  readonly answer: string;
  readonly found: readonly string[];
  /** The paths of all that it fetched. */
  readonly fetched: readonly string[];
}

/** Opens a page, gives it the photograph if it asks for one, and waits for an answer. */
export async function visit(url: string, context: Browser | BrowserContext | undefined = browser): Promise<Visit> {
  const page = await context?.newPage();
  if (!page) throw new Error('No browser was opened.');
  const found = complaints(page);
  const fetched = new Set<string>();
  page.context().on('response', (response) => fetched.add(new URL(response.url()).pathname));
  await page.goto(url);
  const answered = page.waitForSelector('#answer:not(:empty)', { timeout: 60_000 });
  await Promise.race([answered, page.waitForSelector('#picture:enabled', { timeout: 60_000 }).catch(() => undefined)]);
  if (await page.$('#picture')) await page.setInputFiles('#picture', PHOTO);
  await answered;
  const answer = (await page.textContent('#answer')) ?? '';
  await page.close();
  return { answer, found, fetched: [...fetched] };
}

export async function visitFolder(path: string, headers: Readonly<Record<string, string>> = {}): Promise<Visit> {
  const serveFiles = sirv(path, { dev: true });
  const { url, close } = await listen((request, response) => {
    for (const [name, value] of Object.entries({ ...ISOLATED, ...headers })) response.setHeader(name, value);
    serveFiles(request, response, () => void response.writeHead(404).end());
  });
  try {
    return await visit(url);
  } finally {
    close();
  }
}

/** Asserts that a page's answer is Node's, computed by the faster binary. */
export async function assertAnswer({ answer, found }: Visit, isAlone = false): Promise<void> {
  const { label, index, probability } = await classInNode();
  const { groups } =
    /^(?<label>.+), (?<percent>[\d.]+) % \(threads: (?<threads>\d+), binary: relaxed\)$/.exec(answer) ?? {};
  assert.is(groups?.label, label ?? `class ${index}`, answer);
  const percent = 100 * probability;
  assert.ok(Math.abs(Number(groups?.percent) - percent) <= 0.02, `expected ${percent} % ± 0.02, got ${answer}`);
  // The pages are isolated, so that they may share memory.
  assert.is(Number(groups?.threads) > 1, cpus().length > 1 && !isAlone, answer);
  assert.equal(found, []);
}
