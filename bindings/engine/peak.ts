/** What this CPU does at best with the vectors that kernels take: the roof that they are measured against. */

import type { Binary, WasmSource } from './binary.js';
import { createCore } from './create-core.js';

// A round of assembly/peak.ts: 12 multiply–adds of 4 lanes, or of 8.
const FLOP_PER_BIT = 96 / 128;
// Some 7 ms: the clocks of pages tick ten times in one.
const ROUNDS = 4_000_000;
const MEASURE_MS = 400;

/** GFLOP/s of one thread in a loop of multiply–adds that touches registers alone: the best within 0.4 s. */
export async function measurePeak(binary?: Binary, wasm?: WasmSource): Promise<number> {
  const core = await createCore({ binary, wasm });
  await core.measured;
  const { kernels, arena, vectors } = core;
  const outPtr = arena.alloc(32);
  let least = Number.POSITIVE_INFINITY;
  for (const end = performance.now() + MEASURE_MS; performance.now() < end; ) {
    const start = performance.now();
    if (vectors.bits === 256) kernels.peakWide(ROUNDS, 0.5, outPtr);
    else kernels.peak(ROUNDS, 0.5);
    least = Math.min(least, performance.now() - start);
    // The engine puts the optimised loop in place between tasks.
    await new Promise((resolve) => setTimeout(resolve));
  }
  return (ROUNDS * vectors.bits * FLOP_PER_BIT) / least / 1e6;
}
