/**
 * A thread's script and the binaries as text, for programs that were bundled into one file, or moved away from this
 * package's files. build.mjs defines the values.
 */

export { inlineWasm } from '../inline-binaries.js';

declare const THREAD_SCRIPT: string;

/** Makes the URL of a thread's script: Node runs the text of a data: URL as a module. */
export const inlineThread = (): URL => new URL(`data:text/javascript,${encodeURIComponent(THREAD_SCRIPT)}`);
