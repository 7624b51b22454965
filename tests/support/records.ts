/** Linear memory for tests of kernels: values between canaries, and single records to run. */

import * as assert from 'uvu/assert';
import { align } from '../../bindings/engine/arena.js';
import type { Core } from '../../bindings/engine/core.js';
import { constant, writeRecord } from '../../bindings/engine/lower.js';
import type { Fields } from '../../models/index.js';
import type { Activation, Values } from './reference.js';

export { constant } from '../../bindings/engine/lower.js';
export type { Fields } from '../../models/index.js';

/** Elements on either side of a region that nobody may write; NaN, so that nobody can read them unnoticed. */
const GUARD = 64;

/** [pixels, c] values in memory, pixels `ld` elements apart. */
export interface Region {
  /** Of the first value. */
  readonly ptr: number;
  readonly pixels: number;
  readonly c: number;
  readonly ld: number;
  /** The bits of everything from guard to guard, as they are to stay. */
  readonly before: Int32Array;
}

/** Memory that one test uses, from construction to `clear`. */
export class Desk {
  readonly core: Core;
  readonly #mark: number;
  readonly #regions: Region[] = [];

  constructor(core: Core) {
    this.core = core;
    this.#mark = core.arena.mark();
  }

  /** `values` as [values.length / c, c] with `ld` from pixel to pixel; what lies between is NaN. */
  put(values: Values, c: number = values.length, ld: number = c): Region {
    const pixels = values.length / c;
    const length = pixels * ld + 2 * GUARD;
    const start = this.core.arena.alloc(length * 4);
    const all = this.core.arena.f32(start, length).fill(Number.NaN);
    for (let i = 0; i < values.length; i++) {
      all[GUARD + Math.floor(i / c) * ld + (i % c)] = values[i] as number;
    }
    const before = this.core.arena.i32(start, length).slice();
    const region = { ptr: start + GUARD * 4, pixels, c, ld, before };
    this.#regions.push(region);
    return region;
  }

  /** Room for results: NaN until they are there. */
  room(pixels: number, c: number, ld: number = c): Region {
    return this.put(new Float32Array(pixels * c).fill(Number.NaN), c, ld);
  }

  /** `bytes` that hold garbage. */
  scratch(bytes: number): number {
    const ptr = this.core.arena.alloc(bytes);
    this.core.arena.f32(ptr, align(bytes) / 4).fill(Number.NaN);
    return ptr;
  }

  /** The values of a region, dense. */
  read({ ptr, pixels, c, ld }: Region): Float32Array {
    const all = this.core.arena.f32(ptr, pixels * ld);
    return Float32Array.from({ length: pixels * c }, (_, i) => all[Math.floor(i / c) * ld + (i % c)] as number);
  }

  /** Fails if a guard, a gap between pixels or a region other than `written` has changed. */
  assertIntact(subject: string, ...written: Region[]): void {
    for (const region of this.#regions) {
      const { ptr, pixels, c, ld, before } = region;
      const now = this.core.arena.i32(ptr - GUARD * 4, before.length);
      const isWritten = written.includes(region);
      for (let i = 0; i < before.length; i++) {
        const at = i - GUARD;
        if (now[i] === before[i]) continue;
        if (isWritten && at >= 0 && at < pixels * ld && at % ld < c) continue;
        assert.unreachable(
          `${subject}: expected element ${at} of [${pixels}, ${c}] (ld ${ld}) untouched, got written.`,
        );
      }
    }
  }

  /** From now on a region is to stay as it is at present. */
  settle({ ptr, before }: Region): void {
    before.set(this.core.arena.i32(ptr - GUARD * 4, before.length));
  }

  clear(): void {
    this.core.arena.release(this.#mark);
    this.#regions.length = 0;
  }
}

/**
 * Runs one record as `threads` threads would, one after the other, the last first. `scratchBytes`: of each thread.
 */
export function runRecord(
  desk: Desk,
  kind: string,
  fields: Fields,
  threads = 1,
  scratchBytes = constant(desk.core, 'SCRATCH_BYTES'),
): void {
  const { core } = desk;
  const recordPtr = core.arena.alloc(constant(core, 'STEP_BYTES'));
  writeRecord(core, recordPtr, { kind: constant(core, kind), ...fields });
  for (let thread = threads - 1; thread >= 0; thread--) {
    core.kernels.run(recordPtr, 0, 1, thread, threads, desk.scratch(scratchBytes));
  }
}

/** The bits of both are equal, NaN and signs of zero included. */
export function assertSameBits(actual: Float32Array, expected: Float32Array, subject: string): void {
  const [a, b] = [actual, expected].map((v) => new Uint32Array(v.buffer, v.byteOffset, v.length)) as [
    Uint32Array,
    Uint32Array,
  ];
  assert.is(a.length, b.length, `${subject}: length`);
  const at = a.findIndex((bits, i) => bits !== b[i]);
  assert.ok(at < 0, `${subject}: expected ${expected[at]} at ${at}, got ${actual[at]}.`);
}

/** The fields of an activation. */
export const activationFields = (desk: Desk, { name, alpha = 0, beta = 0, slopes }: Activation): Fields => ({
  activation: constant(desk.core, `ACTIVATION_${name}`),
  alpha,
  beta,
  slopePtr: slopes ? desk.put(padded(desk.core, slopes)).ptr : 0,
});

/** Sizes that a loop over tiles of `tile` may get wrong. */
export const edges = (tile: number): number[] => [...new Set([1, tile - 1, tile, tile + 1, 2 * tile + 3])];

/** Every number of rows that a GEMM's tile may be asked for (`Step.mr`). */
export const tileRows = (core: Core): number[] => Array.from({ length: constant(core, 'MR_MAX') - 3 }, (_, i) => 4 + i);

/** B[k, n] as assembly/gemm/f32/pack.ts draws it: panels [k][NR], columns beyond n zero. */
export function packed(core: Core, b: Values, k: number, n: number): Float32Array {
  const columns = constant(core, 'NR');
  const out = new Float32Array(Math.ceil(n / columns) * k * columns);
  for (let l = 0; l < k; l++)
    for (let j = 0; j < n; j++) {
      out[(Math.floor(j / columns) * k + l) * columns + (j % columns)] = b[l * n + j] as number;
    }
  return out;
}

/** A vector with zeros to whole panels. */
export function padded(core: Core, values: Values): Float32Array {
  const columns = constant(core, 'NR');
  const out = new Float32Array(Math.ceil(values.length / columns) * columns);
  out.set(values);
  return out;
}

/** Sizes of weights W[outputs, inner, taps], `perGroup` outputs per group. */
export interface WeightSizes {
  readonly outputs: number;
  readonly perGroup: number;
  readonly inner: number;
  readonly taps: number;
}

/** The packed B of every group, one after the other, from W[o, i, s]. */
export function packedGroups(core: Core, w: Values, { outputs, perGroup, inner, taps }: WeightSizes): Float32Array {
  const k = inner * taps;
  const groups: number[] = [];
  for (let first = 0; first < outputs; first += perGroup) {
    const b = new Float32Array(k * perGroup);
    for (let o = 0; o < perGroup; o++)
      for (let i = 0; i < inner; i++)
        for (let s = 0; s < taps; s++) {
          b[(s * inner + i) * perGroup + o] = w[((first + o) * inner + i) * taps + s] as number;
        }
    groups.push(...packed(core, b, k, perGroup));
  }
  return Float32Array.from(groups);
}
