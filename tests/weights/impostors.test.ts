/** Files that are no weights are called by their names, with what to do. */

import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { openWeights } from '../../bindings/weights/open.js';
import { concat, failure, hostileChunks, pattern, utf8 } from '../support/weight-files.js';

const bytes = (...head: number[]) => concat(Uint8Array.from(head), pattern(600));

/** [what it is, its bytes, how the message goes on after `got`] */
const impostors: [what: string, file: Uint8Array, got: RegExp][] = [
  ['a SavedModel', bytes(8, 1, 0x12), /TensorFlow's SavedModel \(/],
  [
    'TensorFlow Lite',
    concat(bytes(28, 0, 0, 0).subarray(0, 4), utf8('TFL3'), pattern(99)),
    /a TensorFlow Lite model \(/,
  ],
  ['GGUF', concat(utf8('GGUF'), pattern(99)), /a GGUF file, /],
  ['an array', concat(bytes(0x93).subarray(0, 1), utf8('NUMPY'), pattern(99)), /NumPy's arrays, \.npy \(/],
  [
    'a pickle of protocol 3',
    concat(bytes(0x80, 3).subarray(0, 2), utf8('csklearn.svm\nSVC\n')),
    /a Python pickle .+ \(/,
  ],
  ['a pickle of protocol 5', bytes(0x80, 5, 0x95, 9), /a Python pickle .+ \(/],
  ['a pickle of protocol 0', utf8('ccopy_reg\n_reconstructor\np0\n(csklearn.svm\n'), /a Python pickle .+ \(/],
  ['a dictionary of protocol 0', utf8("(dp0\nS'a'\np1\n"), /a Python pickle .+ \(/],
  ['a model of joblib', concat(bytes(0x78, 0x9c), pattern(99)), /a compressed file \(unpack it; joblib/],
  ['bzip2', utf8('BZh91AY&SY'), /a compressed file \(/],
  ['xz', bytes(0xfd, 0x37, 0x7a, 0x58, 0x5a, 0), /a compressed file \(/],
  ['Core ML', bytes(8, 4, 0x12, 60, 0x0a, 10), /a Core ML model \(/],
  [
    'a refusal',
    utf8('Access to model x is restricted.\n'),
    /a text that begins with "Access to model x is restricted\./,
  ],
  ['a gzip archive', bytes(0x1f, 0x8b, 8), /a gzip archive \(unpack it\)/],
  ['a tar archive', concat(utf8(`${'x'.repeat(257)}ustar`), pattern(300)), /a tar archive \(unpack it\)/],
  ['a JPEG', bytes(0xff, 0xd8, 0xff), /a picture/],
  ['a PNG', bytes(0x89, 0x50, 0x4e, 0x47), /a picture/],
  ['a web page', utf8('<!doctype html><title>Log in</title>'), /an HTML or XML page \(.+resolve/],
  ['a pointer', utf8('version https://git-lfs.github.com/spec/v1\n'), /a Git LFS pointer \("git lfs pull" fetches /],
  ['nothing', new Uint8Array(0), /an empty file/],
  ['other bytes', bytes(8, 2, 0x12), /something else/],
];

for (const [what, file, got] of impostors) {
  test(`${what} is not taken for weights`, async () => {
    for (const source of [file, hostileChunks(file, [7])]) {
      assert.match(
        await failure(openWeights(source)),
        new RegExp(`^weights: expected (safetensors, .+|an ONNX model), got (one of )?${got.source}.*\\.$`),
      );
    }
  });
}

test('JSON that is no model is told apart', async () => {
  assert.match(await failure(openWeights(utf8('{"a": 1}'))), /got other JSON\.$/);
});

test.run();
