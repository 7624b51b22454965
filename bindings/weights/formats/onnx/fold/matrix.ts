/** Products of constants. */

import { size } from '../../../../util/shape.js';
import { broadcastOf } from '../dims.js';
import type { Tensor } from '../types.js';
import { held, places } from './arithmetic.js';
import type { Folder } from './folder.js';

export const matmul: Folder = (call, [x, y], room) => {
  const widened = (tensor: Tensor, isFirst: boolean): readonly number[] =>
    tensor.dims.length > 1 ? tensor.dims : isFirst ? [1, ...tensor.dims] : [...tensor.dims, 1];
  const [a, b] = [x as Tensor, y as Tensor];
  const [dimsA, dimsB] = [widened(a, true), widened(b, false)];
  const [m = 1, k = 1] = dimsA.slice(-2);
  const [l = 1, n = 1] = dimsB.slice(-2);
  if (k !== l) throw call.malformed(`a matrix of ${k} rows`, b.dims);
  const outer = broadcastOf(call, [dimsA.slice(0, -2), dimsB.slice(0, -2)]);
  const count = room([...outer, m, n]);
  const [atA, atB] = [places(dimsA.slice(0, -2), outer), places(dimsB.slice(0, -2), outer)];
  const values = new Float64Array(count);
  for (let matrix = 0; matrix < size(outer); matrix++) {
    const [fromA, fromB] = [atA(matrix) * m * k, atB(matrix) * k * n];
    for (let i = 0; i < m * n; i++) {
      const [row, column] = [Math.floor(i / n), i % n];
      let sum = 0;
      for (let j = 0; j < k; j++)
        sum += (a.data[fromA + row * k + j] as number) * (b.data[fromB + j * n + column] as number);
      values[matrix * m * n + i] = sum;
    }
  }
  const dims = [...outer, ...(a.dims.length > 1 ? [m] : []), ...(b.dims.length > 1 ? [n] : [])];
  return { dims, type: a.type, data: held(a.type, values) };
};
