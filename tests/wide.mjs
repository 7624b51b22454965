/**
 * Runs the tests with V8's pass that joins vectors to 256 bits, every kernel compiled by the optimising compiler from its
 * first call on: npm run test:wide [REGEX of file paths]. Node 24 has the pass; an older Node gets one from npm first.
 */

import { spawnSync } from 'node:child_process';
import { existsSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

const VERSION = 24;

function run(command, args) {
  const { status, error } = spawnSync(command, args, { stdio: 'inherit' });
  if (error) throw error;
  return status ?? 1;
}

/** The path of a Node that has the pass. */
function findNode() {
  if (Number.parseInt(process.versions.node, 10) >= VERSION) return process.execPath;
  const name = `node-${process.platform}-${process.arch}`;
  const folder = join(tmpdir(), `resnet-wasm-node-${VERSION}`);
  const path = join(folder, 'node_modules', name, 'bin', 'node');
  const args = ['install', '--prefix', folder, '--no-save', '--ignore-scripts', '--no-audit', '--no-fund'];
  if (!existsSync(path) && run('npm', [...args, `${name}@${VERSION}`]) !== 0) {
    throw new Error(`${name}: npm did not install Node ${VERSION}.`);
  }
  return path;
}

const flags = ['--experimental-wasm-revectorize', '--no-liftoff'];
const imports = ['--import', 'tsx', '--import', './tests/support/setup.mjs'];
const [, , pattern = '\\.test\\.ts$'] = process.argv;
process.exitCode = run(findNode(), [...flags, ...imports, 'node_modules/uvu/bin.js', 'tests', pattern]);
