/** Chromium for tests and measurements, and a server on this machine for the pages that it opens. */

import { spawnSync } from 'node:child_process';
import { existsSync } from 'node:fs';
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { delimiter, join } from 'node:path';
import { type Browser, type BrowserContext, chromium, type Page } from 'playwright-core';

/** Names of the program on PATH; CHROMIUM names another. */
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

/** Installs Debian's Chromium, if that is possible; otherwise returns what prevented it. */
function install(): string | undefined {
  if (!existsSync('/usr/bin/apt-get')) return 'there is no apt-get to install it with';
  if (process.getuid?.() !== 0) return 'installing it needs root ("sudo apt-get install chromium" does it)';
  const apt = (...args: string[]) =>
    spawnSync('apt-get', args, { encoding: 'utf8', env: { ...process.env, DEBIAN_FRONTEND: 'noninteractive' } });
  apt('update');
  // Text without a font has no size, and cannot be clicked.
  const { stderr } = apt('install', '-y', '--no-install-recommends', 'chromium', 'fonts-dejavu-core');
  return program() ? undefined : `apt-get failed (${(stderr ?? '').trim().split('\n').at(-1)})`;
}

/** Starts a browser, which the caller closes. Returns undefined if there is none, and says so on stderr. */
export async function openChromium(...flags: string[]): Promise<Browser | undefined> {
  const hindrance = program() ? undefined : install();
  const executablePath = program();
  if (!executablePath) {
    console.error(`SKIPPED: everything in Chromium: none of ${PROGRAMS.join(', ')} is on PATH, and ${hindrance}.`);
    return undefined;
  }
  return chromium.launch({ executablePath, args: [...FLAGS, ...flags] });
}

/** Starts the browser that `openChromium` found with the profile in a folder, which is made if there is none. */
export const openProfile = (profile: string, ...flags: string[]): Promise<BrowserContext> =>
  chromium.launchPersistentContext(profile, {
    executablePath: program() as string,
    args: [...FLAGS, ...flags],
    // Playwright's own, without which extensions may be loaded.
    ignoreDefaultArgs: ['--disable-extensions'],
  });

export type Handler = (request: IncomingMessage, response: ServerResponse) => void;

/** Starts a server for this machine alone. `close` breaks the connections that are open. */
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

/** The headers with which a page may share memory with threads. */
export const ISOLATED = {
  'cross-origin-opener-policy': 'same-origin',
  'cross-origin-embedder-policy': 'require-corp',
};

/** Collects what a page complains of: errors, warnings and violations of its policy. The list grows as they come. */
export function complaints(page: Page): string[] {
  const found: string[] = [];
  page.on('pageerror', (error) => found.push(String(error)));
  page.on('console', (message) => {
    if (['error', 'warning'].includes(message.type())) found.push(message.text());
  });
  return found;
}
