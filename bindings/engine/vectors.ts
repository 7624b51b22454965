/** Measures whether this engine joins vectors side by side into vectors of 256 bits, as the wide binary's kernels are made for. */

import type { Core, Vectors } from './core.js';
import { race, type Way } from './race.js';

/** How much faster the wide tile has to be; V8 makes it 1.4 times as fast if it joins vectors, half as fast if not. */
const LEAST_GAIN = 1.1;

const narrow = (why: string): Vectors => ({ bits: 128, note: `Vectors of 128 bits, since ${why}.` });

/** The product of floats by the tile that a core of these vectors takes. */
export const floats = (bits: Vectors['bits']): Way => ({ bits, fields: (_, weightPtr) => ({ weightPtr }) });

async function measure(core: Core): Promise<Vectors> {
  const { gain, samples, areEqual } = await race(core, floats(128), floats(256));
  if (gain === undefined) return narrow(`the engine did not compile the kernels for speed in ${samples} tests`);
  if (!areEqual) return narrow('those of 256 give other results here');
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
