/** PyTorch archives whose entries stand in any order: by path, in memory, and as a stream. */

import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { openWeights } from '../../../bindings/weights/open.js';
import {
  dictionary,
  type Entry,
  entry,
  good,
  le,
  one,
  op,
  pickle,
  storage,
  tensor,
  values,
  zipFile,
} from '../../support/pickles.js';
import { concat, failure, hostileChunks, pattern, read, readAll, utf8, withFiles } from '../../support/weight-files.js';

/** Twelve tensors of two values, each in a storage of its own. */
const NAMES = Array.from({ length: 12 }, (_, i) => `t${i}`);
const pkl = entry(
  'data.pkl',
  pickle(dictionary(Object.fromEntries(NAMES.map((name, i) => [name, tensor(storage(`${i}`, 2), 0, [2], [1])])))),
);
const storages = NAMES.map((_, i) => entry(`data/${i}`, pattern(8, i)));
const expected = NAMES.map((name, i) => ({ name, dtype: 'F32', shape: [2], bytes: pattern(8, i) }));

const modern = [
  entry('.format_version', utf8('1')),
  entry('.storage_alignment', utf8('64')),
  entry('byteorder', utf8('little')),
];
const version = [entry('version', utf8('3\n')), entry('.data/serialization_id', pattern(40))];

const asTexts = storages.toSorted((a, b) => (a.name < b.name ? -1 : 1));
const odd = [5, 0, 11, 2, 1, 10, 3, 9, 4, 8, 6, 7].map((i) => storages[i] as Entry);

const ORDERS: Record<string, Entry[]> = {
  'by number, as PyTorch 2.7 writes': [pkl, ...modern, ...storages, ...version],
  'as texts, as PyTorch 2.6 writes': [pkl, modern[2] as Entry, ...asTexts, ...version],
  'by number, without saying so': [pkl, ...storages, ...version],
  'the last storage first': [pkl, ...modern, ...storages.toReversed(), ...version],
  'in no order': [...version, pkl, ...odd],
  'the pickle last': [...modern, ...storages, ...version, pkl],
  'the pickle last, the last storage first': [...storages.toReversed(), pkl],
  'the pickle in the middle': [...odd.slice(0, 5), pkl, ...odd.slice(5), ...modern],
  'a storage that nothing names': [entry('data/99', pattern(9)), pkl, entry('data/98', pattern(9)), ...odd],
};

const byName = (name: string) => NAMES.indexOf(name);

for (const [order, entries] of Object.entries(ORDERS)) {
  for (const isWide of [false, true]) {
    test(`${order}${isWide ? ', in a directory of 64 bits' : ''}: the right values, in the order of the file`, async () => {
      const bytes = zipFile(entries, 'comment', isWide);
      const check = async (open: () => ReturnType<typeof openWeights>, isPlaced: boolean) => {
        const file = await open();
        const got = await readAll(file);
        assert.equal(
          got.map(({ name }) => name),
          file.tensors.map(({ name }) => name),
        );
        assert.equal(
          got.toSorted((a, b) => byName(a.name) - byName(b.name)),
          expected,
        );
        if (!isPlaced) return;
        const inFile = entries
          .filter((each) => storages.includes(each))
          .map(({ name }) => name.replace('a/data/', 't'));
        assert.equal(
          got.map(({ name }) => name),
          inFile,
        );
      };
      await check(() => openWeights(bytes), true);
      await withFiles({ 'w.pth': bytes }, () => check(() => openWeights('w.pth'), true));
      await check(() => openWeights(hostileChunks(bytes, [11])), false);
      await check(() => openWeights(new Blob([bytes]).stream()), false);
      await check(() => openWeights(new Blob([bytes])), false);
    });
  }
}

test('an archive without a folder is read too', async () => {
  const entries = [{ ...pkl, name: 'data.pkl' }, ...storages.map((each, i) => ({ ...each, name: `data/${i}` }))];
  assert.equal((await read(zipFile(entries))).length, 12);
  assert.equal((await read(hostileChunks(zipFile(entries), [11]))).length, 12);
});

test('big-endian values, said anywhere if the file lies still, and before storages in a stream', async () => {
  const swapped = values.slice();
  for (let at = 0; at < swapped.length; at += 4) swapped.subarray(at, at + 4).reverse();
  const small = entry('data.pkl', pickle(one(good)));
  const order = entry('byteorder', utf8('big'));
  const late = zipFile([small, entry('data/0', swapped), order]);
  assert.equal((await read(late))[0]?.bytes, values);
  assert.is(
    await failure(read(hostileChunks(late, [50]))),
    'weights: expected a/byteorder before the storages of a stream, got it after; give the file itself.',
  );
  const early = zipFile([order, entry('data/0', swapped), small]);
  assert.equal((await read(early))[0]?.bytes, values);
  assert.equal((await read(hostileChunks(early, [50])))[0]?.bytes, values);
});

test('what a stream would have to hold has an end', async () => {
  const bytes = zipFile([entry('data/0', values, { bytes: 2 ** 30 + 1 }), entry('data.pkl', pickle(one(good)))]);
  assert.is(
    await failure(read(hostileChunks(bytes, [50]))),
    "weights: expected data.pkl, and storages in PyTorch's order, in a stream, of which 1073741824 bytes are held, " +
      'got a/data/0 before; give the file itself.',
  );
});

test('entries that lie in each other are refused', async () => {
  // The second storage's place is within the first one, where a local header of its own stands.
  const inner = concat(utf8('PK'), op(3, 4), le(20, 2), new Uint8Array(12), le(8, 4), le(8, 4), le(8, 2), le(0, 2));
  const outer = concat(inner, utf8('a/data/1'), pattern(26));
  const two = dictionary({
    x: tensor(storage('0', outer.length / 4), 0, [2], [1]),
    y: tensor(storage('1', 2), 0, [2], [1]),
  });
  const first = entry('data.pkl', pickle(two));
  // Headers of 30 bytes and names of 10 and 8 lie before.
  const start = 30 + 10 + first.data.length + 30 + 8;
  const entries = [first, entry('data/0', outer), entry('data/1', pattern(8), { central: { at: start } })];
  assert.match(
    await failure(read(zipFile(entries))),
    /^weights: a\/data\/0: expected its end at most \d+ bytes in, got it/,
  );
});

test.run();
