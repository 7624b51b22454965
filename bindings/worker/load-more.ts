/** Takes the place of the modules in more.ts, where the worker's script imports them: build.mjs puts it there. */

import { ResnetError } from '../../models/errors.js';
import { moreUrl } from '../assets.js';
import { platform } from '../platform/platform.js';
import type { More } from './more.js';

await import(moreUrl().href);
const more = (globalThis as More)['resnet-wasm more'];
if (!more) throw new ResnetError('worker', `${moreUrl()}: expected a script of resnet-wasm, got another.`);
// It has a copy of the platform's module.
more.usePlatform(platform);

export const {
  fitted,
  h5,
  int8,
  refusal,
  moreNetworks,
  moreOps,
  networkIn,
  onnx,
  pytorch,
  randomWeights,
  shards,
  tfjs,
  withPrefix,
  withRanges,
  withScales,
} = more;
