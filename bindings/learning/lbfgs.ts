/** Limited-memory BFGS, after Nocedal & Wright 2006, "Numerical Optimization", algorithms 7.4 and 7.5. */

/** The value of a function at `at`; writes its gradient there. */
export type Objective = (at: Float64Array, gradient: Float64Array) => Promise<number>;

export interface LbfgsOptions {
  readonly iterations: number;
  /** Stops once no derivative is larger. */
  readonly tolerance: number;
  /** Called after each iteration; what it throws is what `minimise` rejects with. */
  readonly onIteration: (iteration: number, value: number) => void;
}

/** Steps that are remembered. */
const MEMORY = 10;

/** Armijo's condition: a step has to gain this part of what the slope promises. */
const LEAST_GAIN = 1e-4;

/** Halvings of a step after which no gain is to be had. */
const HALVINGS = 30;

const dot = (a: Float64Array, b: Float64Array): number => {
  let sum = 0;
  for (let i = 0; i < a.length; i++) sum += (a[i] as number) * (b[i] as number);
  return sum;
};

/** a + factor · b, into a. */
function addScaled(a: Float64Array, factor: number, b: Float64Array): void {
  for (let i = 0; i < a.length; i++) a[i] = (a[i] as number) + factor * (b[i] as number);
}

const largest = (values: Float64Array): number => values.reduce((most, value) => Math.max(most, Math.abs(value)), 0);

interface Correction {
  /** How the place changed, and how the gradient did. */
  readonly step: Float64Array;
  readonly change: Float64Array;
  /** Their product, which is positive. */
  readonly curvature: number;
}

/** The direction of descent: −H · gradient, H the inverse of the Hessian as the corrections tell it. */
function direction(gradient: Float64Array, corrections: readonly Correction[]): Float64Array {
  const result = gradient.map((value) => -value);
  const factors: number[] = [];
  for (const { step, change, curvature } of corrections.toReversed()) {
    const factor = dot(step, result) / curvature;
    factors.push(factor);
    addScaled(result, -factor, change);
  }
  const last = corrections.at(-1);
  const scale = last
    ? last.curvature / dot(last.change, last.change)
    : 1 / Math.max(1, Math.sqrt(dot(gradient, gradient)));
  for (let i = 0; i < result.length; i++) result[i] = (result[i] as number) * scale;
  for (const { step, change, curvature } of corrections) {
    addScaled(result, (factors.pop() as number) - dot(change, result) / curvature, step);
  }
  return result;
}

/** Moves `at` to where a convex function is least. Returns the function's value there. */
export async function minimise(
  objective: Objective,
  at: Float64Array,
  { iterations, tolerance, onIteration }: LbfgsOptions,
): Promise<number> {
  let gradient = new Float64Array(at.length);
  let value = await objective(at, gradient);
  const corrections: Correction[] = [];
  for (let iteration = 1; iteration <= iterations && largest(gradient) > tolerance; iteration++) {
    const step = direction(gradient, corrections);
    const slope = dot(step, gradient);
    const next = new Float64Array(at.length);
    const nextGradient = new Float64Array(at.length);
    let nextValue = Number.POSITIVE_INFINITY;
    let factor = 1;
    for (let i = 0; i < HALVINGS; i++, factor /= 2) {
      next.set(at);
      addScaled(next, factor, step);
      nextValue = await objective(next, nextGradient);
      if (nextValue <= value + LEAST_GAIN * factor * slope) break;
    }
    // The value's own rounding is all that is left.
    if (!(nextValue < value)) return value;
    const change = nextGradient.map((each, i) => each - (gradient[i] as number));
    const moved = step.map((each) => each * factor);
    const curvature = dot(moved, change);
    if (curvature > 0) corrections.push({ step: moved, change, curvature });
    if (corrections.length > MEMORY) corrections.shift();
    at.set(next);
    gradient = nextGradient;
    value = nextValue;
    onIteration(iteration, value);
  }
  return value;
}
