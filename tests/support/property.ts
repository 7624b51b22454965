/** Property tests: the same cases in every run, other ones on request. */

import fc from 'fast-check';

const DEFAULT_SEED = 1;

/** The seed of all properties: that of the environment variable SEED, a number or `random`, or else a fixed one. */
function seedOf(text: string | undefined): number {
  if (text === undefined || text === '') return DEFAULT_SEED;
  if (text === 'random') return Math.floor(Math.random() * 2 ** 31);
  if (!/^-?\d+$/.test(text)) throw new Error(`SEED: expected a whole number or random, got ${text}.`);
  return Number(text);
}

const seed = seedOf(process.env.SEED);

export interface PropertyOptions {
  /** Cases to try; by default 100. */
  readonly runs?: number;
}

/** Checks that `check` throws for no value of `arbitrary`; the error names the seed and the smallest value that fails. */
export async function property<Value>(
  arbitrary: fc.Arbitrary<Value>,
  check: (value: Value) => void | Promise<void>,
  { runs = 100 }: PropertyOptions = {},
): Promise<void> {
  try {
    await fc.assert(
      fc.asyncProperty(arbitrary, async (value) => {
        await check(value);
      }),
      { numRuns: runs, seed },
    );
  } catch (cause) {
    throw new Error(`SEED=${seed} repeats this: ${(cause as Error).message}`, { cause });
  }
}
