/**
 * Quantised networks, computed in float32: weights are (q − zero point) · scale exactly, and values of a run are what their
 * whole numbers stand for, clipped to what these can, and not rounded.
 */

import { size } from '../../../../util/shape.js';
import type { Call } from '../call.js';
import { type Constant, constantOf, mappedConstant } from '../constant.js';
import { dequantised, rangeOf } from '../fold/quantisation.js';
import type { Network } from '../network.js';
import { FLOAT, INT32, isFloating, type Tensor, UINT8 } from '../types.js';
import { isValue, type Operand, type Value } from '../value.js';
import { binary } from './binary.js';
import { FLOATING } from './floating.js';
import type { Handler, Handlers } from './handler.js';

const number = (value: number): Constant => constantOf({ dims: [], type: FLOAT, data: Float32Array.of(value) });

/** What a run's whole numbers stand for. */
function real(net: Network, call: Call, x: Operand, scale: Constant, zero: Constant | undefined): Operand {
  if (!isValue(x)) return realConstant(call, x, scale, zero, 0);
  if (x.isReal) return { ...x, type: FLOAT, isReal: false };
  if (size(scale.dims) !== 1) throw call.refusal('its values have scales along an axis');
  const floats = { ...x, type: FLOAT };
  const shifted = zero ? binary(net, call, 'subtract', floats, floatOf(zero)) : floats;
  return binary(net, call, 'multiply', shifted, scale);
}

const floatOf = (constant: Constant): Constant =>
  mappedConstant(
    constant,
    constant.dims,
    ({ dims, data }) => ({ dims, type: FLOAT, data: Float32Array.from(data) }),
    FLOAT,
  );

/** The weights that whole numbers stand for: one scale, or one per index along `axis`. */
function realConstant(call: Call, q: Constant, scale: Constant, zero: Constant | undefined, axis: number): Constant {
  const [scales, zeros] = [scale.tensor, zero?.tensor];
  if (!scales || (zero && !zeros)) throw call.refusal('its scales are too many');
  const count = Math.max(scales.data.length, zeros?.data.length ?? 1);
  const n = q.dims[axis] ?? 1;
  if (count !== 1 && count !== n) throw call.malformed(`one scale, or ${n}`, scales.dims);
  const inner = size(q.dims.slice(axis + 1));
  const wide = {
    ...scales,
    data: count === scales.data.length ? scales.data : new Float32Array(count).fill(scales.data[0] ?? 1),
  };
  const at = (i: number): number => (count === 1 ? 0 : Math.floor(i / inner) % count);
  return mappedConstant(q, q.dims, (tensor: Tensor) => dequantised(tensor, wide, zeros, at), FLOAT);
}

/** A run's values as whole numbers of the zero point's type would have them. */
function quantisedValue(net: Network, call: Call, x: Value, scale: Constant, zero: Constant | undefined): Value {
  const [s, z] = [scale.tensor, zero?.tensor];
  if (s?.data.length !== 1 || (zero && z?.data.length !== 1))
    throw call.refusal('its values have scales along an axis');
  const type = zero?.type ?? UINT8;
  if (isFloating(type)) throw call.refusal('its values are no whole numbers');
  const [low, high] = rangeOf(type).map((q) => (q - (z?.data[0] ?? 0)) * (s.data[0] as number)) as [number, number];
  const clipped = net.same(call, x, 'activation', { activation: { kind: 'clip', low, high } });
  return { ...clipped, type, isReal: true };
}

const optional = (call: Call, i: number, what: string): Constant | undefined =>
  call.has(i) ? call.constant(i, what) : undefined;

const quantizeLinear: Handler = (net, call) =>
  quantisedValue(net, call, call.value(), call.constant(1, 'scale'), optional(call, 2, 'zero point'));

const dequantizeLinear: Handler = (net, call) =>
  real(net, call, call.operand(0), call.constant(1, 'scale'), optional(call, 2, 'zero point'));

/**
 * Scales that a run chooses stand for 1, and whole numbers for what they are of: what multiplies both is right again. So
 * only those may read them who do.
 */
