/** One suite, every binary: the same tests on `baseline`, on `relaxed` and on `wide`. */

import './flags.mjs';
import { suite, type uvu } from 'uvu';
import '../../bindings/index.node.js';
import { loadInt8 } from '../../bindings/engine/algorithms/index.js';
import { BINARIES, type Binary, supportsRelaxed } from '../../bindings/engine/binary.js';
import type { Core } from '../../bindings/engine/core.js';
import { createCore } from '../../bindings/engine/create-core.js';
import type { KernelSet } from '../../models/index.js';

export interface BinaryContext {
  readonly binary: Binary;
  /** One for all tests of the suite: give back what you allocate. */
  readonly core: Core;
}

/** All kernels that there are. */
export const SETS: readonly KernelSet[] = ['more', 'int8'];

async function coreOf(binary: Binary): Promise<Core> {
  await loadInt8();
  const core = await createCore({ binary, sets: SETS });
  await core.measured;
  return binary === 'wide' ? { ...core, vectors: { bits: 256, note: 'Vectors of 256 bits, for the test.' } } : core;
}

/** V8 has relaxed SIMD from here on, by default or by the flag. */
const RELAXED_V8 = 11;

/**
 * Defines and runs a suite once for each binary, the wide one with the tiles for 256 bits, whether this engine joins vectors or not: results
 * are the same. Where an engine has no relaxed SIMD, its suite is skipped, aloud; where
 * it should have, that is a failure.
 */
export function eachBinary(name: string, define: (test: uvu.Test<BinaryContext>, binary: Binary) => void): void {
  for (const binary of BINARIES) {
    const isMissing = binary !== 'baseline' && !supportsRelaxed();
    if (isMissing && !(Number.parseInt(process.versions.v8, 10) >= RELAXED_V8)) {
      console.log(`\n${name}, ${binary}: SKIPPED, since this engine has no relaxed SIMD.`);
      continue;
    }
    const test = suite<BinaryContext>(`${name}, ${binary}`);
    // Not `before`, whose errors uvu keeps to itself.
    test.before.each(async (context) => {
      if (!context.core) Object.assign(context, { binary, core: await coreOf(binary) });
    });
    define(test, binary);
    test.run();
  }
}
