/** Bytes of the barrier's two words, each on a cache line of its own. */
export const BARRIER_BYTES: i32 = 128;
const GENERATION: usize = 64;

/** How often a thread looks at the generation before it sleeps: about 20 µs, longer than most steps' imbalance. */
const SPINS: i32 = 20000;

/** Returns once all `threads` threads have called it with the same `ptr`: arrivals | generation, zero at first. */
export function barrier(ptr: usize, threads: i32): void {
  const generationPtr = ptr + GENERATION;
  const now = atomic.load<i32>(generationPtr);
  if (atomic.add<i32>(ptr, 1) == threads - 1) {
    atomic.store<i32>(ptr, 0);
    atomic.add<i32>(generationPtr, 1);
    atomic.notify(generationPtr, threads);
    return;
  }
  for (let i = 0; i < SPINS; i++) {
    if (atomic.load<i32>(generationPtr) != now) return;
  }
  while (atomic.load<i32>(generationPtr) == now) atomic.wait<i32>(generationPtr, now, -1);
}
