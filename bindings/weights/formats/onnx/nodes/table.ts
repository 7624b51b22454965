/** All operations that a run can have. */

import { FLOATING } from './floating.js';
import type { Handlers } from './handler.js';
import { quantised } from './quantised.js';

export const HANDLERS: Handlers = { ...FLOATING, ...quantised };
