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

export type Axis = 'h' | 'w' | 'c';

/** [rows, columns, channels]. */
export type Triple = readonly [h: number, w: number, c: number];

/** `argMax` and `argMin`: the first place along the only axis, as a number. */
export type AxesReduction = Reduction | 'min' | 'product' | 'argMax' | 'argMin';

/** A value over any axes of each image, which become 1. */
export interface ReduceAxesOp {
  readonly kind: 'reduceAxes';
  readonly reduction: AxesReduction;
  readonly axes: readonly Axis[];
}

/** exp(x) / Σ exp(x), or its logarithm, where the sum is over `axes` of each image. */
export interface SoftmaxAxesOp {
  readonly kind: 'softmaxAxes';
  readonly axes: readonly Axis[];
  readonly isLog: boolean;
}

/**
 * Max or average pool with what few networks have: dilation, and `ceil`: a last window that begins within the map or its
 * padding, wherever it ends. What lies beyond the padding never counts in a divisor.
 */
export interface DilatedPoolOp {
  readonly kind: 'dilatedPool';
  readonly reduction: 'max' | 'mean';
  readonly kernel: Pair;
  readonly stride: Pair;
  readonly dilation: Pair;
  readonly padding: Padding;
  readonly ceil: boolean;
  /** Of mean: whether padding counts in the divisor. */
  readonly countsPadding: boolean;
}

export type ResizeMode = 'nearest' | 'bilinear' | 'cubic';

/**
 * Where output coordinate y lies in the input, with s = out / in (ONNX, Resize): `halfPixel` (y + ½) / s − ½; `asymmetric`
 * y / s; `alignCorners` y · (in − 1) / (out − 1); `pytorchHalfPixel` as halfPixel, but 0 if out is 1;
 * `halfPixelSymmetric` as halfPixel, centred if s is `scale` and out was rounded.
 */
export type ResizeCoordinates = 'halfPixel' | 'asymmetric' | 'alignCorners' | 'pytorchHalfPixel' | 'halfPixelSymmetric';

/** How `nearest` rounds a coordinate: ONNX's nearest_mode. */
export type ResizeRounding = 'floor' | 'ceil' | 'preferFloor' | 'preferCeil';

