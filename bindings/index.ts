/**
 * What the entries for browsers (web.ts) and for Node (node.ts) share. Each adds its `load`.
 */

export type { Network, NetworkOptions, Preset, Summary, SummaryRow } from '../models/index.js';
export { buildNetwork, networkNames, networks, presets, summary, summaryTable } from '../models/index.js';
export type { Algorithm } from './algorithm.js';
export { type Binary, supportsRelaxed } from './binary.js';
export { type Heatmap, heatmap } from './heatmap.js';
export type { Pixels } from './image.js';
export type { Progress, RandomWeights } from './load.js';
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
export type { WasmSource } from './wasm.js';
export type { WeightSource } from './weights/index.js';