const dynamicQuantizeLinear: Handler = (net, call) => {
  const [y = '', scale = ''] = call.node.outputs;
  const isFit =
    net.readersOf(y).every((op) => op === 'ConvInteger' || op === 'MatMulInteger') &&
    net.readersOf(scale).every((op) => op === 'Mul') &&
    net.readersOf(y).length > 0;
  if (!isFit) throw call.refusal('its whole numbers are wanted themselves');
  const zero = constantOf({ dims: [], type: UINT8, data: Float64Array.of(0) });
  return [{ ...call.value(), type: UINT8 }, number(1), zero];
};

/** A product of whole numbers: of what they are without their zero points. */
const integerProduct =
  (op: 'Conv' | 'MatMul'): Handler =>
  (net, call) => {
    const x = call.value();
    const [zeroX, zeroW] = [optional(call, 2, 'zero point'), optional(call, 3, "weights' zero point")];
    const weight = call.constant(1, 'weight');
    const floats = { ...x, type: FLOAT };
    const isZero = !zeroX || zeroX.tensor?.data.every((value) => value === 0);
    const shifted = isZero ? floats : binary(net, call, 'subtract', floats, floatOf(zeroX));
    const axis = op === 'Conv' ? 0 : weight.dims.length - 1;
    const own = realConstant(call, weight, number(1), zeroW, axis);
    const made = FLOATING[op]?.(net, call.with(op, [shifted, own])) as Value;
    return { ...made, type: INT32 };
  };

/** QLinearConv and QLinearMatMul: x, its scale and zero point, weights and theirs, those of the result, a bias. */
const linearProduct =
  (op: 'Conv' | 'MatMul'): Handler =>
  (net, call) => {
    const scaleX = call.constant(1, 'scale');
    const x = real(net, call, call.operand(0), scaleX, optional(call, 2, 'zero point'));
    const w = call.operand(3);
    const scaleW = call.constant(4, "weights' scale");
    const zeroW = optional(call, 5, "weights' zero point");
    const axis = op === 'Conv' || isValue(w) ? 0 : w.dims.length - 1;
    const own = isValue(w) ? real(net, call, w, scaleW, zeroW) : realConstant(call, w, scaleW, zeroW, axis);
    const bias = optional(call, 8, 'bias');
    const scale = scaleX.tensor?.data[0] ?? 1;
    const scaleOf = (i: number) => (scaleW.tensor?.data[scaleW.tensor.data.length === 1 ? 0 : i] ?? 1) * scale;
    const realBias =
      bias &&
      mappedConstant(
        bias,
        bias.dims,
        ({ dims, data }) => ({ dims, type: FLOAT, data: Float32Array.from(data, (value, i) => value * scaleOf(i)) }),
        FLOAT,
      );
    const made = FLOATING[op]?.(net, call.with(op, [x, own, ...(realBias ? [realBias] : [])])) as Value;
    return quantisedValue(net, call, made, call.constant(6, 'scale'), optional(call, 7, 'zero point'));
  };

/** Arithmetic on two quantised operands (com.microsoft): a, its scale and zero point, b and its, those of the result. */
const linearArithmetic =
  (operator: 'add' | 'multiply'): Handler =>
  (net, call) => {
    const a = real(net, call, call.operand(0), call.constant(1, 'scale'), optional(call, 2, 'zero point'));
    const b = real(net, call, call.operand(3), call.constant(4, 'scale'), optional(call, 5, 'zero point'));
    const made = binary(net, call, operator, a, b);
    return quantisedValue(net, call, made, call.constant(6, 'scale'), optional(call, 7, 'zero point'));
  };

const linearPool: Handler = (net, call) => {
  if (call.int('channels_last', 0) === 1) throw call.refusal('its channels come last');
  const x = real(net, call, call.operand(0), call.constant(1, 'scale'), optional(call, 2, 'zero point'));
  const made = FLOATING.GlobalAveragePool?.(net, call.with('GlobalAveragePool', [x])) as Value;
  return quantisedValue(net, call, made, call.constant(3, 'scale'), optional(call, 4, 'zero point'));
};

export const quantised: Handlers = {
  QuantizeLinear: quantizeLinear,
  DequantizeLinear: dequantizeLinear,
  DynamicQuantizeLinear: dynamicQuantizeLinear,
  ConvInteger: integerProduct('Conv'),
  MatMulInteger: integerProduct('MatMul'),
  QLinearConv: linearProduct('Conv'),
  QLinearMatMul: linearProduct('MatMul'),
  QLinearAdd: linearArithmetic('add'),
  QLinearMul: linearArithmetic('multiply'),
  QLinearGlobalAveragePool: linearPool,
};
