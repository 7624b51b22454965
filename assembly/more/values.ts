/** Values in a row, whose last ones are fewer than a vector has. */

import { loadPart, storePart } from '../activation';

/** Loads a vector of which `bytes` are left, more than none; what is beyond them is zero. */
// @ts-ignore: decorator
@inline
export function loadSome(ptr: usize, bytes: usize): v128 {
  return bytes >= 16 ? v128.load(ptr) : loadPart(ptr, bytes);
}

/** Stores those of a vector that are left. */
// @ts-ignore: decorator
@inline
export function storeSome(ptr: usize, v: v128, bytes: usize): void {
  if (bytes >= 16) v128.store(ptr, v);
  else storePart(ptr, v, bytes);
}

/** Bytes from which on the engine's own copy is faster than a loop. */
const BULK: usize = 512;

// @ts-ignore: decorator
@inline
export function copyValues(toPtr: usize, fromPtr: usize, bytes: usize): void {
  if (bytes >= BULK) {
    memory.copy(toPtr, fromPtr, bytes);
    return;
  }
  for (let i: usize = 0; i < bytes; i += 16) storeSome(toPtr + i, loadSome(fromPtr + i, bytes - i), bytes - i);
}

// @ts-ignore: decorator
@inline
export function fillValues(ptr: usize, value: f32, bytes: usize): void {
  const v = f32x4.splat(value);
  for (let i: usize = 0; i < bytes; i += 16) storeSome(ptr + i, v, bytes - i);
}

/** The sum of four lanes, in float64. */
// @ts-ignore: decorator
@inline
export function sumLanes(v: v128): f64 {
  return (
    (<f64>f32x4.extract_lane(v, 0) + <f64>f32x4.extract_lane(v, 1)) +
    (<f64>f32x4.extract_lane(v, 2) + <f64>f32x4.extract_lane(v, 3))
  );
}
