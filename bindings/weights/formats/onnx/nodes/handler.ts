/** What makes nodes of the graph of a node of the model. */

import type { Call } from '../call.js';
import type { Network } from '../network.js';
import type { Operand } from '../value.js';

/** Returns what the node makes, in order; undefined for an output that nothing may read. */
export type Handler = (net: Network, call: Call) => Operand | readonly (Operand | undefined)[];

export type Handlers = Readonly<Record<string, Handler>>;
