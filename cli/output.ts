/** Checks of the files that commands write. */

import { stat } from 'node:fs/promises';
import { dirname } from 'node:path';

/** Rejects if the folder of `path` does not exist, so that no work is done for a file that cannot be written. */
export async function checkOutput(path: string): Promise<void> {
  const folder = await stat(dirname(path)).catch(() => undefined);
  if (!folder?.isDirectory()) throw new Error(`${path}: there is no folder ${dirname(path)} to write into.`);
}
