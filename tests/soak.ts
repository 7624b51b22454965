/** `npm run test:soak`: 10,000 requests of every kind; the tests have a short one. Exits 1 if an answer or the memory is wrong. */

import { soak } from './support/soak.js';

const MB = (bytes: number): string => `${(bytes / 1e6).toFixed(0)} MB`;
/** What memory may grow by after the first quarter: the garbage that a collector leaves for later. */
const MOST_GROWTH = 1.15;

const start = performance.now();
const { outcomes, wrong, early, late, exitCode } = await soak(10_000);
for (const [outcome, count] of Object.entries(outcomes).sort()) console.log(`${outcome.padEnd(14)}${count}`);
console.log(`${wrong} wrong; memory ${MB(early)} after a quarter, ${MB(late)} at the end; exit code ${exitCode}`);
console.log(`${((performance.now() - start) / 1000).toFixed(1)} s`);
const kinds = Object.keys(outcomes).sort().join();
if (
  kinds !== 'aborted,broken 422,good 200,slow 200,text 415' ||
  wrong > 0 ||
  late > MOST_GROWTH * early ||
  exitCode !== 0
) {
  process.exitCode = 1;
}
