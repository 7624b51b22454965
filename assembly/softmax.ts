import { partition } from './partition';
import { Step } from './step';

/** out[B,C] = exp(in − max) / Σ exp(in − max) along C, summed in float64. Threads share the images. */
export function softmax(s: Step, thread: i32, threads: i32): void {
  const c = s.ic;
  const end = partition(s.batch, thread + 1, threads);
  for (let b = partition(s.batch, thread, threads); b < end; b++) {
    const inPtr = s.inPtr + (<usize>s.ldIn << 2) * b;
    const outPtr = s.outPtr + (<usize>s.ldOut << 2) * b;
    let largest: f32 = -Infinity;
    for (let i: usize = 0; i < <usize>c; i++) largest = max(largest, load<f32>(inPtr + (i << 2)));
    let sum: f64 = 0;
    for (let i: usize = 0; i < <usize>c; i++) {
      const e = Mathf.exp(load<f32>(inPtr + (i << 2)) - largest);
      store<f32>(outPtr + (i << 2), e);
      sum += e;
    }
    for (let i: usize = 0; i < <usize>c; i++) {
      store<f32>(outPtr + (i << 2), <f32>(<f64>load<f32>(outPtr + (i << 2)) / sum));
    }
  }
}
