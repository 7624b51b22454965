/** Firefox for tests and measurements, by WebDriver BiDi. */

import { existsSync } from 'node:fs';
import { delimiter, join } from 'node:path';
import { launch } from 'puppeteer-core';
import { installPackages } from './debian.js';
import type { TestBrowser } from './tab.js';

/** Names of the program on PATH; FIREFOX names another. */
const PROGRAMS = ['firefox-esr', 'firefox'];

const program = (): string | undefined =>
  process.env.FIREFOX ??
  (process.env.PATH ?? '')
    .split(delimiter)
    .flatMap((folder) => PROGRAMS.map((name) => join(folder, name)))
    .find((path) => existsSync(path));

/** Starts Firefox, which the caller closes. Returns undefined if there is none, and says so on stderr. */
export async function openFirefox(): Promise<TestBrowser | undefined> {
  const hindrance = program() ? undefined : installPackages('firefox-esr');
  const executablePath = program();
  if (!executablePath) {
    console.error(`SKIPPED: everything in Firefox: none of ${PROGRAMS.join(', ')} is on PATH, and ${hindrance}.`);
    return undefined;
  }
  const browser = await launch({ browser: 'firefox', executablePath });
  return {
    name: 'Firefox',
    version: (await browser.version()).split('/')[1] ?? '',
    close: () => browser.close(),
    async open() {
      const context = await browser.createBrowserContext();
      const page = await context.newPage();
      const found: string[] = [];
      page.on('pageerror', (error) => found.push(String(error)));
      page.on('console', (message) => {
        if (['error', 'warn'].includes(message.type())) found.push(message.text());
      });
      return {
        found,
        open: async (url) => void (await page.goto(url)),
        evaluate: (expression) => page.evaluate(expression) as Promise<never>,
        close: () => context.close(),
      };
    },
  };
}
