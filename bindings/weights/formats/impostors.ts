/** What people have instead of weights. Fetched when such a file comes. */

import { ResnetError } from '../../../models/errors.js';
import { either, shown } from '../../util/messages.js';
import type { Format } from '../types.js';
import { bytesAt, textStart } from './sniff.js';

const isBetween = (byte: number | undefined, least: number, most: number): boolean =>
  byte !== undefined && byte >= least && byte <= most;

/** Any other pickle of protocol 2 or later, which says its protocol and goes on with a frame, a list, a name or so. */
const isPickle = (head: Uint8Array): boolean =>
  head[0] === 0x80 &&
  isBetween(head[1], 2, 5) &&
  /[cC}\]()XKMJ.\x8a\x8c\x8f\x95]/.test(String.fromCharCode(head[2] ?? 0));

/** A pickle of protocol 0 or 1, which is text: a class, or what begins a dictionary or a list. */
const OLD_PICKLE = /^(c[\w.]+\n\w+\n|\([dlt]p?\d*\n|\}q|\]q)/;

const isNumpy = (head: Uint8Array): boolean => bytesAt(head, 0, [0x93, 0x4e, 0x55, 0x4d, 0x50, 0x59]);

const isGguf = (head: Uint8Array): boolean => bytesAt(head, 0, [0x47, 0x47, 0x55, 0x46]);

const isTflite = (head: Uint8Array): boolean => bytesAt(head, 4, [0x54, 0x46, 0x4c, 0x33]);

/** As ONNX (sniff.ts), but with a description (field 2) that begins with the model's inputs. */
const isCoreMl = (head: Uint8Array): boolean =>
  head[0] === 8 && isBetween(head[1], 1, 20) && head[2] === 0x12 && [4, 5].some((at) => head[at] === 0x0a);

/** A protocol buffer of version 1 with graphs in it. */
const isSavedModel = (head: Uint8Array): boolean => bytesAt(head, 0, [8, 1, 0x12]);

const isGzip = (head: Uint8Array): boolean => bytesAt(head, 0, [0x1f, 0x8b]);

/** zlib, bzip2, xz, Zstandard, 7z, RAR. */
const isPacked = (head: Uint8Array): boolean =>
  (head[0] === 0x78 && [0x01, 0x5e, 0x9c, 0xda].includes(head[1] ?? 0)) ||
  [
    [0x42, 0x5a, 0x68],
    [0xfd, 0x37, 0x7a, 0x58, 0x5a],
    [0x28, 0xb5, 0x2f, 0xfd],
    [0x37, 0x7a, 0xbc, 0xaf],
    [0x52, 0x61, 0x72, 0x21],
  ].some((bytes) => bytesAt(head, 0, bytes));

const isTar = (head: Uint8Array): boolean => bytesAt(head, 257, [0x75, 0x73, 0x74, 0x61, 0x72]);

/** JPEG, PNG, GIF, or RIFF as WebP is. */
const isPicture = (head: Uint8Array): boolean =>
  [
    [0xff, 0xd8, 0xff],
    [0x89, 0x50, 0x4e, 0x47],
    [0x47, 0x49, 0x46, 0x38],
    [0x52, 0x49, 0x46, 0x46],
  ].some((bytes) => bytesAt(head, 0, bytes));

/** What people have instead of weights, with what to do. ZIP archives have a table of their own (pytorch/impostors.ts). */
const IMPOSTORS: readonly { readonly is: (head: Uint8Array, text: string) => boolean; readonly what: string }[] = [
  {
    is: (_, text) => text.startsWith('version https://git-lfs'),
    what: 'a Git LFS pointer ("git lfs pull" fetches the file itself)',
  },
  {
    is: (_, text) => text.startsWith('<'),
    what: "an HTML or XML page (a server's answer in the file's place; the hub has files under resolve/, not blob/)",
  },
  { is: isCoreMl, what: 'a Core ML model (save the weights of the PyTorch model that it was made of)' },
  { is: isTflite, what: 'a TensorFlow Lite model (save the Keras model that it was made of as HDF5)' },
  { is: isSavedModel, what: "TensorFlow's SavedModel (load it with Keras, and save it as HDF5)" },
  { is: isGguf, what: 'a GGUF file, which holds language models' },
  { is: isNumpy, what: "one of NumPy's arrays, .npy (make tensors of all arrays, and torch.save them by their names)" },
  {
    is: (head, text) => isPickle(head) || OLD_PICKLE.test(text),
    what: 'a Python pickle that torch.save did not write (scikit-learn and joblib write such; torch.save a state_dict)',
  },
  { is: isGzip, what: 'a gzip archive (unpack it)' },
  { is: isPacked, what: 'a compressed file (unpack it; joblib writes such, which hold no network)' },
  { is: isTar, what: 'a tar archive (unpack it)' },
  { is: isPicture, what: 'a picture' },
  { is: (_, text) => text === '', what: 'an empty file' },
];

/** Makes the error that tells what a file is that no reader takes, with what to do. */
export const refusal = (file: string, formats: readonly Pick<Format, 'name'>[], head: Uint8Array): ResnetError =>
  new ResnetError('weights', `${file}: expected ${either(formats.map(({ name }) => name))}, got ${impostor(head)}.`);

function impostor(head: Uint8Array): string {
  const text = textStart(head);
  const what = IMPOSTORS.find(({ is }) => is(head, text))?.what;
  if (what) return what;
  return TEXT.test(text) ? `a text that begins with ${shown(text.slice(0, SHOWN))}` : 'something else';
}

/** Letters, spaces and signs alone, as a server's refusal has them. */
const TEXT = /^[\x20-\x7e\s]+$/;
const SHOWN = 60;
