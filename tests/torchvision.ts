/**
 * Exports torchvision's networks to ONNX, and compares them with torch: node --import tsx tests/torchvision.ts [--all | NAME …]
 *
 * Prints for each the greatest difference as a share of torch's greatest value; ends with an error if one is above 1e-5.
 * Needs Debian's python3-torch and python3-torchvision, which are installed if they are not there and apt-get may.
 */

import { spawnSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';
import { load } from '../bindings/index.node.js';

/** A small network of each family. */
const USUAL =
  'alexnet convnext_tiny densenet121 efficientnet_b0 efficientnet_v2_s googlenet inception_v3 mnasnet1_0 mobilenet_v2 ' +
  'mobilenet_v3_small mobilenet_v3_large regnet_x_400mf regnet_y_400mf resnet18 resnet50 resnext50_32x4d ' +
  'shufflenet_v2_x1_0 squeezenet1_0 squeezenet1_1 vgg11 vgg11_bn wide_resnet50_2 fcn_resnet50 deeplabv3_resnet50 ' +
  'lraspp_mobilenet_v3_large';

const MOST = 1e-5;
const PYTHON = '/usr/bin/python3';
const SCRIPT = fileURLToPath(new URL('support/export_torchvision.py', import.meta.url));

const python = (...args: string[]): string | undefined => {
  const { status, stdout } = spawnSync(PYTHON, args, { encoding: 'utf8', stdio: ['ignore', 'pipe', 'ignore'] });
  return status === 0 ? stdout : undefined;
};

const isThere = (): boolean => python('-c', 'import torchvision') !== undefined;

if (!isThere()) {
  spawnSync('apt-get', ['install', '-y', '--no-install-recommends', 'python3-torch', 'python3-torchvision']);
  if (!isThere()) {
    console.log('SKIPPED: python3-torchvision is not there, and apt-get cannot install it.');
    process.exit(0);
  }
}

const { values, positionals } = parseArgs({
  options: { all: { type: 'boolean', default: false } },
  allowPositionals: true,
});
const folder = mkdtempSync(join(tmpdir(), 'torchvision-'));
const all = values.all ? (python(SCRIPT, folder, '--list') ?? '') : USUAL;

/** The greatest difference from torch, as a share of its greatest value. */
async function difference(name: string, size: number, shape: readonly number[]): Promise<number> {
  const numbers = new Float32Array(new Uint8Array(readFileSync(join(folder, `${name}.values`))).buffer);
  const model = await load(join(folder, `${name}.onnx`), { onWarning: () => {} });
  const inputs = 3 * size * size;
  const { data } = await model.run({ data: numbers.slice(0, inputs), shape: [1, 3, size, size], layout: 'NCHW' });
  model.dispose();
  const [, c = 1, h = 1, w = 1] = shape;
  let [most, largest] = [0, 0];
  for (let i = 0; i < data.length; i++) {
    const expected = numbers[inputs + i] as number;
    const got = data[(i % (h * w)) * c + Math.floor(i / (h * w))] as number;
    most = Math.max(most, Number.isNaN(got) ? Number.POSITIVE_INFINITY : Math.abs(got - expected));
    largest = Math.max(largest, Math.abs(expected));
  }
  return most / largest;
}

let failed = 0;
try {
  for (const name of positionals.length > 0 ? positionals : all.trim().split(/\s+/)) {
    const [, size = 0, ...shape] = (python(SCRIPT, folder, name) ?? '').trim().split(' ').map(Number);
    if (shape.length === 0) throw new Error(`${name}: torch cannot export it.`);
    const share = await difference(name, size, shape).catch((error: Error) => error);
    const isClose = typeof share === 'number' && share <= MOST;
    console.log(
      `${isClose ? '' : 'FAILED '}${name}: ${typeof share === 'number' ? share.toExponential(1) : share.message}`,
    );
    if (!isClose) failed += 1;
    for (const end of ['onnx', 'values']) rmSync(join(folder, `${name}.${end}`));
  }
} finally {
  rmSync(folder, { recursive: true, force: true });
}
if (failed > 0) process.exitCode = 1;
