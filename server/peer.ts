/** Packages that the application installs if it wants what they do. */

import { ResnetError } from '../bindings/index.node.js';

/** Imports a package by `load`. Rejects with one sentence, `purpose` first, if it is not installed. */
export async function peer<Module>(name: string, purpose: string, load: () => Promise<Module>): Promise<Module> {
  try {
    return await load();
  } catch (cause) {
    const { code, message } = cause as NodeJS.ErrnoException;
    if (code !== 'ERR_MODULE_NOT_FOUND' || !message.includes(`'${name}'`)) throw cause;
    throw new ResnetError('unsupported', `${purpose} needs the package ${name}: npm install ${name}.`, { cause });
  }
}

/** Imports a package, or returns undefined if it is not installed. */
export const optionalPeer = <Module>(load: () => Promise<Module>): Promise<Module | undefined> =>
  load().catch((cause: NodeJS.ErrnoException) => {
    if (cause.code === 'ERR_MODULE_NOT_FOUND') return undefined;
    throw cause;
  });
