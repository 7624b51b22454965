/** The package as npm packs it, packed once per test run, and copies of the examples that have it installed. */

import { execFile } from 'node:child_process';
import { rmSync } from 'node:fs';
import { access, cp, mkdir, mkdtemp, readFile, symlink, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { extract } from 'tar';
import { buildNetwork, openWeights, seededWeights, writeSafetensors } from '../../bindings/index.node.js';

export const root = fileURLToPath(new URL('../..', import.meta.url));

const folder = await mkdtemp(join(tmpdir(), 'resnet-wasm-package-'));
process.once('exit', () => rmSync(folder, { recursive: true, force: true }));

export interface Packed {
  readonly tarball: string;
  readonly files: readonly { readonly path: string }[];
  readonly size: number;
  readonly unpackedSize: number;
}

async function pack(): Promise<Packed> {
  // Without scripts: they would build the package again under the other tests.
  const args = ['pack', '--ignore-scripts', '--json', '--pack-destination', folder];
  const { stdout } = await promisify(execFile)('npm', args, { cwd: root });
  const listed: unknown = JSON.parse(stdout);
  // Older npm prints an array, newer npm an object by name.
  const [{ filename, ...about }] = Object.values(listed as object) as [Packed & { filename: string }];
  return { ...about, tarball: join(folder, filename) };
}

export const packed = await pack();

/** Links what the package asks for from this repository, if it is installed here. */
async function linkDependencies(home: string): Promise<void> {
  const { dependencies, optionalDependencies, peerDependencies } = JSON.parse(
    await readFile(join(home, 'node_modules/resnet-wasm/package.json'), 'utf8'),
  );
  for (const name of Object.keys({ ...dependencies, ...optionalDependencies, ...peerDependencies })) {
    const source = join(root, 'node_modules', name);
    const target = join(home, 'node_modules', name);
    const isThere = await access(source).then(
      () => true,
      () => false,
    );
    if (!isThere) continue;
    await mkdir(dirname(target), { recursive: true });
    await symlink(source, target, 'junction');
  }
}

/** A folder with the package in its node_modules, and nothing else yet. */
export async function emptyApp(name: string): Promise<string> {
  const home = await mkdtemp(join(folder, `${name}-`));
  await mkdir(join(home, 'node_modules/resnet-wasm'), { recursive: true });
  await extract({ file: packed.tarball, cwd: join(home, 'node_modules/resnet-wasm'), strip: 1 });
  await linkDependencies(home);
  await writeFile(join(home, 'package.json'), JSON.stringify({ private: true, type: 'module' }));
  return home;
}

/** A copy of an example with the package installed. */
export async function exampleApp(name: string): Promise<string> {
  const home = await emptyApp(name);
  await cp(join(root, 'examples', name), home, {
    recursive: true,
    filter: (path) => !path.endsWith('node_modules'),
  });
  return home;
}

/** Writes random weights of `network` in float16 to `path`, the same each time. */
export async function writeRandomWeights(network: string, path: string): Promise<void> {
  const file = await openWeights(seededWeights(buildNetwork(network), 1));
  await mkdir(dirname(path), { recursive: true });
  await writeFile(path, writeSafetensors(file, { dtype: 'F16' }));
}
