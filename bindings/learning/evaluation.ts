/** Which examples are classified by a head that has not learned them, and what comes of it. */

import { uniform } from '../weights/uniform.js';
import type { Evaluation } from './types.js';

/** One row of the matrix: an example, or a variant of one. */
export interface Row {
  readonly example: number;
  readonly label: string;
}

/** The labels of rows, each once, in the order in which they came. */
export const labelsOf = (rows: readonly Row[]): string[] => [...new Set(rows.map(({ label }) => label))];

/** Deals the examples of each class, shuffled the same way each time, to the folds. */
export function foldsOf(rows: readonly Row[], folds: number): Map<number, number> {
  const parts = new Map<number, number>();
  let next = 0;
  for (const label of labelsOf(rows)) {
    const examples = [...new Set(rows.flatMap((row) => (row.label === label ? [row.example] : [])))];
    const keys = uniform('folds', examples.length, 0, 1);
    const order = [...examples.keys()].sort((a, b) => (keys[a] as number) - (keys[b] as number));
    for (const i of order) parts.set(examples[i] as number, next++ % folds);
  }
  return parts;
}

/** Counts what was taken for what. */
export function confusionOf(
  known: readonly string[],
  pairs: readonly (readonly [truth: string, found: string])[],
): Evaluation {
  const labels = [...new Set([...known, ...pairs.map(([truth]) => truth)])];
  const confusion = labels.map(() => labels.map(() => 0));
  for (const [truth, found] of pairs) {
    const row = confusion[labels.indexOf(truth)] as number[];
    const at = labels.indexOf(found);
    row[at] = (row[at] as number) + 1;
  }
  const right = pairs.filter(([truth, found]) => truth === found).length;
  return { count: pairs.length, accuracy: pairs.length > 0 ? right / pairs.length : 0, labels, confusion };
}
