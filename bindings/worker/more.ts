/** What few weight files need of a worker, in a script of its own (dist/worker-more.js), which worker.js loads then. */

import { addNetworks } from '../../models/index.js';
import { moreNetworks } from '../../models/more-networks.js';
import { moreOps } from '../../models/more-ops.js';
import { int8, withRanges } from '../engine/whole-numbers.js';
import { usePlatform } from '../platform/platform.js';
import { fitted, networkIn } from '../weights/fitted.js';
import { refusal } from '../weights/formats/impostors.js';
import { withScales } from '../weights/formats/int8.js';
import { h5 } from '../weights/formats/keras/h5.js';
import { tfjs } from '../weights/formats/keras/tfjs.js';
import { onnx } from '../weights/formats/onnx/reader.js';
import { pytorch } from '../weights/formats/pytorch/reader.js';
import { shards } from '../weights/formats/sharded.js';
import { withPrefix } from '../weights/prefix.js';
import { randomWeights } from '../weights/random.js';

const more = {
  usePlatform,
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
};

/** The global by which worker.js has them: Parcel makes a script without exports of this one. */
const MORE = 'resnet-wasm more';

export interface More {
  [MORE]?: typeof more;
}

// It has a registry of its own, by which it tells what network a file is of.
addNetworks(moreNetworks);
(globalThis as More)[MORE] = more;
