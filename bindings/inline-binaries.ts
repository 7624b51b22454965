/** The binaries as text, for scripts that do not find the files: build.mjs defines the values. */

declare const BASELINE_WASM: string;
declare const RELAXED_WASM: string;

/** Decodes a binary; in place of `wide`, for which few have use, `relaxed`. */
export const inlineWasm = (binary: 'baseline' | 'relaxed' | 'wide'): Uint8Array<ArrayBuffer> =>
  Uint8Array.from(atob(binary === 'baseline' ? BASELINE_WASM : RELAXED_WASM), (char) => char.charCodeAt(0));
