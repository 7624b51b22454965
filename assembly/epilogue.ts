import { FLAG_ADD, FLAG_RELU } from './step';

/** Stores max(y + residual, 0) in four lanes: the sum with FLAG_ADD, the maximum with FLAG_RELU. */
// @ts-ignore: decorator
@inline
export function finish(y: v128, out: usize, residual: usize, flags: i32): void {
  if (flags & FLAG_ADD) y = f32x4.add(y, v128.load(residual));
  if (flags & FLAG_RELU) y = f32x4.pmax(y, f32x4.splat(0));
  v128.store(out, y);
}
