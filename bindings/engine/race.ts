/** Times two ways of one matrix product on an instance of its own, so that nobody's memory is touched. */

import type { Fields } from '../../models/index.js';
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

/**
 * Samples after which it is given up. On an idle core the second or third is of compiled code, and all takes some
 * 10 ms, while weights come; where other threads hold the compiler up, a pause between samples gives it time.
 */
const MOST_SAMPLES = 100;

/** One way: the record's fields that differ, for a core with these vectors. */
export interface Way {
  readonly bits: Vectors['bits'];
  /** The weights may hold any bits. */
  fields(core: Core, weightPtr: number): Fields;
}

interface Test {
  /** Milliseconds of a sample. */
  time(): number;
  /** The bits of the product. */
  result(): Int32Array;
}

function testOf(core: Core, { bits, fields }: Way): Test {
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
    ...fields(core, values(K * N)),
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

export interface Race {
  /** How many times as fast the second is; undefined if the engine did not compile both for speed. */
  readonly gain: number | undefined;
  readonly samples: number;
  /** Whether both gave the same bits. */
  readonly areEqual: boolean;
}

/** Lets two ways run in turn until neither becomes faster. */
export async function race(core: Core, first: Way, second: Way): Promise<Race> {
  const own = { ...core, ...(await attach(core.modules, newMemory(core.shared))) };
  const tests = [testOf(own, first), testOf(own, second)] as const;
  const best: [number, number] = [Number.POSITIVE_INFINITY, Number.POSITIVE_INFINITY];
  let all = 0;
  for (let samples = 0; samples < SAMPLES; all++) {
    if (all === MOST_SAMPLES) return { gain: undefined, samples: all, areEqual: false };
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
  const [bits, others] = tests.map((test) => test.result()) as [Int32Array, Int32Array];
  return { gain: best[0] / best[1], samples: all, areEqual: bits.every((each, i) => each === others[i]) };
}
