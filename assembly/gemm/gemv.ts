import { madd } from '../isa';
import { FLAG_RELU } from '../step';
import { NR } from '../tile';

/**
 * y[N] = x[K] · B[K,N] + bias[N], then FLAG_RELU: a fully connected layer for one image, panels j0 … j1 alone.
 * Each weight is used once, so the speed is that of memory; four sums a vector hide the latency of madd.
 * `bPtr`: packed B; `biasPtr`: zero-padded to whole panels; y has N elements.
 */
export function gemv(
  j0: i32, j1: i32, n: i32, k: i32, xPtr: usize, bPtr: usize, biasPtr: usize, yPtr: usize, flags: i32,
): void {
  const xEnd4 = xPtr + (<usize>(k & ~3) << 2);
  const xEnd = xPtr + (<usize>k << 2);
  for (let j = j0; j < j1; j++) {
    let b = bPtr + <usize>j * k * (NR * 4);
    let x = xPtr;
    let s0 = v128.load(biasPtr + <usize>j * (NR * 4));
    let t0 = v128.load(biasPtr + <usize>j * (NR * 4), 16);
    let s1 = f32x4.splat(0), s2 = s1, s3 = s1, t1 = s1, t2 = s1, t3 = s1;
    for (; x < xEnd4; x += 16) {
      const x0 = v128.load32_splat(x);
      s0 = madd(x0, v128.load(b), s0);
      t0 = madd(x0, v128.load(b, 16), t0);
      const x1 = v128.load32_splat(x, 4);
      s1 = madd(x1, v128.load(b, 32), s1);
      t1 = madd(x1, v128.load(b, 48), t1);
      const x2 = v128.load32_splat(x, 8);
      s2 = madd(x2, v128.load(b, 64), s2);
      t2 = madd(x2, v128.load(b, 80), t2);
      const x3 = v128.load32_splat(x, 12);
      s3 = madd(x3, v128.load(b, 96), s3);
      t3 = madd(x3, v128.load(b, 112), t3);
      b += 128;
    }
    for (; x < xEnd; x += 4) {
      const x0 = v128.load32_splat(x);
      s0 = madd(x0, v128.load(b), s0);
      t0 = madd(x0, v128.load(b, 16), t0);
      b += 32;
    }
    s0 = f32x4.add(f32x4.add(s0, s1), f32x4.add(s2, s3));
    t0 = f32x4.add(f32x4.add(t0, t1), f32x4.add(t2, t3));
    if (flags & FLAG_RELU) {
      s0 = f32x4.pmax(s0, f32x4.splat(0));
      t0 = f32x4.pmax(t0, f32x4.splat(0));
    }
    const y = yPtr + <usize>j * (NR * 4);
    const cols = n - j * NR;
    if (cols >= NR) {
      v128.store(y, s0);
      v128.store(y, t0, 16);
    } else {
      for (let c = 0; c < cols; c++) {
        const v = c < 4 ? s0 : t0;
        const lane = c & 3;
        const value = lane == 0 ? f32x4.extract_lane(v, 0) : lane == 1 ? f32x4.extract_lane(v, 1)
          : lane == 2 ? f32x4.extract_lane(v, 2) : f32x4.extract_lane(v, 3);
        store<f32>(y + (<usize>c << 2), value);
      }
    }
  }
}
