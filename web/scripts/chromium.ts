/** Chromium for tests and measurements, and a server on this machine for the pages that it opens. */

import { existsSync } from 'node:fs';
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { delimiter, join } from 'node:path';
import { type Browser, type BrowserContext, chromium, type Page } from 'playwright-core';
import { installPackages } from './debian.js';
import type { TestBrowser } from './tab.js';

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

/** Starts a browser, which the caller closes. Returns undefined if there is none, and says so on stderr. */
export async function openChromium(...flags: string[]): Promise<Browser | undefined> {
  // Text without a font has no size, and cannot be clicked.
  const hindrance = program() ? undefined : installPackages('chromium', 'fonts-dejavu-core');
  const executablePath = program();
  if (!executablePath) {
    console.error(`SKIPPED: everything in Chromium: none of ${PROGRAMS.join(', ')} is on PATH, and ${hindrance}.`);
    return undefined;
  }
  return chromium.launch({ executablePath, args: [...FLAGS, ...flags] });
}

/** Starts Chromium as any other browser. */
export async function anyChromium(): Promise<TestBrowser | undefined> {
  const browser = await openChromium();
  return (
    browser && {
      name: 'Chromium',
      version: browser.version(),
      close: () => browser.close(),
      async open() {
        const context = await browser.newContext();
        const page = await context.newPage();
        return {
          found: complaints(page),
          open: async (url) => void (await page.goto(url)),
          evaluate: (expression) => page.evaluate(expression),
          close: () => context.close(),
        };
      },
    }
  );
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
