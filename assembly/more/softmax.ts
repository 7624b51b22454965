import { exp, loadPart, storePart } from '../activation';
import { partition } from '../partition';
import { Step } from '../step';

/** out[B,C] = exp(in − max) / Σ exp(in − max) along C, summed in float64. Threads share the images. */
export function softmax(s: Step, piece: i32, pieces: i32, scratchPtr: usize): void {
  const bytes = <usize>s.ic << 2;
  const end = partition(s.batch, piece + 1, pieces);
  for (let b = partition(s.batch, piece, pieces); b < end; b++) {
    const inPtr = s.inPtr + (<usize>s.ldIn << 2) * b;
    const outPtr = s.outPtr + (<usize>s.ldOut << 2) * b;
    let largest: f32 = -Infinity;
    for (let i: usize = 0; i < bytes; i += 4) largest = max(largest, load<f32>(inPtr + i));
    for (let i: usize = 0; i < bytes; i += 16) {
      const left = bytes - i;
      const x = left >= 16 ? v128.load(inPtr + i) : loadPart(inPtr + i, left);
      const y = exp(f32x4.sub(x, f32x4.splat(largest)));
      if (left >= 16) v128.store(outPtr + i, y);
      else storePart(outPtr + i, y, left);
    }
    let sum: f64 = 0;
    for (let i: usize = 0; i < bytes; i += 4) sum += load<f32>(outPtr + i);
    for (let i: usize = 0; i < bytes; i += 4) store<f32>(outPtr + i, <f32>(<f64>load<f32>(outPtr + i) / sum));
  }
}
