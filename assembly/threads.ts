/** How threads share a step, and wait for each other after it. */

/** First of `units` that thread `t` of `threads` takes; it takes those up to the share of t + 1. */
// @ts-ignore: decorator
@inline
export function share(units: i32, t: i32, threads: i32): i32 {
  return <i32>((<i64>units * t) / threads);
}

/** Bytes of the barrier's two words, on cache lines of their own. */
export const BARRIER_BYTES: i32 = 128;
const GENERATION: usize = 64;

/** Looks at the generation so often before a thread sleeps: about 20 µs, longer than most steps' imbalance. */
const SPINS: i32 = 20000;

/** Returns once all `threads` threads have called it with the same `ptr`: arrivals | generation, zero at first. */
export function barrier(ptr: usize, threads: i32): void {
  const generation = ptr + GENERATION;
  const now = atomic.load<i32>(generation);
  if (atomic.add<i32>(ptr, 1) == threads - 1) {
    atomic.store<i32>(ptr, 0);
    atomic.add<i32>(generation, 1);
    atomic.notify(generation, threads);
    return;
  }
  for (let i = 0; i < SPINS; i++) {
    if (atomic.load<i32>(generation) != now) return;
  }
  while (atomic.load<i32>(generation) == now) atomic.wait<i32>(generation, now, -1);
}
