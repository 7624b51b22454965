/** Which operations are done on constants when a model is read, as shape arithmetic needs it. */

import { arithmetic } from './arithmetic.js';
import type { Folder } from './folder.js';
import { layout } from './layout.js';
import { matmul } from './matrix.js';
import { quantisation } from './quantisation.js';

export const FOLDERS: Readonly<Record<string, Folder>> = { ...arithmetic, ...layout, ...quantisation, MatMul: matmul };
