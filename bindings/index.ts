/**
 * What the entries for browsers (index.web.ts) and for Node (index.node.ts) share. Each adds its `load`.
 */

export type {
  BatchNormOp,
  ConvOp,
  Graph,
  LinearOp,
  Network,
  NetworkOptions,
  Node,
  NodeId,
  Op,
  OpKind,
  Padding,
  Pair,
  PlainOp,
  PoolOp,
  Preprocessing as Preset,
  Shape,
  Shortcut,
  ShortcutOp,
  StridePlace,
  Summary,
  SummaryRow,
} from '../models/index.js';
export {
  buildNetwork,
  networkNames,
  networks,
  preprocessings,
  summary,
  summaryTable,
} from '../models/index.js';
export type { Algorithm } from './compile/conv-algorithm.js';
export { type Binary, supportsRelaxed, type WasmSource } from './engine/binary.js';
export { type Heatmap, heatmap } from './image/heatmap.js';
export type { Crop } from './image/preprocess.js';
export type { Progress, RandomWeights } from './model/load.js';
export type {
  Cam,
  CamMap,
  Classification,
  FeatureMap,
  ImageSource,
  Model,
  ModelInfo,
  Output,
  StepProfile,
  Tensor,
} from './model/types.js';
export type { Pixels } from './platform/types.js';
export {
  type FromTensorsOptions,
  fromTensors,
  type MemoryTensor,
  type TensorValues,
} from './weights/from-tensors.js';
export type { Dtype, NetworkHints, OpenOptions, Piece, TensorInfo, WeightFile, WeightSource } from './weights/open.js';
