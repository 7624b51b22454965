import { ACTIVATION_CLIP, ACTIVATION_RELU, FLAG_ADD, Step } from './step';

/** min(max(y, low), high); NaN stays, since pmax and pmin keep their first operand then. */
// @ts-ignore: decorator
@inline
export function clip(y: v128, low: v128, high: v128): v128 {
  return f32x4.pmin(f32x4.pmax(y, low), high);
}

/** Whether the step adds a residual. */
// @ts-ignore: decorator
@inline
export function addsResidual(s: Step): bool {
  return (s.flags & FLAG_ADD) != 0;
}

/**
 * Stores activation(y + residual) in four lanes: the sum if `adds`; the activation if it is NONE, RELU or CLIP. All
 * others are left to a pass over what is finished (activateRows). `adds` and `activation` are the step's, in locals of
 * the caller: V8 would read them from memory for each vector.
 */
// @ts-ignore: decorator
@inline
export function applyEpilogue(
  s: Step, adds: bool, activation: i32, y: v128, outPtr: usize, residualPtr: usize,
): void {
  if (adds) y = f32x4.add(y, v128.load(residualPtr));
  // pmax is one instruction where max is six, and keeps NaN too when it comes first.
  if (activation == ACTIVATION_RELU) y = f32x4.pmax(y, f32x4.splat(0));
  else if (activation == ACTIVATION_CLIP) y = clip(y, f32x4.splat(s.alpha), f32x4.splat(s.beta));
  v128.store(outPtr, y);
}

/** Stores 8 channels side by side. */
// @ts-ignore: decorator
@inline
export function storePair(ptr: usize, low: v128, high: v128): void {
  v128.store(ptr, low);
  v128.store(ptr, high, 16);
}

/** As applyEpilogue, for 8 channels: all loads come before the stores, or an engine would not join the two vectors. */
// @ts-ignore: decorator
@inline
export function applyEpiloguePair(
  s: Step, adds: bool, activation: i32, low: v128, high: v128, outPtr: usize, residualPtr: usize,
): void {
  if (adds) {
    low = f32x4.add(low, v128.load(residualPtr));
    high = f32x4.add(high, v128.load(residualPtr, 16));
  }
  if (activation == ACTIVATION_RELU) {
    low = f32x4.pmax(low, f32x4.splat(0));
    high = f32x4.pmax(high, f32x4.splat(0));
  } else if (activation == ACTIVATION_CLIP) {
    low = clip(low, f32x4.splat(s.alpha), f32x4.splat(s.beta));
    high = clip(high, f32x4.splat(s.alpha), f32x4.splat(s.beta));
  }
  storePair(outPtr, low, high);
}

/** As applyEpilogue, for one value. */
// @ts-ignore: decorator
@inline
export function applyEpilogueScalar(
  s: Step, adds: bool, activation: i32, y: f32, outPtr: usize, residualPtr: usize,
): void {
  if (adds) y += load<f32>(residualPtr);
  if (activation == ACTIVATION_RELU) y = y < 0 ? 0 : y;
  else if (activation == ACTIVATION_CLIP) y = y < s.alpha ? s.alpha : s.beta < y ? s.beta : y;
  store<f32>(outPtr, y);
}
