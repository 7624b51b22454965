/** The binaries as text, for scripts that do not find the files: build.mjs defines the values. */

declare const BASELINE_WASM: string;
declare const RELAXED_WASM: string;

/** Decodes a binary. */
export const inlineWasm = (binary: 'baseline' | 'relaxed'): Uint8Array<ArrayBuffer> =>
  Uint8Array.from(atob(binary === 'relaxed' ? RELAXED_WASM : BASELINE_WASM), (char) => char.charCodeAt(0));
