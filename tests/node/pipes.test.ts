/** Weights from pipes, which have no size and no places, are those of the file. */

import { execFileSync } from 'node:child_process';
import { createReadStream, createWriteStream, mkdtempSync, readdirSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { pipeline } from 'node:stream/promises';
import { fileURLToPath } from 'node:url';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { inspectWeights } from '../../bindings/index.node.js';

const folder = mkdtempSync(join(tmpdir(), 'pipes-'));
test.after(() => rmSync(folder, { recursive: true }));

/** The report of a source, or what is said instead of one. */
const told = (source: string): Promise<unknown> =>
  inspectWeights(source).catch((error: Error) => error.message.replaceAll(source, 'weights'));

const data = fileURLToPath(new URL('../data/', import.meta.url));
const files = ['h5', 'pth'].flatMap((each) =>
  readdirSync(join(data, each))
    .filter((name) => /\.(h5|pt|safetensors)$/.test(name))
    .map((name) => join(data, each, name)),
);

test('every format', async () => {
  assert.ok(files.length > 40);
  let good = 0;
  for (const [i, file] of files.entries()) {
    const pipe = join(folder, `${i}`);
    execFileSync('mkfifo', [pipe]);
    // The reader may have enough before the end.
    const sent = pipeline(createReadStream(file), createWriteStream(pipe)).catch(() => {});
    const [wanted, got] = await Promise.all([told(file), told(pipe), sent]);
    if (typeof wanted === 'string') assert.type(got, 'string', file);
    else {
      assert.equal(got, wanted, file);
      good++;
    }
  }
  assert.ok(good > 30, `${good}`);
});

test.run();
