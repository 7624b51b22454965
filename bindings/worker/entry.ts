/** Entry of a worker in a browser: the first message says whether it runs a model or is one of a model's threads. */

import { browser } from '../browser/platform.js';
import { runThread } from '../engine/thread-loop.js';
import { usePlatform } from '../platform/platform.js';
import type { ThreadStart } from '../platform/types.js';
import type { ModelRequest } from './protocol.js';
import { serveModel } from './server.js';

declare const importScripts: () => void;

/** Bundlers may make a classic script of a module. */
function isClassic(): boolean {
  try {
    importScripts();
    return true;
  } catch {
    return false;
  }
}

const type = isClassic() ? 'classic' : 'module';

// Of the very script that this is: a bundler may have moved it, or made a blob of it.
usePlatform(browser(() => new Worker(location.href, { type })));

type First = { readonly kind: 'thread'; readonly start: ThreadStart } | ModelRequest;

addEventListener(
  'message',
  ({ data }: MessageEvent<First>) => {
    // An error that is reported is the starter's too; a rejection would be nobody's.
    if (data.kind === 'thread')
      runThread(data.start, (message) => postMessage(message))
        .catch(reportError)
        .finally(close);
    else serveModel(data);
  },
  { once: true },
);
postMessage('up');
