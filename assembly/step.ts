/**
 * The argument record of every kernel: one per planned operation, written once into linear memory and read by each run.
 * Addresses are bytes; `ld…` is the distance from one pixel to the next, all sizes in elements. Activations are NHWC.
 */
@unmanaged
export class Step {
  kind: i32;
  /** RELU | ADD. */
  flags: i32;
  /** Rows of a GEMM tile. */
  mr: i32;
  inPtr: usize;
  ldIn: i32;
  outPtr: usize;
  ldOut: i32;
  /** What is added before ReLU: [batch, oh, ow, oc]. */
  residualPtr: usize;
  ldResidual: i32;
  /** Packed weights, or a batch norm's scale. */
  weightPtr: usize;
  /** Bias, or a batch norm's shift; padded with zeros to whole tiles. */
  biasPtr: usize;
  /** Scale and shift of a batch norm and ReLU before a pointwise convolution, per input channel; 0 for none. */
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
}

/** Kinds of a step. */
export const KIND_CONV: i32 = 0;
export const KIND_LINEAR: i32 = 1;
export const KIND_MAX_POOL: i32 = 2;
export const KIND_AVG_POOL: i32 = 3;
export const KIND_GLOBAL_AVG_POOL: i32 = 4;
export const KIND_BATCH_NORM: i32 = 5;
export const KIND_COPY: i32 = 6;
export const KIND_ZERO_PAD_SHORTCUT: i32 = 7;
export const KIND_SOFTMAX: i32 = 8;
export const KIND_WINOGRAD: i32 = 9;
export const KIND_GROUPED: i32 = 10;
export const KIND_ADAPTIVE_AVG_POOL: i32 = 11;

/** Bits of `Step.flags`. */
export const FLAG_RELU: i32 = 1;
export const FLAG_ADD: i32 = 2;

/** Size of a record, and the byte offset of each field. */
export const STEP_BYTES: i32 = offsetof<Step>();
export const STEP_kind: i32 = offsetof<Step>('kind');
export const STEP_flags: i32 = offsetof<Step>('flags');
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
