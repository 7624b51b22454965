/** Installs what tests/elsewhere needs and the project does not, with npm, outside of the project's own packages. */

import { execFile, spawnSync } from 'node:child_process';
import { existsSync, readFileSync, statSync } from 'node:fs';
import { readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { exampleApp, packed } from '../support/packed.js';

const here = fileURLToPath(new URL('./', import.meta.url));
const QUIET = ['--ignore-scripts', '--no-audit', '--no-fund', '--loglevel', 'error'];

/** Installs the runtimes of package.json, once per change of its lock. Returns false if that fails, and says so. */
export function installRuntimes(): boolean {
  const [lock, installed] = ['package-lock.json', 'node_modules/.package-lock.json'].map((file) => join(here, file));
  if (existsSync(installed as string) && statSync(installed as string).mtimeMs >= statSync(lock as string).mtimeMs) {
    return true;
  }
  const { status, stderr } = spawnSync('npm', ['ci', '--prefix', here, ...QUIET], {
    encoding: 'utf8',
    shell: process.platform === 'win32',
  });
  if (status !== 0)
    console.error(`SKIPPED: Node 22 to 26, Deno, Bun and jsdom: npm cannot install them (${lastLine(stderr)}).`);
  return status === 0;
}

/** The path of a file that `installRuntimes` installed. */
export const installed = (path: string): string => join(here, 'node_modules', path);

/** The version of a package that `installRuntimes` installed. */
export const installedVersion = (name: string): string =>
  JSON.parse(readFileSync(installed(`${name}/package.json`), 'utf8')).version;

const lastLine = (text: string): string => text.trim().split('\n').at(-1) ?? '';

/**
 * Copies an example and installs its packages as its README says, and `packages`, with the packed package for this clone. Returns undefined
 * if npm cannot, and says so.
 */
export async function installedExample(name: string, packages: readonly string[] = []): Promise<string | undefined> {
  const home = await exampleApp(name);
  const file = join(home, 'package.json');
  await writeFile(file, (await readFile(file, 'utf8')).replace('file:../..', `file:${packed.tarball}`));
  try {
    await promisify(execFile)('npm', ['install', '--prefer-offline', ...packages, ...QUIET], { cwd: home });
    return home;
  } catch (error) {
    console.error(
      `SKIPPED: examples/${name}: npm cannot install its packages (${lastLine((error as Error).message)}).`,
    );
    return undefined;
  }
}
