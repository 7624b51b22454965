import { addsResidual, applyEpilogue } from '../epilogue';
import { madd } from '../isa';
import { Step } from '../step';
import { NR } from '../tile';

/**
 * Y[B,N] = epilogue(X[B,K] · W[K,N] + bias[N]): a fully connected layer, panels j0 … j1 alone, image by image, so that a
 * result does not depend on the batch. For one image the speed is that of memory (GEMM takes twice as long); for more, of
 * the cache that holds a panel. Four sums per vector hide the latency of madd. The last panel may reach past N: it goes
 * through 64 bytes of scratch.
 */
export function gemv(s: Step, k: i32, j0: i32, j1: i32, scratchPtr: usize): void {
  const n = s.oc;
  const adds = addsResidual(s), activation = s.activation;
  for (let j = j0; j < j1; j++) {
    const column = <usize>j * (NR * 4);
    const width = <usize>min(n - j * NR, NR) << 2;
    const isWhole = width == NR * 4;
    for (let b = 0; b < s.batch; b++) {
      let bPtr = s.weightPtr + column * k;
      let xPtr = s.inPtr + (<usize>(b * k) << 2);
      const xEnd4 = xPtr + (<usize>(k & ~3) << 2), xEnd = xPtr + (<usize>k << 2);
      let low0 = v128.load(s.biasPtr + column);
      let high0 = v128.load(s.biasPtr + column, 16);
      let low1 = f32x4.splat(0), low2 = low1, low3 = low1, high1 = low1, high2 = low1, high3 = low1;
      for (; xPtr < xEnd4; xPtr += 16) {
        const x0 = v128.load32_splat(xPtr);
        low0 = madd(x0, v128.load(bPtr), low0);
        high0 = madd(x0, v128.load(bPtr, 16), high0);
        const x1 = v128.load32_splat(xPtr, 4);
        low1 = madd(x1, v128.load(bPtr, 32), low1);
        high1 = madd(x1, v128.load(bPtr, 48), high1);
        const x2 = v128.load32_splat(xPtr, 8);
        low2 = madd(x2, v128.load(bPtr, 64), low2);
        high2 = madd(x2, v128.load(bPtr, 80), high2);
        const x3 = v128.load32_splat(xPtr, 12);
        low3 = madd(x3, v128.load(bPtr, 96), low3);
        high3 = madd(x3, v128.load(bPtr, 112), high3);
        bPtr += 128;
      }
      for (; xPtr < xEnd; xPtr += 4) {
        const x0 = v128.load32_splat(xPtr);
        low0 = madd(x0, v128.load(bPtr), low0);
        high0 = madd(x0, v128.load(bPtr, 16), high0);
        bPtr += 32;
      }
      low0 = f32x4.add(f32x4.add(low0, low1), f32x4.add(low2, low3));
      high0 = f32x4.add(f32x4.add(high0, high1), f32x4.add(high2, high3));
      const outPtr = s.outPtr + (<usize>(b * s.ldOut) << 2) + column;
      const addPtr = s.residualPtr + (<usize>(b * s.ldResidual) << 2) + column;
      const yPtr = isWhole ? outPtr : scratchPtr;
      const residualPtr = isWhole ? addPtr : scratchPtr + NR * 4;
      if (!isWhole && adds) memory.copy(residualPtr, addPtr, width);
      applyEpilogue(s, adds, activation, low0, yPtr, residualPtr);
      applyEpilogue(s, adds, activation, high0, yPtr + 16, residualPtr + 16);
      if (!isWhole) memory.copy(outPtr, yPtr, width);
    }
  }
}
