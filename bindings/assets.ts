/**
 * Where the binaries lie. This file stays as deep as dist/, so that its relative URLs hold before and after bundling.
 */

/** The URL of a binary. Bundlers look for these very words. A blob's script has no URL that they hold for, and does not ask. */
export const binaryUrl = (binary: 'baseline' | 'relaxed'): URL =>
  binary === 'relaxed'
    ? new URL('../build/relaxed.wasm', import.meta.url)
    : new URL('../build/baseline.wasm', import.meta.url);
