/** What few weight files need of a worker, in a script of its own (dist/worker-more.js), which worker.js loads then. */

import { usePlatform } from '../platform/platform.js';
import { impostor } from '../weights/formats/impostors.js';
import { h5 } from '../weights/formats/keras/h5.js';
import { tfjs } from '../weights/formats/keras/tfjs.js';
import { pytorch } from '../weights/formats/pytorch/reader.js';

const more = { usePlatform, impostor, h5, tfjs, pytorch };

/** The global by which worker.js has them: Parcel makes a script without exports of this one. */
const MORE = 'resnet-wasm more';

export interface More {
  [MORE]?: typeof more;
}

(globalThis as More)[MORE] = more;
