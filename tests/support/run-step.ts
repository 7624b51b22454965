/** Runs single records of kernels whose work any number of threads may share. */

import fc from 'fast-check';
import type { Core } from '../../bindings/engine/core.js';
import { uniform } from '../../bindings/weights/uniform.js';
import { assertSameBits, Desk, type Fields, type Region, runRecord } from './records.js';
import { type Maps, size, type Values } from './reference.js';

export interface Step {
  readonly kind: string;
  readonly from: Maps;
  readonly to: Maps;
  readonly x: Values;
  readonly gaps: readonly [number, number];
  readonly fields?: Fields;
}

/** Runs a record whole and in the shares of several threads, whose results must be the same bits. */
export function runStep(
  core: Core,
  step: Step,
  extra: (desk: Desk, output: Region) => Fields = () => ({}),
): Float32Array {
  const { kind, from, to, x, gaps, fields } = step;
  const results = [1, 2, 3, 4].map((threads) => {
    const desk = new Desk(core);
    const input = desk.put(x, from.c, from.c + gaps[0]);
    const output = desk.room(to.batch * to.h * to.w, to.c, to.c + gaps[1]);
    const maps = { batch: from.batch, ih: from.h, iw: from.w, ic: from.c, oh: to.h, ow: to.w, oc: to.c };
    const places = { inPtr: input.ptr, ldIn: input.ld, outPtr: output.ptr, ldOut: output.ld };
    runRecord(desk, kind, { ...maps, ...places, mr: 5, ...fields, ...extra(desk, output) }, threads);
    desk.assertIntact(kind, output);
    const result = desk.read(output);
    desk.clear();
    return result;
  });
  const [whole, ...shared] = results as [Float32Array, ...Float32Array[]];
  shared.forEach((result, i) => {
    assertSameBits(result, whole, `${kind} on ${i + 2} threads`);
  });
  return whole;
}

export const count = (min: number, max: number) => fc.integer({ min, max });
export const anyMaps = fc.record({ batch: count(1, 3), h: count(1, 9), w: count(1, 9), c: count(1, 13) });
export const anyGaps = fc.tuple(fc.nat(5), fc.nat(5));
/** Values of maps, the same for the same sizes. */
export const data = (maps: Maps, low = -2, high = 2) => uniform(JSON.stringify(maps), size(maps), low, high);
