import { madd } from './isa';
import { FLAG_ADD, FLAG_RELU, Step } from './step';
import { share } from './threads';

/**
 * out = epilogue(in · scale + shift) per channel, where scale and shift are there: a batch norm that no convolution can
 * take, a stand-alone add (FLAG_ADD) or ReLU (FLAG_RELU), or a copy into a place among concatenated channels. Threads
 * share the pixels. `isAffine`: whether `weightPtr` and `biasPtr` hold scale and shift.
 */
// @ts-ignore: decorator
@inline
function pointwise(s: Step, thread: i32, threads: i32, isAffine: bool): void {
  const c = s.ic;
  const pixels = s.batch * s.ih * s.iw;
  const inBytes = <usize>s.ldIn << 2;
  const outBytes = <usize>s.ldOut << 2;
  const residualBytes = <usize>s.ldResidual << 2;
  const hasAdd = (s.flags & FLAG_ADD) != 0;
  const hasRelu = (s.flags & FLAG_RELU) != 0;
  const zero = f32x4.splat(0);
  const end = share(pixels, thread + 1, threads);
  for (let pixel = share(pixels, thread, threads); pixel < end; pixel++) {
    const from = s.inPtr + inBytes * pixel;
    const to = s.outPtr + outBytes * pixel;
    const residual = s.residualPtr + residualBytes * pixel;
    let i: usize = 0;
    const bytes = <usize>c << 2;
    for (; i + 16 <= bytes; i += 16) {
      let v = v128.load(from + i);
      if (isAffine) v = madd(v, v128.load(s.weightPtr + i), v128.load(s.biasPtr + i));
      if (hasAdd) v = f32x4.add(v, v128.load(residual + i));
      if (hasRelu) v = f32x4.pmax(v, zero);
      v128.store(to + i, v);
    }
    for (; i < bytes; i += 4) {
      let v = load<f32>(from + i);
      if (isAffine) v = v * load<f32>(s.weightPtr + i) + load<f32>(s.biasPtr + i);
      if (hasAdd) v += load<f32>(residual + i);
      if (hasRelu) v = v < 0 ? 0 : v;
      store<f32>(to + i, v);
    }
  }
}

/** out = epilogue(in): add, ReLU, or a plain copy into concatenated channels. */
export function copy(s: Step, thread: i32, threads: i32): void {
  pointwise(s, thread, threads, false);
}

/** out = epilogue(in · scale[C] + shift[C]). */
export function batchNorm(s: Step, thread: i32, threads: i32): void {
  pointwise(s, thread, threads, true);
}

/**
 * The parameter-free shortcut (He et al. 2015, section 3.3, option A): every `strideH`-th pixel of every `strideW`-th
 * column, its channels behind `zerosBefore` zeros and before the zeros that fill `oc`. Threads share the output rows.
 */
export function zeroPadShortcut(s: Step, thread: i32, threads: i32): void {
  const oh = s.oh, ow = s.ow;
  const before = <usize>s.zerosBefore << 2;
  const body = <usize>s.ic << 2;
  const after = (<usize>s.oc << 2) - before - body;
  const end = share(s.batch * oh, thread + 1, threads);
  for (let row = share(s.batch * oh, thread, threads); row < end; row++) {
    const image = row / oh;
    const y = image * s.ih + (row - image * oh) * s.strideH;
    for (let ox = 0; ox < ow; ox++) {
      const from = s.inPtr + (<usize>s.ldIn << 2) * (y * s.iw + ox * s.strideW);
      const to = s.outPtr + (<usize>s.ldOut << 2) * (row * ow + ox);
      memory.fill(to, 0, before);
      memory.copy(to + before, from, body);
      memory.fill(to + before + body, 0, after);
    }
  }
}
