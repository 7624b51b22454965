/** Tensors that are the same for every run: read with the model, or made of those. */

import type { DataType, StoredTensor, Tensor } from './types.js';

export interface Constant {
  readonly dims: readonly number[];
  readonly type: DataType;
  /** Its values, if they are at hand. */
  readonly tensor?: Tensor;
  /** Where its values are if they are not, and what is to be done with them in turn. */
  readonly stored?: StoredTensor;
  readonly maps: readonly ((tensor: Tensor) => Tensor)[];
}

export const constantOf = (tensor: Tensor): Constant => ({ dims: tensor.dims, type: tensor.type, tensor, maps: [] });

export const storedConstant = (stored: StoredTensor): Constant => ({
  dims: stored.dims,
  type: stored.type,
  stored,
  maps: [],
});

/** A constant in other dimensions, of as many values. */
export function redimensioned(constant: Constant, dims: readonly number[]): Constant {
  const { tensor, maps } = constant;
  if (tensor) return constantOf({ ...tensor, dims });
  return { ...constant, dims, maps: maps.length === 0 ? [] : [...maps, (made) => ({ ...made, dims })] };
}

/** A constant on which something is done, at once if its values are at hand. `dims`: of what is made. */
export function mappedConstant(
  constant: Constant,
  dims: readonly number[],
  map: (tensor: Tensor) => Tensor,
  type: DataType = constant.type,
): Constant {
  const { tensor, maps } = constant;
  return tensor ? constantOf(map(tensor)) : { ...constant, dims, type, maps: [...maps, map] };
}
