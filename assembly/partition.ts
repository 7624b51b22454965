/** First of `units` that thread `thread` of `threads` takes; it takes those up to the first of thread + 1. */
// @ts-ignore: decorator
@inline
export function partition(units: i32, thread: i32, threads: i32): i32 {
  return <i32>((<i64>units * thread) / threads);
}
