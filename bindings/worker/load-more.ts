/** Takes the place of the modules in more.ts, where the worker's script imports them: build.mjs puts it there. */

import { moreUrl } from '../assets.js';
import { platform } from '../platform/platform.js';

const more: typeof import('./more.js') = await import(moreUrl().href);
// It has a copy of the platform's module.
more.usePlatform(platform);

export const { h5, impostor, pytorch, tfjs } = more;
