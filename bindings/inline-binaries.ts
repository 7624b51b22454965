/** The binaries as text, for scripts that do not find the files: build.mjs defines the values. */

declare const BASELINE_WASM: string;
declare const RELAXED_WASM: string;
declare const MORE_WASM: string;

/** Decodes a binary; in place of `wide`, for which few have use, `relaxed`. */
export const inlineWasm = (binary: 'baseline' | 'relaxed' | 'wide' | 'more'): Uint8Array<ArrayBuffer> => {
  const texts = { baseline: BASELINE_WASM, relaxed: RELAXED_WASM, wide: RELAXED_WASM, more: MORE_WASM };
  return Uint8Array.from(atob(texts[binary]), (char) => char.charCodeAt(0));
};
