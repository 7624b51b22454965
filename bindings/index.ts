/** What the entries for browsers (index.web.ts) and for Node (index.node.ts) share. Each adds its `load`. */

export { type ErrorCode, ResnetError } from '../models/errors.js';
export type {
  Activation,
  ActivationOp,
  AdaptivePoolOp,
  Attributes,
  AxesReduction,
  Axis,
  BatchNormOp,
  BinaryOp,
  BinaryOperator,
  ChannelOrder,
  Clip,
  ConstantOp,
  ConvOp,
  ConvOptions,
  ConvTransposeOp,
  DilatedPoolOp,
  ExpandOp,
  Gelu,
  Graph,
  GroupNormOp,
  HardSigmoid,
  HardSwish,
  InputOp,
  Interpolation,
  LayerNormOp,
  LeakyRelu,
  LinearOp,
  LocalResponseNormOp,
  MatmulOp,
  MoreOp,
  Network,
  NetworkOptions,
  Node,
  NodeId,
  NodeOptions,
  Op,
  OpKind,
  OpOf,
  Padding,
  PaddingLike,
  PadMode,
  PadOp,
  Pair,
  ParameterNames,
  PlainOp,
  PoolOp,
  PoolOptions,
  Port,
  Ports,
  Prelu,
  Preprocessing,
  PreprocessingLike,
  PreprocessingName,
  PreprocessingOptions,
  RearrangeOp,
  ReduceAxesOp,
  ReduceOp,
  Reduction,
  Relu,
  ReshapeOp,
  ResizeCoordinates,
  ResizeMode,
  ResizeOp,
  ResizeOptions,
  ResizeRounding,
  Role,
  Shape,
  Shortcut,
  ShortcutOp,
  Sigmoid,
  Silu,
  SliceOp,
  SoftmaxAxesOp,
  StrideIn,
  Triple,
  UnaryOp,
  UnaryOperator,
} from '../models/index.js';
export {
  buildNetwork,
  depth,
  GraphBuilder,
  graphInput,
  loadNetworks,
  loadOps,
  networkNames,
  networks,
  operationOf,
  preprocessings,
  shapeText,
} from '../models/index.js';
export type { Aliases } from '../models/network.js';
export type { AlgorithmName } from './compile/conv-algorithm.js';
export { type Layer, layersOf } from './compile/fuse.js';
export { type Summary, type SummaryRow, summary } from './compile/summary.js';
export { type Binary, supportsRelaxed, type WasmSource } from './engine/binary.js';
export { type Heatmap, heatmap } from './image/heatmap.js';
export type { Crop } from './image/preprocess.js';
export { createHead, headNetwork } from './learning/create-head.js';
export type {
  AddOptions,
  Embedder,
  EvaluateOptions,
  Evaluation,
  Example,
  Head,
  Neighbour,
  TrainOptions,
  TrainProgress,
  TrainReport,
} from './learning/types.js';
export type { OutputActivation } from './model/classes.js';
export { imagenetLabels } from './model/imagenet-labels.js';
export type { NetworkLike } from './model/network-like.js';
export type { RandomWeights } from './model/open-network.js';
export type { Progress } from './model/progress.js';
export type {
  AnalyseOptions,
  Analysis,
  CallOptions,
  Cam,
  CamMap,
  CamOptions,
  Classification,
  ClassifyOptions,
  EmbedOptions,
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
export { identifyNetwork, type NetworkMatch } from './weights/identify.js';
export { withNetworkNames } from './weights/network-names.js';
export type {
  ArchConfig,
  Dtype,
  FloatDtype,
  Int8Scales,
  OpenOptions,
  Piece,
  Selection,
  TensorInfo,
  WeightFile,
  WeightSource,
} from './weights/open.js';
export type { CachedWeights, RetryOptions, WeightCache } from './weights/stream/types.js';
