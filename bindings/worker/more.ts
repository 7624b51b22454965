/** What few weight files need of a worker, in a script of its own (dist/worker-more.js), which worker.js loads then. */

export { usePlatform } from '../platform/platform.js';
export { impostor } from '../weights/formats/impostors.js';
export { h5 } from '../weights/formats/keras/h5.js';
export { tfjs } from '../weights/formats/keras/tfjs.js';
export { pytorch } from '../weights/formats/pytorch/reader.js';
