/** Debian's packages of browsers, for the tests and measurements that open them. */

import { spawnSync } from 'node:child_process';
import { existsSync } from 'node:fs';

/** Installs packages, if that is possible; otherwise returns what prevented it. */
export function installPackages(...names: string[]): string | undefined {
  if (!existsSync('/usr/bin/apt-get')) return 'there is no apt-get to install it with';
  if (process.getuid?.() !== 0) return `installing it needs root ("sudo apt-get install ${names[0]}" does it)`;
  const apt = (...args: string[]) =>
    spawnSync('apt-get', args, { encoding: 'utf8', env: { ...process.env, DEBIAN_FRONTEND: 'noninteractive' } });
  apt('update');
  const { status, stderr } = apt('install', '-y', '--no-install-recommends', ...names);
  return status === 0 ? undefined : `apt-get failed (${(stderr ?? '').trim().split('\n').at(-1)})`;
}
