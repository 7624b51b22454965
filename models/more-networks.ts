/** Networks that are loaded when one of them is asked for, or a file tells nothing of its network (`loadNetworks`). */

import { iresnets } from './iresnet.js';
import type { Network } from './network.js';
import { timmResnets } from './resnet-timm.js';

/** One line a family. */
export const moreNetworks: Readonly<Record<string, Network>> = { ...timmResnets, ...iresnets };
