/** The binaries as text, for scripts that do not find the files: build.mjs defines the values. */

declare const BASELINE_WASM: string;
declare const RELAXED_WASM: string;
declare const MORE_WASM: string;
declare const INT8_BASELINE_WASM: string;
declare const INT8_RELAXED_WASM: string;

/** Decodes a binary; in place of `wide`, for which few have use, `relaxed`. */
export const inlineWasm = (binary: keyof typeof TEXTS): Uint8Array<ArrayBuffer> =>
  Uint8Array.from(atob(TEXTS[binary]()), (char) => char.charCodeAt(0));

const TEXTS = {
  baseline: () => BASELINE_WASM,
  relaxed: () => RELAXED_WASM,
  wide: () => RELAXED_WASM,
  more: () => MORE_WASM,
  'int8-baseline': () => INT8_BASELINE_WASM,
  'int8-relaxed': () => INT8_RELAXED_WASM,
  'int8-wide': () => INT8_RELAXED_WASM,
};
