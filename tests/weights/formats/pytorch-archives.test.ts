/** PyTorch archives: the forms that zip files have, and those that are refused. */

import { test } from 'uvu';
import * as assert from 'uvu/assert';
import {
  descriptor,
  dictionary,
  type Entry,
  good,
  HAS_DESCRIPTOR,
  le,
  one,
  op,
  pickle,
  storage,
  tensor,
  values,
  zipFile,
} from '../../support/pickles.js';
import { concat, failure, hostileChunks, pattern, read, u64, utf8 } from '../../support/weight-files.js';

type Bytes = Uint8Array<ArrayBuffer>;

const entry = (name: string, content: Bytes, rest: Partial<Entry> = {}): Entry => ({
  name: `a/${name}`,
  data: content,
  ...rest,
});
const pkl = entry('data.pkl', pickle(one(good)));
const zero = entry('data/0', values);
const unused = entry('data/7', concat(descriptor(3), pattern(70_000)));
const version = entry('version', utf8('3\n'));

test('archives: sizes in headers or behind, of 32 or 64 bits, other entries, a comment', async () => {
  const expected = [{ name: 'a', dtype: 'F32', shape: [100], bytes: values }];
  const behind = (of: Entry, width: 4 | 8): Entry => ({
    ...of,
    flags: HAS_DESCRIPTOR,
    bytes: 0,
    descriptor: descriptor(of.data.length, width),
    central: { bytes: of.data.length },
  });
  const wide = (of: Entry): Entry => ({
    ...of,
    bytes: 0xffffffff,
    extra: concat(le(0x4246, 2), le(2, 2), pattern(2), le(1, 2), le(16, 2), u64(of.data.length), u64(of.data.length)),
    central: { bytes: of.data.length },
  });
  const empty = entry('empty', op(), { flags: HAS_DESCRIPTOR });
  const confusing = behind(entry('odd', concat(descriptor(99), utf8('PK'), op(7, 8))), 4);
  for (const entries of [
    [pkl, zero, version],
    [pkl, zero],
    [behind(pkl, 4), behind(zero, 4), behind(version, 4)],
    [behind(pkl, 8), behind(zero, 8), behind(version, 8)],
    [wide(pkl), wide(zero), version],
    [pkl, version, empty, confusing, zero, unused, empty],
  ]) {
    const named = entries.map((of, i) => (of === empty ? { ...of, name: `a/empty${i}` } : of));
    assert.equal(await read(hostileChunks(zipFile(named, 'a comment'), [11])), expected);
  }
});

/** [the fault, entries, the whole message or its form] */
const archives: [string, Entry[], string | RegExp][] = [
  ['no entries', [], /^weights: expected safetensors, .+, got something else\.$/],
  [
    'other entries',
    [{ name: 'weights.npy', data: values }],
    'weights: expected a ZIP archive of PyTorch, which begins with data.pkl, got one that begins with "weights.npy".',
  ],
  [
    'an encrypted entry',
    [{ ...pkl, flags: 1 }],
    'weights: a/data.pkl: expected an entry as it is, got an encrypted one.',
  ],
  [
    'a pickle that ends early',
    [{ ...pkl, data: concat(pkl.data, op(0)) }],
    /^weights: a\/data\.pkl: expected \d+ bytes, got \d+ in its header\.$/,
  ],
  ['a lying header', [pkl, { ...zero, bytes: 396 }], 'weights: data/0: expected 400 bytes, got 396.'],
  ['a storage missing', [pkl, unused], 'weights: storage 0 is missing.'],
  [
    'a storage twice',
    [pkl, zero, zero],
    "weights: data/0: expected storages once, in torch.save's order, got another.",
  ],
  [
    'a lying descriptor',
    [pkl, { ...zero, flags: HAS_DESCRIPTOR, bytes: 0, descriptor: descriptor(399) }],
    'weights: a/data/0: expected 400 bytes, as its data descriptor says, got another number or none.',
  ],
  [
    'a descriptor missing',
    [pkl, { ...zero, flags: HAS_DESCRIPTOR, bytes: 0 }],
    'weights: a/data/0: expected 400 bytes, as its data descriptor says, got another number or none.',
  ],
  [
    'an end that is not found',
    [pkl, unused, { ...version, flags: HAS_DESCRIPTOR, bytes: 0 }],
    'weights: a/version: expected its end in 65536 bytes, got none.',
  ],
  [
    'another size in the directory',
    [pkl, { ...zero, central: { bytes: 4 } }],
    /^weights: a\/data\/0: expected the central directory to agree with the entries, got 4 bytes at \d+, \d+ bytes in\.$/,
  ],
  [
    'another name there',
    [pkl, { ...zero, central: { name: 'a/data/1' } }],
    /^weights: a\/data\/1: expected the central directory to agree/,
  ],
  [
    'another place there',
    [pkl, { ...zero, central: { at: 0 } }],
    /^weights: a\/data\/0: expected the central directory to agree/,
  ],
  [
    'no mention there',
    [pkl, { ...zero, central: undefined }],
    'weights: a/data/0: expected to be in the central directory, got no mention there.',
  ],
  [
    'a byte order of its own',
    [pkl, entry('byteorder', utf8('mixed')), zero],
    'weights: byteorder: expected little or big, got "mixed".',
  ],
  [
    'a byte order too long',
    [pkl, entry('byteorder', pattern(17)), zero],
    'weights: a/byteorder: expected at most 16 bytes, got 17.',
  ],
  [
    'a byte order too late',
    [pkl, zero, entry('byteorder', utf8('big'))],
    'weights: byteorder comes after storages, whose values depend on it.',
  ],
  [
    'less than its pickle says',
    [{ ...pkl, data: pickle(one(tensor(storage('0', 1e6), 0, [1], [1]))) }, zero],
    /^weights: expected 4000000 bytes of storages, got \d+\.$/,
  ],
];

for (const [fault, entries, expected] of archives) {
  test(`an archive with ${fault} is refused`, async () => {
    const message = await failure(read(zipFile(entries)));
    if (typeof expected === 'string') assert.is(message, expected);
    else assert.match(message, expected);
  });
}

test('storages in another order than torch.save has are refused', async () => {
  const two = dictionary({
    a: good,
    b: tensor(storage('10', 2), 0, [2], [1]),
    c: tensor(storage('2', 1), 0, [1], [1]),
  });
  const entries = [entry('data.pkl', pickle(two)), zero, entry('data/10', pattern(8)), entry('data/2', pattern(4))];
  assert.equal(
    (await read(zipFile(entries))).map(({ name }) => name),
    ['a', 'b', 'c'],
  );
  const message = await failure(read(zipFile([...entries.slice(0, 2), ...entries.slice(2).reverse()])));
  assert.is(message, "weights: data/2: expected storages once, in torch.save's order, got another.");
});

test.run();
