/** Engines side by side: first whether they compute the same, then run by run in turn. Runs in Node and in a page. */

import { seededInput } from '../../bindings/weights/uniform.js';
import { buildNetwork } from '../../models/index.js';
import { type EngineName, type Places, start } from './engines.js';
import { makeLayers, permuted } from './layers.js';

export interface Task {
  readonly network: string;
  readonly threads: number;
  readonly engines: readonly EngineName[];
  /** Timed runs of each engine. */
  readonly rounds: number;
  readonly warmUps: number;
}

export interface Timing {
  readonly engine: EngineName;
  /** Milliseconds of each round, in order; of several processes together, the median of each. */
  readonly ms: readonly number[];
  /** Largest difference from the first engine's logits, as a share of the largest logit. */
  readonly difference: number;
}

/** What engines may differ by in the order of their additions, Winograd's included; a wrong network differs by far more. */
const TOLERANCE = 1e-3;

/** A pause before each run, so that the threads of the engine before stop spinning. */
const PAUSE_MS = 20;

const pause = (): Promise<void> => new Promise((resolve) => setTimeout(resolve, PAUSE_MS));

/** Throws where an engine does not start or computes something else. */
export async function measure({ network, threads, engines, rounds, warmUps }: Task, places: Places): Promise<Timing[]> {
  const layers = makeLayers(buildNetwork(network));
  const { h, w, c } = layers.inputShape;
  const nchw = seededInput([1, c, h, w]);
  const inputs = { NCHW: nchw, NHWC: permuted(nchw, [c, h, w], [1, 2, 0]) };

  const started = [];
  let wanted: Float32Array | undefined;
  for (const name of engines) {
    const engine = await start(name, layers, threads, places);
    const logits = (await engine.run(inputs[engine.layout])).slice();
    wanted ??= logits;
    const difference = relativeDifference(logits, wanted);
    if (!(difference <= TOLERANCE)) {
      throw new Error(
        `${name}, ${network}: expected the logits of ${engines[0]} within ${TOLERANCE}, got a difference of ${difference}.`,
      );
    }
    started.push({ name, engine, difference, ms: [] as number[] });
  }

  for (let round = -warmUps; round < rounds; round++) {
    for (let i = 0; i < started.length; i++) {
      const { engine, ms } = started[(i + warmUps + round) % started.length] as (typeof started)[number];
      await pause();
      const begin = performance.now();
      await engine.run(inputs[engine.layout]);
      const end = performance.now();
      if (round >= 0) ms.push(end - begin);
    }
  }
  return started.map(({ name, difference, ms }) => ({ engine: name, ms, difference }));
}

function relativeDifference(got: Float32Array, wanted: Float32Array): number {
  if (got.length !== wanted.length) return Number.POSITIVE_INFINITY;
  let [largest, difference] = [0, 0];
  wanted.forEach((value, i) => {
    largest = Math.max(largest, Math.abs(value));
    const off = Math.abs(value - (got[i] as number));
    difference = Math.max(off, difference);
  });
  return difference / largest;
}
