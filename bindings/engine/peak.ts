/** What this CPU does at best with 128-bit vectors: the roof that kernels are measured against. */

import type { Binary, WasmSource } from './binary.js';
import { createCore } from './core.js';

// A round of assembly/peak.ts: 12 multiply–adds of 4 lanes.
const FLOP = 96;
// Some 7 ms: the clocks of pages tick ten times in one.
const ROUNDS = 4_000_000;
const MEASURE_MS = 400;

/** GFLOP/s of one thread in a loop of multiply–adds that touches registers alone: the best within 0.4 s. */
export async function measurePeak(binary?: Binary, wasm?: WasmSource): Promise<number> {
  const { kernels } = await createCore({ binary, wasm });
  let least = Number.POSITIVE_INFINITY;
  for (const end = performance.now() + MEASURE_MS; performance.now() < end; ) {
    const start = performance.now();
    kernels.peak(ROUNDS, 0.5);
    least = Math.min(least, performance.now() - start);
    // The engine puts the optimised loop in place between tasks.
    await new Promise((resolve) => setTimeout(resolve));
  }
  return (ROUNDS * FLOP) / least / 1e6;
}
