/** The files that a command reads, which it must not write. */

import { readFile, stat } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';

/** An index of shards takes some 100 kB, and TensorFlow.js' topologies a few more. */
const MAX_JSON_BYTES = 2 ** 26;

/** Lists every file of a set of weights: the one given and, if it is JSON that names others, those beside it. */
export async function weightFiles(weights: string): Promise<string[]> {
  const path = /^file:/i.test(weights) && URL.canParse(weights) ? fileURLToPath(weights) : weights;
  const there = await stat(path).catch(() => undefined);
  if (!there?.isFile() || there.size > MAX_JSON_BYTES || !/\.json$/i.test(path)) return [path];
  try {
    const { weight_map = {}, weightsManifest = [] } = JSON.parse(await readFile(path, 'utf8'));
    const names: unknown[] = [...Object.values(weight_map), ...weightsManifest.flatMap(({ paths = [] }) => paths)];
    return [path, ...new Set(names.map((name) => join(dirname(path), String(name))))];
  } catch {
    // Whoever reads the weights says what is wrong with them.
    return [path];
  }
}

/** Lists the files that options name: weights and labels. */
export async function inputsOf({ weights, labels }: { weights?: string; labels?: string }): Promise<string[]> {
  return [...(weights === undefined ? [] : await weightFiles(weights)), ...(labels === undefined ? [] : [labels])];
}
