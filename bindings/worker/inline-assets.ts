/**
 * The worker's script and the binaries as text, for pages whose bundler left the files behind: esbuild copies none, and
 * a development server may move scripts away from them. build.mjs defines the values.
 */

export { inlineWasm } from '../inline-binaries.js';

declare const WORKER_SCRIPT: string;

/** Made once: the page keeps a blob in memory for as long as it has a URL. */
let script: string | undefined;

/** Starts a worker from the text of dist/worker.js, and so do its threads. Throws if the page's policy forbids workers from blobs. */
export function inlineWorker(): Worker {
  script ??= URL.createObjectURL(new Blob([WORKER_SCRIPT], { type: 'text/javascript' }));
  return new Worker(script, { type: 'module' });
}
