/**
 * Runs ONNX's own backend tests: node --import tsx tests/onnx.ts [--filter TEXT] [--verbose]
 *
 * Prints how many models passed, were refused and why, and failed; ends with an error if one failed. The models are those
 * of Debian's libonnx-testdata, which is installed if it is not there and apt-get may.
 */

import { spawnSync } from 'node:child_process';
import { existsSync } from 'node:fs';
import { basename } from 'node:path';
import { parseArgs } from 'node:util';
import { cases, TESTDATA, type Verdict, verdictOf } from './support/onnx-cases.js';

const { values } = parseArgs({
  options: { filter: { type: 'string', default: '' }, verbose: { type: 'boolean', default: false } },
});

if (!existsSync(TESTDATA)) spawnSync('apt-get', ['install', '-y', '--no-install-recommends', 'libonnx-testdata']);
if (!existsSync(TESTDATA)) {
  console.log('SKIPPED: libonnx-testdata is not there, and apt-get cannot install it.');
  process.exit(0);
}

const verdicts = new Map<string, Verdict>();
for (const folder of cases().filter((each) => each.includes(values.filter))) {
  verdicts.set(basename(folder), await verdictOf(folder));
}

const of = (result: Verdict['result']): [string, Verdict][] =>
  [...verdicts].filter(([, verdict]) => verdict.result === result);

/** What a refusal says, without its subject. */
const why = (reason: string): string => reason.replace(/^.*?: /, '').replace(/\d+/g, 'N');

const reasons = new Map<string, string[]>();
for (const [name, { reason }] of of('refused')) reasons.set(why(reason), [...(reasons.get(why(reason)) ?? []), name]);

for (const [reason, names] of [...reasons].sort((a, b) => b[1].length - a[1].length)) {
  console.log(`refused ${names.length}: ${reason}${values.verbose ? ` ${names.join(' ')}` : ''}`);
}
if (values.verbose) for (const [name] of of('passed')) console.log(`passed ${name}`);
for (const [name, { reason }] of of('failed')) console.log(`FAILED ${name}: ${reason}`);
console.log(
  `${verdicts.size} models: ${of('passed').length} passed as a run, ${of('folded').length} as constants, ` +
    `${of('refused').length} refused, ${of('failed').length} failed.`,
);
if (of('failed').length > 0) process.exitCode = 1;
