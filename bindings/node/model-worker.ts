/** A thread of Node that runs a model. */

import { Worker } from 'node:worker_threads';

/** How long a thread may take to end by itself. */
const END_MS = 1000;

/** Starts a script as a thread, with the face of worker/protocol.ts. */
export function threadWorker<Message>(script: URL) {
  // Not every option of the process fits a thread: --input-type fails.
  const worker = new Worker(script, { execArgv: [] });
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
