/** Chromium for tests and measurements, and a server on this machine for the pages that it opens. */

import { spawnSync } from 'node:child_process';
import { existsSync } from 'node:fs';
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { delimiter, join } from 'node:path';
import { type Browser, chromium, type Page } from 'playwright-core';
import * as assert from 'uvu/assert';

/** On PATH, unless CHROMIUM names another. */
const PROGRAMS = ['chromium', 'chromium-browser', 'google-chrome-stable', 'google-chrome'];

const FLAGS = [
  '--no-sandbox',
  '--disable-gpu',
  '--disable-quic',
  '--no-first-run',
  '--disable-background-networking',
  '--disable-component-update',
  '--disable-sync',
];

function program(): string | undefined {
  const folders = (process.env.PATH ?? '').split(delimiter);
  const found = folders
    .flatMap((folder) => PROGRAMS.map((name) => join(folder, name)))
    .find((path) => existsSync(path));
  return process.env.CHROMIUM ?? found;
}

/** Installs Debian's Chromium where that may be done; else what hindered it. */
function install(): string | undefined {
  if (!existsSync('/usr/bin/apt-get')) return 'no apt-get to install it with';
  if (process.getuid?.() !== 0) return 'no right to install it ("sudo apt-get install chromium" does)';
  const apt = (...args: string[]) =>
    spawnSync('apt-get', args, { encoding: 'utf8', env: { ...process.env, DEBIAN_FRONTEND: 'noninteractive' } });
  apt('update');
  // A text without a font has no size, and cannot be clicked.
  const { stderr } = apt('install', '-y', '--no-install-recommends', 'chromium', 'fonts-dejavu-core');
  return program() ? undefined : `apt-get's word that ${(stderr ?? '').trim().split('\n').at(-1)}`;
}

/** A browser, or undefined where there is none, which is said aloud. The caller closes it. */
export async function openChromium(...flags: string[]): Promise<Browser | undefined> {
  const hindrance = program() ? undefined : install();
  const executablePath = program();
  if (!executablePath) {
    console.error(`SKIPPED: all in Chromium: expected ${PROGRAMS.join(' or ')} on PATH, got ${hindrance}.`);
    return undefined;
  }
  return chromium.launch({ executablePath, args: [...FLAGS, ...flags] });
}

export type Handler = (request: IncomingMessage, response: ServerResponse) => void;

/** A server for this machine alone; `close` breaks what is under way. */
export async function listen(handler: Handler): Promise<{ url: string; close: () => void }> {
  const server = createServer(handler);
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  return {
    url: `http://localhost:${(server.address() as AddressInfo).port}/`,
    close: () => {
      server.close();
      server.closeAllConnections();
    },
  };
}

/** Headers with which a page may share memory. */
export const ISOLATED = {
  'cross-origin-opener-policy': 'same-origin',
  'cross-origin-embedder-policy': 'require-corp',
};

/** What a page complains of, as it comes: errors, warnings, violations of its policy. */
export function complaints(page: Page): string[] {
  const found: string[] = [];
  page.on('pageerror', (error) => found.push(String(error)));
  page.on('console', (message) => {
    if (['error', 'warning'].includes(message.type())) found.push(message.text());
  });
  return found;
}

/** As uvu's `is` for values that may be off by some. */
export function near(actual: number, expected: number, most: number, what: string): void {
  assert.ok(Math.abs(actual - expected) <= most, `${what}: expected ${expected} ± ${most}, got ${actual}`);
}
