/** One suite, every binary: the same tests on `baseline` and on `relaxed`. */

import { suite, type uvu } from 'uvu';
import '../bindings/node.js';
import { BINARIES, type Binary, type Core, createCore, supportsRelaxed } from '../bindings/wasm.js';

export interface BinaryContext {
  readonly binary: Binary;
  /** One for all tests of the suite: give back what you allocate. */
  readonly core: Core;
}

const FLAG = '--experimental-wasm-relaxed-simd';

/**
 * Defines and runs a suite once for each binary. Without relaxed SIMD its suite fails where the engine was not asked
 * for it, and is skipped, aloud, where it was asked and has none.
 */
export function eachBinary(name: string, define: (test: uvu.Test<BinaryContext>, binary: Binary) => void): void {
  for (const binary of BINARIES) {
    if (binary === 'relaxed' && !supportsRelaxed() && process.execArgv.includes(FLAG)) {
      console.log(`\n${name}, relaxed: SKIPPED, since Node ${process.version} has no relaxed SIMD even with ${FLAG}.`);
      continue;
    }
    const context = { binary } as { binary: Binary; core: Core };
    const test = suite<BinaryContext>(`${name}, ${binary}`, context);
    if (binary === 'relaxed' && !supportsRelaxed()) {
      test('relaxed SIMD is there', () => {
        throw new Error(`${name}: expected node ${FLAG}, so that the relaxed binary is tested, got Node without it.`);
      });
    } else {
      test.before(async (own) => {
        Object.assign(own, { core: await createCore({ binary }) });
      });
      define(test, binary);
    }
    test.run();
  }
}
