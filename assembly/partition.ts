/** First of `units` that piece `piece` of `pieces` has; it has those up to the first of piece + 1. */
// @ts-ignore: decorator
@inline
export function partition(units: i32, piece: i32, pieces: i32): i32 {
  return <i32>((<i64>units * piece) / pieces);
}

/**
 * Joins pieces by twos, or by fours if need be, so that there are at most `most`: pieces that are too small cost more than
 * they balance. Every thread has four (bindings/engine/thread-pool.ts), so that one is left to each.
 */
export function joined(pieces: i32, most: i32): i32 {
  if (pieces > most) pieces = (pieces + 1) >> 1;
  return pieces > most ? (pieces + 1) >> 1 : pieces;
}
