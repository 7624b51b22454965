/** Entry of a worker in a browser: the first message says whether it runs a model or is one of a model's threads. */

import { browser } from '../browser/platform.js';
import { serve } from '../engine/thread-loop.js';
import { usePlatform } from '../platform/platform.js';
import type { ThreadStart } from '../platform/types.js';
import type { Question } from './protocol.js';
import { host } from './server.js';

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

type First = { readonly kind: 'thread'; readonly start: ThreadStart } | Question;

addEventListener(
  'message',
  ({ data }: MessageEvent<First>) => {
    // An error that is reported is the starter's too; a rejection would be nobody's.
    if (data.kind === 'thread')
      serve(data.start, (message) => postMessage(message))
        .catch(reportError)
        .finally(close);
    else host(data);
  },
  { once: true },
);
postMessage('up');
