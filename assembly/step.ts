/**
 * The argument record of every kernel: one per planned operation, written once into linear memory and read by each run.
 * Addresses are bytes; `ld…` is the distance from one pixel to the next, all sizes in elements. Activations are NHWC.
 */
@unmanaged
export class Step {
  kind: i32;
  /** Bits FLAG_…. */
  flags: i32;
  /** ACTIVATION_…. */
  activation: i32;
  /** Low of CLIP, slope of LEAKY_RELU, factor of HARD_SIGMOID. */
  alpha: f32;
  /** High of CLIP, addend of HARD_SIGMOID. */
  beta: f32;
  /** Slopes of PRELU, one per output channel, padded with zeros to whole tiles. */
  slopePtr: usize;
  /** Rows of a GEMM tile: 4, 5 or 6. */
  mr: i32;
  inPtr: usize;
  ldIn: i32;
  outPtr: usize;
  ldOut: i32;
  /** What FLAG_ADD adds before the activation, [batch, oh, ow, oc]; the second factor of KIND_MUL. */
  residualPtr: usize;
  ldResidual: i32;
  /** Packed weights, or a batch norm's scale. */
  weightPtr: usize;
  /** Bias, or a batch norm's shift; padded with zeros to whole tiles. */
  biasPtr: usize;
  /** Scale and shift of a batch norm and ReLU before a pointwise convolution, one per input channel; 0 for none. */
  preScalePtr: usize;
  preShiftPtr: usize;
  batch: i32;
  ih: i32;
  iw: i32;
  ic: i32;
  oh: i32;
  ow: i32;
  oc: i32;
  kh: i32;
  kw: i32;
  strideH: i32;
  strideW: i32;
  dilationH: i32;
  dilationW: i32;
  padTop: i32;
  padLeft: i32;
  groups: i32;
  /** Zero channels before the input's, of the parameter-free shortcut. */
  zerosBefore: i32;
  /** Outputs of a Winograd tile along a side: 4 or 2. */
  winogradTile: i32;
  /** REDUCTION_…, of KIND_REDUCE. */
  reduction: i32;
  /** 1 if padding is not in the divisor of KIND_AVG_POOL. */
  leavesPadding: i32;
}

/** Kinds of a step whose kernels are in the core. Those of further sets begin at 16: their index.ts has them. */
export const KIND_CONV: i32 = 0;
export const KIND_LINEAR: i32 = 1;
export const KIND_MAX_POOL: i32 = 2;
export const KIND_AVG_POOL: i32 = 3;
export const KIND_REDUCE: i32 = 4;
export const KIND_BATCH_NORM: i32 = 5;
export const KIND_COPY: i32 = 6;
export const KIND_ZERO_PAD_SHORTCUT: i32 = 7;
export const KIND_WINOGRAD: i32 = 8;
export const KIND_GROUPED: i32 = 9;
export const KIND_ADAPTIVE_AVG_POOL: i32 = 10;
export const KIND_DEPTHWISE: i32 = 11;
export const KIND_MUL: i32 = 12;
export const KIND_WINOGRAD_WEIGHTS: i32 = 13;

/** Bits of `Step.flags`. */
export const FLAG_ADD: i32 = 1;
/** KIND_MUL's second factor has one pixel per image: [batch, 1, 1, oc]. */
export const FLAG_BROADCAST: i32 = 2;
/** The engine joins two vectors side by side into one of 256 bits: kernels that have a tile for that take it. */
export const FLAG_WIDE: i32 = 4;

/** Values of `Step.activation`: activation.ts has their formulas. Those up to CLIP are applied in registers. */
export const ACTIVATION_NONE: i32 = 0;
export const ACTIVATION_RELU: i32 = 1;
export const ACTIVATION_CLIP: i32 = 2;
export const ACTIVATION_LEAKY_RELU: i32 = 3;
export const ACTIVATION_PRELU: i32 = 4;
export const ACTIVATION_HARD_SIGMOID: i32 = 5;
export const ACTIVATION_HARD_SWISH: i32 = 6;
export const ACTIVATION_SIGMOID: i32 = 7;
export const ACTIVATION_SILU: i32 = 8;
export const ACTIVATION_GELU: i32 = 9;

/** Values of `Step.reduction`. */
export const REDUCTION_MEAN: i32 = 0;
export const REDUCTION_MAX: i32 = 1;
export const REDUCTION_SUM: i32 = 2;

/** Room for what a further set's record has beside these: its class extends `Step`. */
const MORE_BYTES: i32 = 80;

/** Size of a record, and the byte offset of each field. */
export const STEP_BYTES: i32 = offsetof<Step>() + MORE_BYTES;
export const STEP_kind: i32 = offsetof<Step>('kind');
export const STEP_flags: i32 = offsetof<Step>('flags');
export const STEP_activation: i32 = offsetof<Step>('activation');
export const STEP_alpha: i32 = offsetof<Step>('alpha');
export const STEP_beta: i32 = offsetof<Step>('beta');
export const STEP_slopePtr: i32 = offsetof<Step>('slopePtr');
export const STEP_mr: i32 = offsetof<Step>('mr');
export const STEP_inPtr: i32 = offsetof<Step>('inPtr');
export const STEP_ldIn: i32 = offsetof<Step>('ldIn');
export const STEP_outPtr: i32 = offsetof<Step>('outPtr');
export const STEP_ldOut: i32 = offsetof<Step>('ldOut');
export const STEP_residualPtr: i32 = offsetof<Step>('residualPtr');
export const STEP_ldResidual: i32 = offsetof<Step>('ldResidual');
export const STEP_weightPtr: i32 = offsetof<Step>('weightPtr');
export const STEP_biasPtr: i32 = offsetof<Step>('biasPtr');
export const STEP_preScalePtr: i32 = offsetof<Step>('preScalePtr');
export const STEP_preShiftPtr: i32 = offsetof<Step>('preShiftPtr');
export const STEP_batch: i32 = offsetof<Step>('batch');
export const STEP_ih: i32 = offsetof<Step>('ih');
export const STEP_iw: i32 = offsetof<Step>('iw');
export const STEP_ic: i32 = offsetof<Step>('ic');
export const STEP_oh: i32 = offsetof<Step>('oh');
export const STEP_ow: i32 = offsetof<Step>('ow');
export const STEP_oc: i32 = offsetof<Step>('oc');
export const STEP_kh: i32 = offsetof<Step>('kh');
export const STEP_kw: i32 = offsetof<Step>('kw');
export const STEP_strideH: i32 = offsetof<Step>('strideH');
export const STEP_strideW: i32 = offsetof<Step>('strideW');
export const STEP_dilationH: i32 = offsetof<Step>('dilationH');
export const STEP_dilationW: i32 = offsetof<Step>('dilationW');
export const STEP_padTop: i32 = offsetof<Step>('padTop');
export const STEP_padLeft: i32 = offsetof<Step>('padLeft');
export const STEP_groups: i32 = offsetof<Step>('groups');
export const STEP_zerosBefore: i32 = offsetof<Step>('zerosBefore');
export const STEP_winogradTile: i32 = offsetof<Step>('winogradTile');
export const STEP_reduction: i32 = offsetof<Step>('reduction');
export const STEP_leavesPadding: i32 = offsetof<Step>('leavesPadding');
