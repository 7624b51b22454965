/** Property tests whose checks may wait. */

import fc from 'fast-check';

export interface PropertyOptions {
  /** Cases to try; by default 100. */
  readonly runs?: number;
}

/** Checks that `check` throws for no value of `arbitrary`. */
export const property = <Value>(
  arbitrary: fc.Arbitrary<Value>,
  check: (value: Value) => void | Promise<void>,
  { runs = 100 }: PropertyOptions = {},
): Promise<void> =>
  fc.assert(
    fc.asyncProperty(arbitrary, async (value) => {
      await check(value);
    }),
    { numRuns: runs },
  );
