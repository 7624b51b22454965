/**
 * Prepares a run of the tests: `node --import`. Properties have the same cases in every run, and others with the
 * environment variable SEED, a whole number or `random`; fast-check's errors name the seed.
 */

import './flags.mjs';
import fc from 'fast-check';

const { SEED: text = '1' } = process.env;
const seed = text === 'random' ? Math.floor(Math.random() * 2 ** 31) : Number(text);
if (!Number.isInteger(seed)) throw new Error(`SEED: expected a whole number or random, got ${text}.`);
if (text === 'random') console.log(`SEED=${seed}`);
fc.configureGlobal({ seed });
