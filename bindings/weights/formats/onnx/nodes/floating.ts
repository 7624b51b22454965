/** Operations on floating point. */

import { binaries } from './binary.js';
import type { Handlers } from './handler.js';
import { matrices } from './matrices.js';
import { norms } from './norms.js';
import { pointwise } from './pointwise.js';
import { reductions } from './reductions.js';
import { resizing } from './resize.js';
import { shapes } from './shapes.js';
import { windows } from './windows.js';

export const FLOATING: Handlers = {
  ...windows,
  ...matrices,
  ...norms,
  ...pointwise,
  ...binaries,
  ...shapes,
  ...reductions,
  ...resizing,
};
