import * as assert from 'uvu/assert';

/** Asserts that `actual` differs from `expected` by `most` or less. */
export function near(actual: number, expected: number, most: number, what: string): void {
  assert.ok(Math.abs(actual - expected) <= most, `${what}: expected ${expected} ± ${most}, got ${actual}`);
}