/** A map in another size. Source pixels beyond the edges are the edges'. */
export interface ResizeOp {
  readonly kind: 'resize';
  readonly h: number;
  readonly w: number;
  readonly mode: ResizeMode;
  readonly coordinates: ResizeCoordinates;
  /** Of nearest; ignored by the others. */
  readonly rounding: ResizeRounding;
  /** s of rows and columns, if it is not out / in. */
  readonly scale?: Pair;
  /** Of cubic: its a (Keys 1981), −0.75 by default. */
  readonly cubic?: number;
  /** Of cubic: whether pixels beyond the edges have no weight, and the others more. */
  readonly excludesOutside?: boolean;
  /** Whether a smaller map averages over all of the input, with a wider filter (bilinear and cubic). */
  readonly antialias?: boolean;
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

/** A value that is the same in every run and for every image: the tensor `weight`, [h, w, c]. */
export interface ConstantOp extends Shape {
  readonly kind: 'constant';
}

/**
 * A function of each value by itself. `affine` alpha · x + beta; `power` x^alpha; `elu` x < 0 ? alpha · (exp(x) − 1) : x;
 * `selu` beta · elu(x); `celu` x < 0 ? alpha · (exp(x / alpha) − 1) : x; `geluTanh` GELU's approximation by tanh; `softplus`
 * log(1 + exp(x)); `softsign` x / (1 + |x|); `mish` x · tanh(softplus(x)); `thresholdedRelu` x > alpha ? x : 0; `round` to
 * even; `sign` −1, 0 or 1.
 */
export type UnaryOperator =
  | 'affine'
  | 'power'
  | 'abs'
  | 'sqrt'
  | 'exp'
  | 'log'
  | 'erf'
  | 'tanh'
  | 'reciprocal'
  | 'elu'
  | 'selu'
  | 'celu'
  | 'geluTanh'
  | 'softplus'
  | 'softsign'
  | 'mish'
  | 'thresholdedRelu'
  | 'floor'
  | 'ceil'
  | 'round'
  | 'sign';

/** What networks use more often (ReLU, clip, SiLU …) is an activation, which fuses with the layer before it. */
export interface UnaryOp {
  readonly kind: 'unary';
  readonly operator: UnaryOperator;
  readonly alpha?: number;
  readonly beta?: number;
}

/** Comparisons give 1 or 0; `modulo` has the sign of the divisor, as Python's. */
export type BinaryOperator =
  | 'add'
  | 'subtract'
  | 'multiply'
  | 'divide'
  | 'power'
  | 'min'
  | 'max'
  | 'modulo'
  | 'equal'
  | 'less'
  | 'lessOrEqual'
  | 'greater'
  | 'greaterOrEqual';

/** a ∘ b, where height, width or channels of either that are 1 are repeated, as in numpy. */
export interface BinaryOp {
  readonly kind: 'binary';
  readonly operator: BinaryOperator;
}

/**
 * A product of two values, matrix by matrix: [h, w, c] · [h, c, n] = [h, w, n], or [h, n, c] if b is transposed. One h may
 * be 1. A product with constant weights is a `linear` layer, or a 1×1 convolution of [1, rows, channels].
 */
export interface MatmulOp {
  readonly kind: 'matmul';
  readonly transposesB: boolean;
}

/** The same values in the same order of memory (height, width, channels) in another shape. Costs nothing. */
export interface ReshapeOp extends Shape {
  readonly kind: 'reshape';
}

/**
 * Values in another order: memory [h, w, c] is read as an array of `dims`, whose axes are put in `order` (output axis i is
 * axis order[i]), and is then h × w × c. Transposition, flattening in torch's order, pixel and channel shuffle.
 */
export interface RearrangeOp extends Shape {
  readonly kind: 'rearrange';
  /** At most 8. Their product is the number of values. */
  readonly dims: readonly number[];
  readonly order: readonly number[];
}

/** Output [y, x, i] is input [start + step · index] along each axis; a step may be negative. */
export interface SliceOp extends Shape {
  readonly kind: 'slice';
  readonly start: Triple;
  readonly step: Triple;
}

/** Repeats axes of size 1. */
export interface ExpandOp extends Shape {
  readonly kind: 'expand';
}

/** `reflect` leaves out the edge, as numpy's; `wrap` goes on at the other end. */
export type PadMode = 'constant' | 'edge' | 'reflect' | 'wrap';

/** Values before and after each axis. */
export interface PadOp {
  readonly kind: 'pad';
  readonly mode: PadMode;
  readonly before: Triple;
  readonly after: Triple;
  /** Of constant. */
  readonly value: number;
}

/** (x − mean) / √(variance + eps) over the channels of each pixel, then weight and bias [C] if they are named. */
export interface LayerNormOp {
  readonly kind: 'layerNorm';
  readonly eps: number;
}

/**
 * The same over each image's pixels and the channels of one of `groups` (Wu & He 2018); an instance norm if there are as
 * many groups as channels.
 */
export interface GroupNormOp {
  readonly kind: 'groupNorm';
  readonly groups: number;
  readonly eps: number;
}

/**
 * x / (bias + alpha / size · Σ x²)^beta, the sum over `size` channels around each, ⌊(size − 1) / 2⌋ of them before it
 * (Krizhevsky et al. 2012, section 3.3).
 */
export interface LocalResponseNormOp {
  readonly kind: 'localResponseNorm';
  readonly size: number;
  readonly alpha: number;
  readonly beta: number;
  readonly bias: number;
}

/**
 * The transpose of a convolution from `channels` to the input's channels: its weight is [in, channels / groups, KH, KW].
 * Height is (in − 1) · stride − padding + dilation · (kernel − 1) + 1 + outputPadding.
 */
export interface ConvTransposeOp {
  readonly kind: 'convTranspose';
  readonly channels: number;
  readonly kernel: Pair;
  readonly stride: Pair;
  readonly dilation: Pair;
  readonly padding: Padding;
  /** Rows below and columns to the right. */
  readonly outputPadding: Pair;
  readonly groups: number;
}

/**
 * Operations without attributes. `mul` multiplies two values of one shape, or each channel of a map by one value of a
 * vector [1, 1, C], its second input (Hu et al. 2018, squeeze-and-excitation).
 */
export interface PlainOp<Kind extends 'add' | 'mul' | 'concat' | 'softmax' = 'add' | 'mul' | 'concat' | 'softmax'> {
  readonly kind: Kind;
}

/** What no built-in network has: rows and kernels are loaded when a graph needs them. */
export type MoreOp =
  | ResizeOp
  | ReduceAxesOp
  | SoftmaxAxesOp
  | DilatedPoolOp
  | ConstantOp
  | UnaryOp
  | BinaryOp
  | MatmulOp
  | ReshapeOp
  | RearrangeOp
  | SliceOp
  | ExpandOp
  | PadOp
  | LayerNormOp
  | GroupNormOp
  | LocalResponseNormOp
  | ConvTransposeOp;

export type Op =
  | MoreOp
  | InputOp
  | ConvOp
  | LinearOp
  | PoolOp<'maxPool'>
  | PoolOp<'avgPool'>
  | AdaptivePoolOp
  | ReduceOp
  | BatchNormOp
  | ActivationOp
  | ShortcutOp
  | PlainOp<'add'>
  | PlainOp<'mul'>
  | PlainOp<'concat'>
  | PlainOp<'softmax'>;

export type OpKind = Op['kind'];
export type MoreOpKind = MoreOp['kind'];

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
  /** What must lie by itself, pixel after pixel, and not inside a concatenation: the inputs, or the output too. */
  readonly dense?: 'inputs' | 'all';
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
  /** A weight that is kept as it is, as the kernel reads it; by default in its own order. */
  inKernelOrder?(op: O, weight: Float32Array): Float32Array;
  /** What the kernel needs of the attributes. */
  fields(op: O, inputs: readonly Shape[]): Fields;
}

/** For rows of operations without weights. */
export const weightless = { parameters: () => [], macs: () => 0 } as const;

/** For rows whose kernel knows all from the shapes. */
export const fieldless = { fields: () => ({}) } as const;

/** The only input, or the first of several. */
export const first = (inputs: readonly Shape[]): Shape => inputs[0] as Shape;
