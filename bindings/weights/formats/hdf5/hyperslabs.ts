/** How a tensor is read in stretches: row-major hyperslabs, each as far as possible of whole chunks. */

import { size } from '../../../util/shape.js';

/** Bytes of a stretch; and at most, of one that is whole chunks, each of which libhdf5 unpacks for every stretch. */
const SLAB_BYTES = 2 ** 20;
const MAX_SLAB_BYTES = 2 ** 25;

interface Slab {
  readonly offset: readonly number[];
  readonly count: readonly number[];
}

interface Slabs {
  /** Bytes of the largest one. */
  readonly bytes: number;
  /** Together all values, in their order. */
  readonly slabs: Iterable<Slab>;
}

/** Divides a tensor of `shape`, with values of `width` bytes, in chunks of the shape `chunks` if there are any. */
export function slabsOf(shape: readonly number[], chunks: readonly number[] | undefined, width: number): Slabs {
  if (shape.length === 0) return { bytes: width, slabs: [{ offset: [], count: [] }] };
  if (shape.includes(0)) return { bytes: 0, slabs: [] };
  const innerBytes = (axis: number) => width * size(shape.slice(axis + 1));
  // Axes before this one are walked index by index, those after it are taken whole.
  let axis = shape.findIndex((_, i) => innerBytes(i) <= SLAB_BYTES);
  let step = Math.max(1, Math.floor(SLAB_BYTES / innerBytes(axis)));
  const thick = chunks?.findIndex((n, i) => n > 1 && (shape[i] ?? 0) > 1) ?? -1;
  const thickness = chunks?.[thick] ?? 1;
  if (thick >= 0 && thick <= axis && thickness * innerBytes(thick) <= MAX_SLAB_BYTES) {
    axis = thick;
    step = Math.max(1, Math.floor(SLAB_BYTES / innerBytes(axis) / thickness)) * thickness;
  }
  const length = shape[axis] ?? 1;
  step = Math.min(step, length);
  return { bytes: step * innerBytes(axis), slabs: walk(shape, axis, step) };
}

function* walk(shape: readonly number[], axis: number, step: number): Generator<Slab, void, undefined> {
  const [outer, length, inner] = [shape.slice(0, axis), shape[axis] ?? 1, shape.slice(axis + 1)];
  const zeros = inner.map(() => 0);
  for (let i = 0; i < size(outer); i++) {
    let rest = i;
    const place = outer.toReversed().map((length) => {
      const at = rest % length;
      rest = (rest - at) / length;
      return at;
    });
    for (let at = 0; at < length; at += step) {
      const ones = outer.map(() => 1);
      yield { offset: [...place.reverse(), at, ...zeros], count: [...ones, Math.min(step, length - at), ...inner] };
      place.reverse();
    }
  }
}
