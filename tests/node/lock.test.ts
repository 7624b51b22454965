import { mkdtemp, readdir, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { locked } from '../../bindings/node/lock.js';
import { rejection } from '../support/weight-files.js';

const test = suite<{ folder: string }>('lock');

test.before.each(async (context) => {
  context.folder = await mkdtemp(join(tmpdir(), 'lock-'));
});

test.after.each(({ folder }) => rm(folder, { recursive: true }));

test('tasks of one path run one after the other, those of others beside them', async ({ folder }) => {
  let running = 0;
  let most = 0;
  const task = async (): Promise<void> => {
    most = Math.max(most, ++running);
    await new Promise((resolve) => setTimeout(resolve, 20));
    running--;
  };
  await Promise.all([1, 2, 3].map(() => locked(join(folder, 'a'), undefined, task)));
  assert.is(most, 1);
  await Promise.all(['a', 'b'].map((name) => locked(join(folder, name), undefined, task)));
  assert.is(most, 2);
  assert.equal(await readdir(folder), []);
});

test('the lock of a killed process is taken, and that of a failed task is given back', async ({ folder }) => {
  const path = join(folder, 'a');
  await writeFile(`${path}.lock`, '');
  const error = new Error('no');
  assert.is(await rejection(locked(path, undefined, () => Promise.reject(error), 50)), error);
  assert.is(await locked(path, undefined, async () => 7), 7);
});

test('an abort ends the wait, and leaves the lock to its holder', async ({ folder }) => {
  const path = join(folder, 'a');
  await writeFile(`${path}.lock`, '');
  const controller = new AbortController();
  const reason = new Error('enough');
  const waiting = rejection(locked(path, controller.signal, async () => assert.unreachable()));
  controller.abort(reason);
  assert.is(await waiting, reason);
  assert.equal(await readdir(folder), ['a.lock']);
});

test.run();
