/** Measures whether this engine joins vectors side by side into vectors of 256 bits, as the wide binary's kernels are made for. */

import { uniform } from '../weights/uniform.js';
import { attach, type Core, newMemory, type Vectors } from './core.js';
import { constant, writeRecord } from './lower.js';

/** A product whose tiles all have 5 or all have 6 rows, so that one function is compiled for it: A[M, K] · B[K, N], B packed. */
const [M, N, K] = [30, 64, 128];

/** Runs of a sample: 0.3 ms, since the clocks of pages may tick in steps of 0.1. */
const RUNS = 48;

/**
 * A sample that takes less is of code that was compiled for speed: more than 16 GFLOP/s. What the engine
 * has at first takes ten times as long.
 */
const COMPILED_MS = (RUNS * 2 * M * N * K) / 16e6;

/** Samples of compiled code, after which none was faster by 3 %. */
const SAMPLES = 6;

/** How much faster the wide tile has to be; V8 makes it 1.4 times as fast if it joins vectors, half as fast if not. */
const LEAST_GAIN = 1.1;

/**
 * Samples after which the narrow tile is taken. On an idle core the second or third is of compiled code, and all takes some
 * 10 ms, while weights come; where other threads hold the compiler up, a pause between samples gives it time.
 */
const MOST_SAMPLES = 100;

interface Test {
  /** Milliseconds of a sample. */
  time(): number;
  /** The bits of the product. */
  result(): Int32Array;
}

/** The product by the tile that a core of these vectors takes. */
function testOf(core: Core, bits: Vectors['bits']): Test {
  const { arena, kernels } = core;
  const values = (length: number): number => {
    const ptr = arena.alloc(length * 4);
    arena.f32(ptr, length).set(uniform(`${length}`, length, -1, 1));
    return ptr;
  };
  const recordsPtr = arena.alloc(constant(core, 'STEP_BYTES'));
  const outPtr = arena.alloc(M * N * 4);
  writeRecord({ ...core, vectors: { bits, note: '' } }, recordsPtr, {
    kind: constant(core, 'KIND_CONV'),
    mr: core.tileRows,
    inPtr: values(M * K),
    ldIn: K,
    outPtr,
    ldOut: N,
    weightPtr: values(K * N),
    biasPtr: values(N),
    batch: 1,
    ih: M,
    iw: 1,
    ic: K,
    oh: M,
    ow: 1,
    oc: N,
    kh: 1,
    kw: 1,
    strideH: 1,
    strideW: 1,
    dilationH: 1,
    dilationW: 1,
    groups: 1,
  });
  // Behind the weights: tiles read a little further ahead.
  const scratchPtr = arena.alloc(constant(core, 'SCRATCH_BYTES'));
  const run = (): void => kernels.run(recordsPtr, 0, 1, 0, 1, scratchPtr);
  return {
    time() {
      const start = performance.now();
      for (let i = 0; i < RUNS; i++) run();
      return performance.now() - start;
    },
    result() {
      run();
      return arena.i32(outPtr, M * N).slice();
    },
  };
}

const narrow = (why: string): Vectors => ({ bits: 128, note: `Vectors of 128 bits, since ${why}.` });

/** Compares the wide tile with the narrow one on an instance of its own, so that nobody's memory is touched. */
async function measure(core: Core): Promise<Vectors> {
  const own = { ...core, ...(await attach(core.modules, newMemory(core.shared))) };
  const tests = [testOf(own, 128), testOf(own, 256)] as const;
  const best: [number, number] = [Number.POSITIVE_INFINITY, Number.POSITIVE_INFINITY];
  for (let samples = 0, all = 0; samples < SAMPLES; all++) {
    if (all === MOST_SAMPLES) return narrow(`the engine did not compile the kernels for speed in ${all} tests`);
    let isFaster = false;
    tests.forEach((test, i) => {
      const ms = test.time();
      if (ms < 0.97 * (best[i] as number)) isFaster = true;
      best[i] = Math.min(best[i] as number, ms);
    });
    samples = isFaster || Math.max(...best) > COMPILED_MS ? 0 : samples + 1;
    // The engine compiles meanwhile.
    if (all > 0) await new Promise((resolve) => setTimeout(resolve, 1));
  }
  const [first, second] = tests.map((test) => test.result()) as [Int32Array, Int32Array];
  if (first.some((bits, i) => bits !== second[i])) return narrow('those of 256 give other results here');
  const gain = best[0] / best[1];
  const times = `${gain.toFixed(2)} times the speed of 128`;
  if (!(gain > LEAST_GAIN)) return narrow(`the engine does not join them to 256 (which have ${times})`);
  return { bits: 256, note: `Vectors of 256 bits, which have ${times} here.` };
}

let measured: Promise<Vectors> | undefined;

/** Decides which vectors the wide binary uses: once per process or worker. `core`: any core of that binary. */
export function measureVectors(core: Core): Promise<Vectors> {
  measured ??= measure(core).catch((reason) => narrow(`they could not be measured (${(reason as Error).message})`));
  return measured;
}
