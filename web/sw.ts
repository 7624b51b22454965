/**
 * The service worker: keeps the page's own files, so that it opens offline. The weights are kept by the library. A new
 * version is fetched beside the old one and takes over when no window shows the old one any more, so that no window
 * ever gets files of two versions.
 */

/** Put here by the build: every file of the page, relative to this one, and a hash of them all. */
declare const SHELL: readonly string[];
declare const VERSION: string;

// The DOM's types, which the rest of the page needs, know no workers.
interface ExtendableEvent extends Event {
  waitUntil(done: Promise<unknown>): void;
}
interface FetchEvent extends ExtendableEvent {
  readonly request: Request;
  respondWith(response: Promise<Response>): void;
}
declare const clients: { claim(): Promise<void> };

const PREFIX = 'resnet-wasm page ';
const NAME = `${PREFIX}${VERSION}`;
const INDEX = new URL('index.html', location.href).href;

/** For hosts that cannot set headers: with these a page may share memory with threads, from its second visit on. */
const ISOLATION = {
  'Cross-Origin-Opener-Policy': 'same-origin',
  'Cross-Origin-Embedder-Policy': 'require-corp',
  'Cross-Origin-Resource-Policy': 'same-origin',
};

async function install(): Promise<void> {
  const cache = await caches.open(NAME);
  await Promise.all(
    SHELL.map(async (path) => {
      const url = new URL(path, location.href).href;
      // Past the HTTP cache, which may hold files of another version.
      const response = await fetch(url, { cache: 'reload' });
      if (!response.ok) throw new Error(`${url}: expected status 200, got ${response.status}.`);
      // Made anew, which also forgets that a host answered by a redirection: a page may not be opened with such a one.
      const headers = new Headers(response.headers);
      for (const [name, value] of Object.entries(ISOLATION)) headers.set(name, value);
      await cache.put(url, new Response(response.body, { headers }));
    }),
  );
}

async function activate(): Promise<void> {
  const names = await caches.keys();
  await Promise.all(
    names.filter((name) => name.startsWith(PREFIX) && name !== NAME).map((name) => caches.delete(name)),
  );
  await clients.claim();
}

async function answer(request: Request, url: string): Promise<Response> {
  const cache = await caches.open(NAME);
  return (await cache.match(url)) ?? fetch(request);
}

const shell = new Set(SHELL.map((path) => new URL(path, location.href).href));

addEventListener('install', (event) => (event as ExtendableEvent).waitUntil(install()));
addEventListener('activate', (event) => (event as ExtendableEvent).waitUntil(activate()));
addEventListener('fetch', (event) => {
  const { request, respondWith } = event as FetchEvent;
  if (request.method !== 'GET') return;
  const { origin, pathname } = new URL(request.url);
  const url = origin + (pathname === new URL('./', INDEX).pathname ? new URL(INDEX).pathname : pathname);
  if (shell.has(url)) respondWith.call(event, answer(request, url));
});
