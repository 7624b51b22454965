/** What operations there are, and what a row of the table of operations says of each. */

import type { Activation } from '../activation.js';
import type { Check } from '../check.js';
import type { Padding, Pair, Shape } from '../shape.js';

/** Reads nothing: what is given to a run. */
export interface InputOp extends Shape {
  readonly kind: 'input';
}

/** Convolution to `channels`; depthwise if `groups` is the number of its input's channels. */
export interface ConvOp {
  readonly kind: 'conv';
  readonly channels: number;
  readonly kernel: Pair;
  readonly stride: Pair;
  readonly dilation: Pair;
  readonly padding: Padding;
  readonly groups: number;
}

/** A fully connected layer over the flattened input; its weight [out, in] reads `in` in CHW order, as torch flattens. */
export interface LinearOp {
  readonly kind: 'linear';
  readonly channels: number;
}

export interface PoolOp<Kind extends 'maxPool' | 'avgPool' = 'maxPool' | 'avgPool'> {
  readonly kind: Kind;
  readonly kernel: Pair;
  readonly stride: Pair;
  /** Minus infinity for max pool; zeros for average pool. */
  readonly padding: Padding;
  /** Of average pool: whether padding counts in the divisor, as by default in torch; TensorFlow leaves it out. */
  readonly countsPadding?: boolean;
}

/**
 * Average pool to h × w, of any map: output y is the mean of rows ⌊y · in / h⌋ … ⌈(y + 1) · in / h⌉, which may overlap
 * (torch's `AdaptiveAvgPool2d`).
 */
export interface AdaptivePoolOp {
  readonly kind: 'adaptiveAvgPool';
  readonly h: number;
  readonly w: number;
}

export type Reduction = 'mean' | 'max' | 'sum';

/** One value per channel: the mean, greatest value or sum of its map. */
export interface ReduceOp {
  readonly kind: 'reduce';
  readonly reduction: Reduction;
}

export type ResizeMode = 'nearest' | 'bilinear';

/**
 * A map in another size. Nearest: output y is row ⌊y · in / out⌋. Bilinear: row (y + ½) · in / out − ½ between its
 * neighbours or, if `alignCorners`, y · (in − 1) / (out − 1), as torch's `interpolate`.
 */
export interface ResizeOp {
  readonly kind: 'resize';
  readonly h: number;
  readonly w: number;
  readonly mode: ResizeMode;
  readonly alignCorners: boolean;
}

export interface BatchNormOp {
  readonly kind: 'batchNorm';
  /** Added to the variance. */
  readonly eps: number;
}

export interface ActivationOp {
  readonly kind: 'activation';
  readonly activation: Activation;
}

/** Option A of He et al. 2015, section 3.3: every `stride`-th pixel, with zero channels before and after. */
export interface ShortcutOp {
  readonly kind: 'zeroPadShortcut';
  readonly stride: number;
  readonly before: number;
  readonly after: number;
}

/**
 * Operations without attributes. `mul` multiplies two values of one shape, or each channel of a map by one value of a
 * vector [1, 1, C], its second input (Hu et al. 2018, squeeze-and-excitation).
 */
export interface PlainOp<Kind extends 'add' | 'mul' | 'concat' | 'softmax' = 'add' | 'mul' | 'concat' | 'softmax'> {
  readonly kind: Kind;
}

export type Op =
  | InputOp
  | ConvOp
  | LinearOp
  | PoolOp<'maxPool'>
  | PoolOp<'avgPool'>
  | AdaptivePoolOp
  | ReduceOp
  | ResizeOp
  | BatchNormOp
  | ActivationOp
  | ShortcutOp
  | PlainOp<'add'>
  | PlainOp<'mul'>
  | PlainOp<'concat'>
  | PlainOp<'softmax'>;

export type OpKind = Op['kind'];

export type OpOf<Kind extends OpKind> = Extract<Op, { readonly kind: Kind }>;

/** What an operation is made with beside its inputs. */
export type Attributes<Kind extends OpKind> = Omit<OpOf<Kind>, 'kind'>;

/** What a tensor is to its node, as torch names it. */
export type Role = 'weight' | 'bias' | 'running_mean' | 'running_var';

/** A tensor that an operation has. */
export interface ParameterShape {
  readonly role: Role;
  /** OIHW for convolutions, [out, in] for linear layers, [C] for biases, slopes and batch norms. */
  readonly shape: readonly number[];
  /** The node has it only if it is named: a bias. */
  readonly isOptional?: boolean;
}

/** Fields of a kernel's record by their names in assembly/step.ts. What is not named is zero. */
export type Fields = Readonly<Record<string, number>>;

/** Kernels that not every network needs: binaries of their own, loaded only for what needs them. */
export type KernelSet = 'more' | 'int8';

/** All that the rest of the house asks of an operation. */
export interface OpRow<O extends { readonly kind: OpKind }> {
  /** The record's kind in assembly/step.ts; undefined for what is no step. A convolution's algorithm may say another. */
  readonly kernel: string | undefined;
  /** The further set that the kernel is in; undefined for the core. */
  readonly kernelSet?: KernelSet;
  /** The fewest and the most inputs. */
  readonly arity: readonly [fewest: number, most: number];
  /** A check of each attribute by itself. */
  readonly attributes: { readonly [Name in Exclude<keyof O, 'kind'>]: Check };
  /** Whether two inputs are to change places. */
  readonly isSwapped?: (inputs: readonly Shape[]) => boolean;
  /** The output's shape. Throws one sentence that begins with `subject` if attributes and inputs do not go together. */
  shape(op: O, inputs: readonly Shape[], subject: string): Shape;
  /** `conv 3x3, stride 2`. */
  words(op: O): string;
  /** Every tensor, weight first. */
  parameters(op: O, inputs: readonly Shape[]): readonly ParameterShape[];
  /** Multiply–adds for one image, as He et al. 2015, table 1 counts them: of convolutions and linear layers alone. */
  macs(op: O, inputs: readonly Shape[], output: Shape): number;
  /** What the kernel needs of the attributes. */
  fields(op: O, inputs: readonly Shape[]): Fields;
}

/** For rows of operations without weights. */
export const weightless = { parameters: () => [], macs: () => 0 } as const;

/** For rows whose kernel knows all from the shapes. */
export const fieldless = { fields: () => ({}) } as const;

/** The only input, or the first of several. */
export const first = (inputs: readonly Shape[]): Shape => inputs[0] as Shape;
