/**
 * resnet-wasm: residual networks on the CPU. This entry runs anywhere; in Node the package's own entry adds files,
 * picture decoding and pulled weights (bindings/node.ts).
 */

export type { Network, NetworkOptions, Preset, Summary, SummaryRow } from '../models/index.js';
export { buildNetwork, networkNames, networks, presets, summary, summaryTable } from '../models/index.js';
export type { Algorithm } from './algorithm.js';
export type { Pixels } from './image.js';
export { type LoadOptions, load, type Progress } from './load.js';
export type {
  Cam,
  CamMap,
  Classification,
  Crop,
  FeatureMap,
  ImageSource,
  Model,
  ModelInfo,
  Output,
  StepProfile,
  Tensor,
} from './model.js';
export { type Binary, supportsRelaxed } from './wasm.js';
export type { WeightSource } from './weights/index.js';
