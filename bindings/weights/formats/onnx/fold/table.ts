/** Which operations are done on constants when a model is read, as shape arithmetic needs it. */

import { arithmetic } from './arithmetic.js';
import type { Folder } from './folder.js';
import { layout } from './layout.js';
import { matmul } from './matrix.js';
import { quantisation } from './quantisation.js';

export const FOLDERS: Readonly<Record<string, Folder>> = { ...arithmetic, ...layout, ...quantisation, MatMul: matmul };

/** Operations that need more than one input. */
const FEWEST: Readonly<Record<string, number>> = {
  Constant: 0,
  ...Object.fromEntries(
    [
      ...['Equal', 'Greater', 'GreaterOrEqual', 'Less', 'LessOrEqual', 'And', 'Or', 'Xor'],
      ...['Add', 'Sub', 'Mul', 'Div', 'Pow', 'Mod', 'Gather', 'Expand', 'Tile', 'MatMul'],
      ...['DequantizeLinear', 'QuantizeLinear'],
    ].map((op) => [op, 2]),
  ),
  Where: 3,
  Range: 3,
};

/** The folder of an operation, which first checks that the inputs that it needs are there. */
export function folderOf(op: string): Folder | undefined {
  const folder = Object.hasOwn(FOLDERS, op) ? FOLDERS[op] : undefined;
  if (!folder) return undefined;
  const fewest = FEWEST[op] ?? 1;
  return (call, tensors, room) => {
    for (let i = 0; i < fewest; i++) call.operand(i);
    return folder(call, tensors, room);
  };
}
