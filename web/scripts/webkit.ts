/** WebKit for tests and measurements: WebKitGTK's MiniBrowser under a virtual display, by WebDriver. */

import { type ChildProcess, spawn } from 'node:child_process';
import { existsSync } from 'node:fs';
import { createServer } from 'node:net';
import { setTimeout } from 'node:timers/promises';
import { installPackages } from './debian.js';
import type { Tab, TestBrowser } from './tab.js';

const DRIVER = '/usr/bin/WebKitWebDriver';
const DISPLAY = '/usr/bin/Xvfb';

/** How long a page, or what a test asks of it, may take. */
const PATIENCE_MS = 180_000;

/** WebDriver tells of no console: the page itself keeps what it is told, from the end of its load on. */
const LISTEN = `(globalThis.complaints = [], addEventListener('error', (event) => complaints.push(event.message)),
  addEventListener('unhandledrejection', (event) => complaints.push(String(event.reason))),
  ['error', 'warn'].forEach((level) => (console[level] = (...args) => complaints.push(args.join(' ')))))`;

async function freePort(): Promise<number> {
  const server = createServer().listen(0, '127.0.0.1');
  await new Promise((resolve) => server.once('listening', resolve));
  const address = server.address();
  await new Promise((resolve) => server.close(resolve));
  return typeof address === 'object' && address ? address.port : 0;
}

/** Starts a virtual display, which chooses its own number. */
function startDisplay(): Promise<{ process: ChildProcess; name: string }> {
  const process = spawn(DISPLAY, ['-displayfd', '3', '-screen', '0', '1280x1024x24'], {
    stdio: ['ignore', 'ignore', 'ignore', 'pipe'],
  });
  return new Promise((resolve, reject) => {
    process.once('error', reject);
    process.stdio[3]?.once('data', (number) => resolve({ process, name: `:${String(number).trim()}` }));
  });
}

/** Starts WebKit, which the caller closes. Returns undefined if there is none, and says so on stderr. */
export async function openWebKit(): Promise<TestBrowser | undefined> {
  const isThere = () => existsSync(DRIVER) && existsSync(DISPLAY);
  const hindrance = isThere()
    ? undefined
    : installPackages('webkit2gtk-driver', 'libwebkit2gtk-4.1-0', 'xvfb', 'fonts-dejavu-core');
  if (!isThere()) {
    console.error(`SKIPPED: everything in WebKit: ${DRIVER} or ${DISPLAY} is missing, and ${hindrance}.`);
    return undefined;
  }
  const display = await startDisplay();
  const port = await freePort();
  const env = { ...process.env, DISPLAY: display.name, WEBKIT_DISABLE_SANDBOX_THIS_IS_DANGEROUS: '1' };
  const driver = spawn(DRIVER, [`--port=${port}`], { env, stdio: 'ignore' });

  /** Sends a command, and returns the value that the driver answers. */
  async function command<Value>(method: string, path: string, body?: object): Promise<Value> {
    const response = await fetch(`http://127.0.0.1:${port}${path}`, { method, body: body && JSON.stringify(body) });
    const { value } = (await response.json()) as { value: Value & { message?: string } };
    if (!response.ok) throw new Error(value.message ?? `WebDriver: expected status 200, got ${response.status}.`);
    return value;
  }

  /** Runs what ends by calling its last argument. */
  const call = <Value>(session: string, expression: string): Promise<Value> => {
    const script = `const done = arguments[0];
      Promise.resolve().then(() => (${expression}))
        .then((value) => done({ value: JSON.stringify(value) }), (error) => done({ error: String(error) }));`;
    const path = `/session/${session}/execute/async`;
    return command<{ value?: string; error?: string }>('POST', path, { script, args: [] }).then(({ value, error }) => {
      if (error !== undefined) throw new Error(error);
      return value === undefined ? (undefined as Value) : JSON.parse(value);
    });
  };

  interface Session {
    readonly sessionId: string;
    readonly capabilities: { readonly browserVersion: string };
  }

  const startSession = (): Promise<Session> => {
    const browser = { 'webkitgtk:browserOptions': { args: ['--automation'] } };
    const alwaysMatch = { ...browser, timeouts: { script: PATIENCE_MS, pageLoad: PATIENCE_MS } };
    return command('POST', '/session', { capabilities: { alwaysMatch } });
  };

  async function openTab(): Promise<Tab> {
    const { sessionId } = await startSession();
    const found: string[] = [];
    const collect = async () => found.push(...(await call<string[]>(sessionId, 'globalThis.complaints.splice(0)')));
    return {
      found,
      async open(url) {
        await command('POST', `/session/${sessionId}/url`, { url });
        await call(sessionId, LISTEN);
      },
      async evaluate(expression) {
        try {
          return await call(sessionId, expression);
        } finally {
          await collect();
        }
      },
      close: () => command('DELETE', `/session/${sessionId}`),
    };
  }

  for (let tries = 50; tries > 0; tries--) {
    if (await command('GET', '/status').catch(() => undefined)) break;
    await setTimeout(100);
  }
  const { sessionId, capabilities } = await startSession();
  await command('DELETE', `/session/${sessionId}`);
  return {
    name: 'WebKit',
    version: capabilities.browserVersion,
    open: openTab,
    async close() {
      driver.kill();
      display.process.kill();
    },
  };
}
