/** A Redis of the tests' own: on loopback, in a temporary folder, with its append-only file. */

import { type ChildProcess, spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { existsSync } from 'node:fs';
import { mkdtemp, rm } from 'node:fs/promises';
import type { AddressInfo } from 'node:net';
import { connect, createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { delimiter, join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';

const find = (): string | undefined =>
  ['redis-server', 'valkey-server']
    .flatMap((name) => (process.env.PATH ?? '').split(delimiter).map((folder) => join(folder, name)))
    .find((path) => existsSync(path));

/** Finds the server; as root on Debian, installs it. Returns why there is none if so. */
export function redisServer(): { readonly path: string } | { readonly missing: string } {
  const there = find();
  if (there) return { path: there };
  const apt = (...args: string[]) =>
    spawnSync('apt-get', args, { encoding: 'utf8', env: { ...process.env, DEBIAN_FRONTEND: 'noninteractive' } });
  if (process.getuid?.() !== 0) return { missing: 'redis-server is not installed' };
  const install = () => apt('install', '-y', '--no-install-recommends', 'redis-server');
  // Lists of packages may be missing, or old.
  if (install().status !== 0) {
    apt('update');
    install();
  }
  const path = find();
  return path ? { path } : { missing: 'redis-server is not installed, and cannot be' };
}

/** A port that was free a moment ago. */
export async function freePort(): Promise<number> {
  const server = createServer().listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { port } = server.address() as AddressInfo;
  server.close();
  await once(server, 'close');
  return port;
}

export class RedisProcess implements AsyncDisposable {
  readonly url: string;
  readonly #path: string;
  readonly #folder: string;
  readonly #port: number;
  #process: ChildProcess | undefined;

  private constructor(path: string, folder: string, port: number) {
    this.#path = path;
    this.#folder = folder;
    this.#port = port;
    this.url = `redis://:secret@127.0.0.1:${port}`;
  }

  static async start(path: string): Promise<RedisProcess> {
    const redis = new RedisProcess(path, await mkdtemp(join(tmpdir(), 'redis-')), await freePort());
    await redis.run();
    return redis;
  }

  /** Runs the server on what its append-only file has, and waits until it answers. */
  async run(): Promise<void> {
    const args = `--bind 127.0.0.1 --port ${this.#port} --appendonly yes --requirepass secret`.split(' ');
    this.#process = spawn(this.#path, [...args, '--save', '', '--dir', this.#folder], { stdio: 'ignore' });
    for (let i = 0; i < 200; i++) {
      const socket = connect(this.#port, '127.0.0.1').on('error', () => {});
      socket.write('AUTH secret\r\nPING\r\n');
      const [answer] = await Promise.race([once(socket, 'data').catch(() => ['']), delay(500, [''])]);
      socket.destroy();
      if (String(answer).startsWith('+OK')) return;
      await delay(50);
    }
    throw new Error('redis-server: expected an answer within 10 s, got none.');
  }

  /** Kills it at once, as a crash does. */
  async kill(): Promise<void> {
    const ended = this.#process && once(this.#process, 'exit');
    this.#process?.kill('SIGKILL');
    await ended;
    this.#process = undefined;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.kill();
    await rm(this.#folder, { recursive: true, force: true });
  }
}
