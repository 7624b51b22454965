import { Step } from '../step';

/** A rearrangement's axes, outermost first: their sizes, and their strides in the input, in elements. */
@unmanaged
export class RearrangeStep extends Step {
  axes: i32;
  size0: i32;
  size1: i32;
  size2: i32;
  size3: i32;
  size4: i32;
  size5: i32;
  size6: i32;
  size7: i32;
  stride0: i32;
  stride1: i32;
  stride2: i32;
  stride3: i32;
  stride4: i32;
  stride5: i32;
  stride6: i32;
  stride7: i32;
}

/** Where each axis of a slice begins and how far its elements are apart; where a padded map begins. */
@unmanaged
export class MoveStep extends Step {
  startH: i32;
  startW: i32;
  startC: i32;
  stepH: i32;
  stepW: i32;
  stepC: i32;
  /** PAD_…. */
  padMode: i32;
}

/** Operations on values by themselves or in pairs, and products of matrices. */
@unmanaged
export class ArithmeticStep extends Step {
  /** UNARY_… or BINARY_…. */
  operator: i32;
  /** The shape of the second operand, at `residualPtr`. */
  h2: i32;
  w2: i32;
  c2: i32;
  /** 1 if the second matrix is [n, k]. */
  transposesB: i32;
}

/** Operations over axes: 1 for each axis that is reduced. */
@unmanaged
export class AxesStep extends Step {
  overH: i32;
  overW: i32;
  overC: i32;
  /** 1 for the logarithm of softmax. */
  isLog: i32;
}

@unmanaged
export class PoolStep extends Step {
  padBottom: i32;
  padRight: i32;
}

@unmanaged
export class ResizeStep extends Step {
  /** RESIZE_…. */
  resizeMode: i32;
  /** COORDINATES_…. */
  coordinates: i32;
  /** ROUND_…. */
  rounding: i32;
  excludesOutside: i32;
  antialias: i32;
  /** Output size by input size, or 0 for just that. */
  scaleH: f32;
  scaleW: f32;
}

@unmanaged
export class ResponseStep extends Step {
  /** Channels of a local response norm's window. */
  windowC: i32;
  /** Its bias. */
  gamma: f32;
}

export const STEP_axes: i32 = offsetof<RearrangeStep>('axes');
export const STEP_size0: i32 = offsetof<RearrangeStep>('size0');
export const STEP_size1: i32 = offsetof<RearrangeStep>('size1');
export const STEP_size2: i32 = offsetof<RearrangeStep>('size2');
export const STEP_size3: i32 = offsetof<RearrangeStep>('size3');
export const STEP_size4: i32 = offsetof<RearrangeStep>('size4');
export const STEP_size5: i32 = offsetof<RearrangeStep>('size5');
export const STEP_size6: i32 = offsetof<RearrangeStep>('size6');
export const STEP_size7: i32 = offsetof<RearrangeStep>('size7');
export const STEP_stride0: i32 = offsetof<RearrangeStep>('stride0');
export const STEP_stride1: i32 = offsetof<RearrangeStep>('stride1');
export const STEP_stride2: i32 = offsetof<RearrangeStep>('stride2');
export const STEP_stride3: i32 = offsetof<RearrangeStep>('stride3');
export const STEP_stride4: i32 = offsetof<RearrangeStep>('stride4');
export const STEP_stride5: i32 = offsetof<RearrangeStep>('stride5');
export const STEP_stride6: i32 = offsetof<RearrangeStep>('stride6');
export const STEP_stride7: i32 = offsetof<RearrangeStep>('stride7');
export const STEP_startH: i32 = offsetof<MoveStep>('startH');
export const STEP_startW: i32 = offsetof<MoveStep>('startW');
export const STEP_startC: i32 = offsetof<MoveStep>('startC');
export const STEP_stepH: i32 = offsetof<MoveStep>('stepH');
export const STEP_stepW: i32 = offsetof<MoveStep>('stepW');
export const STEP_stepC: i32 = offsetof<MoveStep>('stepC');
export const STEP_padMode: i32 = offsetof<MoveStep>('padMode');
export const STEP_operator: i32 = offsetof<ArithmeticStep>('operator');
export const STEP_h2: i32 = offsetof<ArithmeticStep>('h2');
export const STEP_w2: i32 = offsetof<ArithmeticStep>('w2');
export const STEP_c2: i32 = offsetof<ArithmeticStep>('c2');
export const STEP_transposesB: i32 = offsetof<ArithmeticStep>('transposesB');
export const STEP_overH: i32 = offsetof<AxesStep>('overH');
export const STEP_overW: i32 = offsetof<AxesStep>('overW');
export const STEP_overC: i32 = offsetof<AxesStep>('overC');
export const STEP_isLog: i32 = offsetof<AxesStep>('isLog');
export const STEP_padBottom: i32 = offsetof<PoolStep>('padBottom');
export const STEP_padRight: i32 = offsetof<PoolStep>('padRight');
export const STEP_resizeMode: i32 = offsetof<ResizeStep>('resizeMode');
export const STEP_coordinates: i32 = offsetof<ResizeStep>('coordinates');
export const STEP_rounding: i32 = offsetof<ResizeStep>('rounding');
export const STEP_excludesOutside: i32 = offsetof<ResizeStep>('excludesOutside');
export const STEP_antialias: i32 = offsetof<ResizeStep>('antialias');
export const STEP_scaleH: i32 = offsetof<ResizeStep>('scaleH');
export const STEP_scaleW: i32 = offsetof<ResizeStep>('scaleW');
export const STEP_windowC: i32 = offsetof<ResponseStep>('windowC');
export const STEP_gamma: i32 = offsetof<ResponseStep>('gamma');
