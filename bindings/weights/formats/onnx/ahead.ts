/** Constants that no input has a part in, made before patterns are sought: exporters write pads and sizes as arithmetic. */

import { size } from '../../../util/shape.js';
import { Call } from './call.js';
import { constantOf } from './constant.js';
import { folderOf } from './fold/table.js';
import { isStored, type OnnxModel, type Tensor } from './types.js';

/** The model without the nodes that make constants of at most `most` values; those are tensors of it. */
export function foldedAhead(model: OnnxModel, opset: number, most: number): OnnxModel {
  const tensors = new Map(model.tensors);
  const outputs = new Set(model.outputs.map(({ name }) => name));
  const nodes = model.nodes.filter((node) => {
    const folder = node.domain === '' ? folderOf(node.op) : undefined;
    const [made = ''] = node.outputs;
    if (!folder || node.outputs.length !== 1 || outputs.has(made)) return true;
    const held: (Tensor | undefined)[] = [];
    for (const name of node.inputs) {
      const tensor = tensors.get(name);
      if (name !== '' && (!tensor || isStored(tensor))) return true;
      held.push(tensor as Tensor | undefined);
    }
    const call = new Call(
      node,
      opset,
      held.map((tensor) => tensor && constantOf(tensor)),
    );
    const room = (dims: readonly number[]): number => {
      const count = size(dims);
      if (!dims.every((n) => Number.isSafeInteger(n) && n >= 0)) throw call.malformed('dimensions from 0', dims);
      if (count > most) throw call.refusal(`it makes a constant of ${count} values`);
      return count;
    };
    tensors.set(made, folder(call, held, room));
    return false;
  });
  return { ...model, nodes, tensors };
}
