/** The core and further sets of kernels share one memory. */

import { readFile } from 'node:fs/promises';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import '../../bindings/index.node.js';
import { compiled } from '../../bindings/engine/binary.js';
import { ARENA_BASE, attach, newMemory } from '../../bindings/engine/core.js';
import type { BinaryName } from '../../bindings/platform/types.js';

const { targets } = JSON.parse(await readFile(new URL('../../asconfig.json', import.meta.url), 'utf8')) as {
  targets: Record<BinaryName, { memoryBase?: number }>;
};

/** Where the static data of a binary ends. */
async function endOf(name: BinaryName): Promise<number> {
  const { kernels } = await attach([await compiled(name, false)], newMemory(false));
  return (kernels as unknown as { heapBase(): number }).heapBase();
}

test('static data of the core and of each further set lie apart, below the arena', async () => {
  const names = Object.keys(targets) as BinaryName[];
  const places = await Promise.all(
    names.map(async (name) => ({ name, start: targets[name].memoryBase ?? 0, end: await endOf(name) })),
  );
  const starts = [...new Set(places.map(({ start }) => start)), ARENA_BASE].sort((a, b) => a - b);
  assert.ok(starts.length > 2);
  for (const { name, start, end } of places) {
    const next = starts[starts.indexOf(start) + 1] as number;
    assert.ok(start <= end && end <= next, `${name}: ${start} to ${end}, before ${next}`);
  }
});

test.run();
