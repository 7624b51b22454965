/** First of `units` that thread `t` of `threads` takes; it takes those up to the share of t + 1. */
// @ts-ignore: decorator
@inline
export function share(units: i32, t: i32, threads: i32): i32 {
  return <i32>((<i64>units * t) / threads);
}
