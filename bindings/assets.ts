/** Where the binaries are. This file stays as deep as dist/, so that its relative URLs hold before and after bundling. */

/**
 * Finds a binary. Bundlers look for these very expressions. In a worker from a blob they do not hold, and there the page
 * sends the binary.
 */
export const binaryUrl = (binary: keyof typeof URLS): URL => URLS[binary]();

const URLS = {
  baseline: () => new URL('../build/baseline.wasm', import.meta.url),
  relaxed: () => new URL('../build/relaxed.wasm', import.meta.url),
  wide: () => new URL('../build/wide.wasm', import.meta.url),
  more: () => new URL('../build/more.wasm', import.meta.url),
  'int8-baseline': () => new URL('../build/int8-baseline.wasm', import.meta.url),
  'int8-relaxed': () => new URL('../build/int8-relaxed.wasm', import.meta.url),
  'int8-wide': () => new URL('../build/int8-wide.wasm', import.meta.url),
};

/** Finds the script of what few weight files need, which the worker's script does not contain. */
export const moreUrl = (): URL => new URL('../dist/worker-more.js', import.meta.url);
