/** Measures whether products of bytes are so fast here that not even Winograd's algorithm on floats is faster. */

import type { Core } from './core.js';
import { constant } from './lower.js';
import { race } from './race.js';
import { floats } from './vectors.js';

/**
 * Winograd's algorithm makes 3×3 layers in float32 up to 3 times as fast. In the product that is timed bytes are 1.35 times as fast
 * as floats where V8 takes three instructions for one, and 2.6 times with AVX-VNNI.
 */
const LEAST_GAIN = 1.9;

const measured = new Map<string, Promise<boolean>>();

/** Whether 3×3 layers too are faster on whole numbers: measured once per binary. `core` has the set `int8`. */
export async function isInt8Fastest(core: Core): Promise<boolean> {
  if (core.constants.QUANT_BYTES !== 1) return false;
  await core.measured;
  // With 256 bits Winograd's algorithm gains nothing: a ResNet-50 takes 47 ms either way, and with AVX-VNNI 37 for 40.
  if (core.vectors.bits === 256) return true;
  const found = measured.get(core.binary) ?? measure(core);
  measured.set(core.binary, found);
  return found;
}

async function measure(core: Core): Promise<boolean> {
  const { gain = 0 } = await race(core, floats(128), {
    bits: 128,
    fields(own, weightPtr) {
      const rangePtr = own.arena.alloc(4);
      own.arena.f32(rangePtr, 1)[0] = 1;
      return {
        kind: constant(own, 'KIND_QUANT_CONV'),
        weightPtr,
        mr: constant(own, 'MR_MAX'),
        low: 0,
        high: 127,
        rangePtr,
      };
    },
  });
  return gain > LEAST_GAIN;
}
