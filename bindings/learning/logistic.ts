/** Multinomial logistic regression over cached embeddings. */

import { ResnetError } from '../../models/errors.js';
import type { LinearLayer, RowMatrix } from '../engine/row-matrix.js';
import { nextTask } from '../util/next-task.js';
import { minimise } from './lbfgs.js';

export interface FitOptions {
  /** Iterations at most. */
  readonly epochs: number;
  /** The penalty is l2 / 2 · Σ weight². */
  readonly l2: number;
  readonly signal?: AbortSignal | undefined;
  readonly onEpoch: (epoch: number, loss: number) => void;
}

/** What is fitted: row i of `rows` is of class `classes[i]`, and counts `weights[i]` times. */
export interface Examples {
  readonly rows: RowMatrix;
  readonly classes: readonly number[];
  readonly weights: Float64Array;
}

/** No derivative of the mean loss is larger at the end, as in scikit-learn's LogisticRegression. */
const TOLERANCE = 1e-4;

/** The event loop has its turn after so many milliseconds. */
const TURN_MS = 20;

/** Turns scores into probabilities minus the truth, times the weight of each example. Returns the sum of losses. */
function crossEntropy(scores: Float32Array, first: number, count: number, { classes, weights }: Examples): number {
  let loss = 0;
  for (let at = 0, i = first; at < scores.length; at += count, i++) {
    const weight = weights[i] as number;
    const row = scores.subarray(at, at + count);
    const largest = row.reduce((most, score) => Math.max(most, score), Number.NEGATIVE_INFINITY);
    const truth = classes[i] as number;
    const margin = (row[truth] as number) - largest;
    let sum = 0;
    for (let c = 0; c < count; c++) {
      const power = Math.exp((row[c] as number) - largest);
      sum += power;
      row[c] = power;
    }
    loss += weight * (Math.log(sum) - margin);
    for (let c = 0; c < count; c++) row[c] = weight * ((row[c] as number) / sum - (c === truth ? 1 : 0));
  }
  return loss;
}

/** The mean of each column over the examples that count. */
function meansOf({ rows, weights }: Examples): Float64Array {
  const means = new Float64Array(rows.columns);
  const total = weights.reduce((sum, weight) => sum + weight, 0);
  for (let i = 0; i < rows.length; i++) {
    const weight = (weights[i] as number) / total;
    if (weight === 0) continue;
    const row = rows.row(i);
    for (let k = 0; k < means.length; k++) means[k] = (means[k] as number) + weight * (row[k] as number);
  }
  return means;
}

/**
 * Fits a linear layer of `count` classes by L-BFGS: the least of mean cross-entropy + l2 / 2 · Σ weight². Columns are centred
 * meanwhile, which leaves the result the same and needs a third of the iterations. Deterministic: it begins at zero. Rejects with the signal's
 * reason, or if the loss is not finite.
 */
export async function fit(
  examples: Examples,
  count: number,
  { epochs, l2, signal, onEpoch }: FitOptions,
): Promise<LinearLayer & { readonly loss: number }> {
  const { rows, weights } = examples;
  const { columns } = rows;
  const size = count * columns;
  const means = meansOf(examples);
  const total = weights.reduce((sum, weight) => sum + weight, 0);
  const layerAt = (at: Float64Array): LinearLayer => {
    const weight = Float32Array.from(at.subarray(0, size));
    const bias = Float32Array.from({ length: count }, (_, c) => {
      let shift = 0;
      for (let k = 0; k < columns; k++) shift += (weight[c * columns + k] as number) * (means[k] as number);
      return (at[size + c] as number) - shift;
    });
    return { weight, bias };
  };
  let turn = performance.now();
  let evaluations = 0;
  const objective = async (at: Float64Array, gradient: Float64Array): Promise<number> => {
    if (performance.now() - turn > TURN_MS) {
      await nextTask();
      turn = performance.now();
    }
    signal?.throwIfAborted();
    evaluations += 1;
    let loss = 0;
    const sums = new Float64Array(count);
    const product = rows.gradient(layerAt(at), (scores, first) => {
      loss += crossEntropy(scores, first, count, examples);
      for (let i = 0; i < scores.length; i++) sums[i % count] = (sums[i % count] as number) + (scores[i] as number);
    });
    let squares = 0;
    for (let i = 0; i < size; i++) {
      const weight = at[i] as number;
      const c = Math.floor(i / columns);
      squares += weight * weight;
      gradient[i] =
        ((product[i] as number) - (sums[c] as number) * (means[i % columns] as number)) / total + l2 * weight;
    }
    for (let c = 0; c < count; c++) gradient[size + c] = (sums[c] as number) / total;
    const value = loss / total + (l2 / 2) * squares;
    if (!Number.isFinite(value)) {
      throw new ResnetError(
        'values',
        `train: the loss is ${value} in step ${evaluations}; look for embeddings that are not finite, or try a larger l2.`,
      );
    }
    return value;
  };
  const at = new Float64Array(size + count);
  const loss = await minimise(objective, at, { iterations: epochs, tolerance: TOLERANCE, onIteration: onEpoch });
  return { ...layerAt(at), loss };
}
