/** A thread of Node that runs a model. */

import { existsSync } from 'node:fs';
import { Worker } from 'node:worker_threads';
import { ResnetError } from '../../models/errors.js';

/** How long a thread may take to end by itself. */
const END_MS = 1000;

/** Finds the script: a bundler may have left it behind, and CommonJS has no `import.meta.url`. */
function found(script: () => URL): URL {
  try {
    const url = script();
    if (existsSync(url)) return url;
  } catch {}
  throw new ResnetError(
    'unsupported',
    'worker: dist/worker.node.js does not lie beside this script; leave resnet-wasm out of the bundle, or load without worker.',
  );
}

/** Starts a script as a thread, with the face of worker/protocol.ts. Throws if the script is not there. */
export function threadWorker<Message>(script: () => URL) {
  // Not every option of the process fits a thread: --input-type fails. Of `new Worker` Turbopack would bundle all files here.
  const worker: Worker = Reflect.construct(Worker, [found(script), { execArgv: [] }]);
  return {
    listen(take: (message: Message) => void, fail: (reason: string) => void): void {
      worker.removeAllListeners();
      worker.on('message', take).on('error', ({ message }: Error) => fail(message));
    },
    post: (message: unknown, transfer: readonly unknown[] = []): void =>
      worker.postMessage(message, transfer as ArrayBuffer[]),
    end: (): void => void setTimeout(() => worker.terminate(), END_MS).unref(),
    awaited: (isAwaited: boolean): void => (isAwaited ? worker.ref() : worker.unref()),
  };
}
