/** V8's pass that joins vectors to 256 bits ("revectorize"): whether this process has it, and how to switch it on. */

import { setFlagsFromString } from 'node:v8';

const FLAG = 'experimental-wasm-revectorize';

/** V8 has the flag from version 12 on, and from 13 on it has an effect on these kernels. */
const FIRST_V8 = 13;

/** What became of `enableWideVectors`. */
export interface WideVectors {
  readonly enabled: boolean;
  /** Why, in one sentence. */
  readonly reason: string;
}

/** Whether the options of a process switch the flag on: the last one that names it counts. V8 reads _ as -. */
function isOn(options: readonly string[]): boolean {
  const named = options.map((option) => option.replaceAll('_', '-')).filter((option) => option.endsWith(FLAG));
  return named.at(-1) === `--${FLAG}`;
}

const given = (): boolean => isOn(process.execArgv);

let result: WideVectors | undefined;

/**
 * Lets V8 join pairs of 128-bit vectors into vectors of 256 bits (AVX2): models that are loaded from then on, with their
 * threads, take up to half the time. The pass is experimental in V8 and off by default; it is switched on for all
 * WebAssembly that this process compiles from then on, that of other packages too. Whether it pays is measured, and its results are
 * compared, when the first model is loaded: `info()` tells which vectors a model runs on. If this V8 has no such pass, nothing
 * is changed, and `reason` says why. Calling it again changes nothing.
 */
export function enableWideVectors(): WideVectors {
  result ??= enable();
  return result;
}

function enable(): WideVectors {
  if (given()) return { enabled: true, reason: 'The process was started with the flag.' };
  const refused = (why: string): WideVectors => ({ enabled: false, reason: `Vectors of 128 bits, since ${why}.` });
  const { v8 } = process.versions;
  if (process.arch !== 'x64') return refused(`V8 joins them on x64 alone, and this is ${process.arch}`);
  if (!(Number.parseInt(v8, 10) >= FIRST_V8)) return refused(`V8 ${v8} cannot join them; Node 24 can`);
  try {
    setFlagsFromString(`--${FLAG}`);
  } catch (cause) {
    return refused(`its flag cannot be set here (${(cause as Error).message})`);
  }
  return { enabled: true, reason: 'V8 was told to join vectors.' };
}

/** Why this process does not join vectors; undefined if it was told to. */
export function whyNarrow(): string | undefined {
  if (given() || result?.enabled) return undefined;
  return result?.reason ?? 'Vectors of 128 bits, since 256 were not asked for: see enableWideVectors.';
}
