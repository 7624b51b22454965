/** PyTorch archives: the forms that zip files have, and those that are refused. */

import { test } from 'uvu';
import * as assert from 'uvu/assert';
import {
  descriptor,
  type Entry,
  entry,
  good,
  HAS_DESCRIPTOR,
  instance,
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

const pkl = entry('data.pkl', pickle(one(good)));
const zero = entry('data/0', values);
/** As TorchScript pickles a module: an instance of a class of its own, whose attributes are tensors. */
const script = entry('data.pkl', pickle(instance('__torch__', 'Net', one(good))));
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
    for (const isWide of [false, true]) {
      const bytes = zipFile(named, 'a comment', isWide);
      assert.equal(await read(hostileChunks(bytes, [11])), expected);
      assert.equal(await read(bytes), expected);
    }
  }
});

type Message = string | RegExp;

const npz =
  "weights: expected a PyTorch checkpoint, got an archive of NumPy's arrays, .npz (make tensors of them, and torch.save " +
  'them under their names).';
const READ = '';

/** [the fault, entries, what is said of a file, and of a stream if that is another message]; READ if it is none. */
const archives: [fault: string, Entry[], file: Message, stream?: Message][] = [
  ['no entries', [], /^weights: expected safetensors, .+, got something else\.$/],
  ['other entries', [{ name: 'weights.npy', data: values }], npz],
  [
    'unknown entries',
    [entry('x', values), entry('y', values)],
    'weights: expected a ZIP archive of PyTorch, which has data.pkl in it, got one of "a/x" or "a/y".',
  ],
  [
    'an encrypted entry',
    [{ ...pkl, flags: 1 }],
    'weights: a/data.pkl: expected an entry as it is, got an encrypted one.',
  ],
  [
    'a compressed storage',
    [pkl, { ...zero, method: 8 }],
    'weights: a/data/0: expected a stored entry, as PyTorch writes, got one compressed by method 8.',
  ],
  ['something compressed beside', [pkl, zero, { ...version, method: 8 }], READ],
  [
    'a pickle that ends early',
    [{ ...pkl, data: concat(pkl.data, op(0)) }, zero],
    'weights: a/data.pkl: expected its end behind its value, got more.',
    /^weights: a\/data\.pkl: expected \d+ bytes, got \d+ in its header\.$/,
  ],
  // The directory is right.
  ['a lying header', [pkl, { ...zero, bytes: 396 }], READ, 'weights: a/data/0: expected 400 bytes, got 396.'],
  ['a storage missing', [pkl, unused], 'weights: expected storage 0, got no such entry.'],
  ['a storage twice', [pkl, zero, zero], 'weights: a/data/0: expected every entry once, got it twice.'],
  [
    'a lying descriptor',
    [pkl, { ...zero, flags: HAS_DESCRIPTOR, bytes: 0, descriptor: descriptor(399) }],
    READ,
    'weights: a/data/0: expected 400 bytes, as its data descriptor says, got another number or none.',
  ],
  [
    'a descriptor missing',
    [pkl, { ...zero, flags: HAS_DESCRIPTOR, bytes: 0 }],
    READ,
    'weights: a/data/0: expected 400 bytes, as its data descriptor says, got another number or none.',
  ],
  [
    'an end that is not found',
    [pkl, zero, unused, { ...version, flags: HAS_DESCRIPTOR, bytes: 0 }],
    READ,
    'weights: a/version: expected its end in 65536 bytes, since a stream does not tell it before, got none.',
  ],
  [
    'another size in the directory',
    [pkl, { ...zero, central: { bytes: 4 } }],
    'weights: a/data/0: expected 400 bytes, got 4.',
    /^weights: a\/data\/0: expected the central directory to agree with the entries, got 4 bytes at \d+, \d+ bytes in\.$/,
  ],
  [
    'another name there',
    [pkl, { ...zero, central: { name: 'a/data/1' } }],
    'weights: expected storage 0, got no such entry.',
    /^weights: a\/data\/1: expected the central directory to agree/,
  ],
  [
    'another place there',
    [pkl, { ...zero, central: { at: 0 } }],
    'weights: a/data/0: expected its header 0 bytes in, got "a/data.pkl".',
    /^weights: a\/data\/0: expected the central directory to agree/,
  ],
  [
    'a place beyond all there',
    [pkl, { ...zero, central: { at: 2 ** 31 } }],
    'weights: a/data/0: expected a place before the directory, got 2147483648 bytes in.',
    /^weights: a\/data\/0: expected the central directory to agree/,
  ],
  [
    'no mention there',
    [pkl, { ...zero, central: undefined }],
    'weights: expected storage 0, got no such entry.',
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
    /^weights: byteorder: expected little or big, got "/,
    'weights: a/byteorder: expected at most 16 bytes, got 17.',
  ],
  [
    'less than its pickle says',
    [{ ...pkl, data: pickle(one(tensor(storage('0', 1e6), 0, [1], [1]))) }, zero],
    'weights: a/data/0: expected 4000000 bytes, got 400.',
  ],
];

for (const [fault, entries, ofFile, ofStream = ofFile] of archives) {
  test(`an archive with ${fault}: as a file, and as a stream`, async () => {
    const bytes = zipFile(entries);
    for (const [source, expected] of [
      [bytes, ofFile],
      [hostileChunks(bytes, [50]), ofStream],
    ] as const) {
      if (expected === READ) assert.equal((await read(source))[0]?.bytes, values);
      else if (typeof expected === 'string') assert.is(await failure(read(source)), expected);
      else assert.match(await failure(read(source)), expected);
    }
  });
}

/** [what it is, names of entries, what is said] */
const impostors: [string, string[], RegExp][] = [
  ['TorchScript', ['data.pkl', 'code/__torch__.py', 'constants.pkl', 'data/0'], /got a TorchScript archive \(save /],
  ['an exported program', ['serialized_exported_program.json', 'version'], /got an exported program, \.pt2 \(save /],
  ['an exported program of PyTorch 2.8', ['archive_format', 'models/model.json'], /got an exported program, \.pt2/],
];

for (const [what, names, expected] of impostors) {
  test(`${what} is refused by name`, async () => {
    const entries = names.map((name) => (name === 'data.pkl' ? script : entry(name, values)));
    assert.match(await failure(read(zipFile(entries))), expected);
    assert.match(await failure(read(hostileChunks(zipFile(entries), [50]))), expected);
  });
}

test('a .keras archive that somebody packed in another order is refused by name', async () => {
  const entries = ['notes.txt', 'metadata.json', 'config.json', 'model.weights.h5'].map((name) => ({
    name,
    data: values,
  }));
  for (const source of [zipFile(entries), hostileChunks(zipFile(entries), [50])]) {
    assert.match(
      await failure(read(source)),
      /got a \.keras archive whose entries are not in Keras's order \(save it again: .+\)\.$/,
    );
  }
});

test.run();
