/** From what users say of a preprocessing to the whole of it, and what is refused. */

import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { ResnetError } from '../../models/errors.js';
import {
  type Preprocessing,
  type PreprocessingLike,
  type PreprocessingName,
  type PreprocessingOptions,
  preprocessings,
} from '../../models/index.js';
import { resolvePreprocessing } from '../../models/resolve-preprocessing.js';

const RGB = { h: 224, w: 224, c: 3 };
const GREY = { h: 28, w: 28, c: 1 };
const TALL = { h: 256, w: 128, c: 3 };

const { torch, caffe, tf } = preprocessings;

test('a name is that preprocessing at the input of its size', () => {
  const names = Object.keys(preprocessings) as PreprocessingName[];
  assert.ok(names.length >= 4);
  for (const name of names) {
    const whole: Preprocessing = preprocessings[name];
    const side = whole.crop as number;
    const input = { h: side, w: side, c: 3 };
    assert.equal(resolvePreprocessing(name, input), whole);
    assert.equal(resolvePreprocessing({ base: name }, input), whole);
    assert.equal(resolvePreprocessing({ base: whole }, input), whole);
    assert.equal(resolvePreprocessing(whole, input), whole);
  }
  assert.equal(resolvePreprocessing({}, RGB), torch);
  assert.equal(resolvePreprocessing({}, RGB, 'caffe'), caffe);
});

test('what is given holds, the rest is the base; what is given as undefined is not given', () => {
  assert.equal(resolvePreprocessing({ interpolation: 'bicubic', base: 'tf' }, RGB), {
    ...tf,
    interpolation: 'bicubic',
  });
  assert.equal(resolvePreprocessing({ transparency: 'drop', mean: undefined }, RGB), {
    ...torch,
    transparency: 'drop',
  });
  assert.equal(resolvePreprocessing({ mean: 0.5, std: [0.1, 0.2, 0.3] }, RGB), {
    ...torch,
    mean: [0.5, 0.5, 0.5],
    std: [0.1, 0.2, 0.3],
  });
  const own = { ...caffe, resize: 232, interpolation: 'lanczos' as const, transparency: 'drop' as const };
  assert.equal(resolvePreprocessing({ base: own, mean: 5, std: 1 }, RGB), { ...own, mean: [5, 5, 5] });
});

test('sizes: exact, by the share that the crop shows, or those that are usual for the input', () => {
  const sizes = (given: PreprocessingOptions, input: { h: number; w: number; c: number }) => {
    const { resize, crop } = resolvePreprocessing(given, input);
    return [resize, crop];
  };
  const square = (side: number) => ({ h: side, w: side, c: 3 });
  assert.equal(sizes({}, square(32)), [32, 32]);
  assert.equal(sizes({}, square(64)), [64, 64]);
  assert.equal(sizes({}, square(65)), [74, 65]);
  assert.equal(sizes({}, square(288)), [329, 288]);
  assert.equal(sizes({ size: 288 }, square(288)), [329, 288]);
  assert.equal(sizes({ size: [288, 288], resize: 300 }, square(288)), [300, 288]);
  assert.equal(sizes({ resize: [240, 250], crop: [224, 224] }, RGB), [[240, 250], 224]);
  assert.equal(sizes({ resize: [224, 224] }, RGB), [[224, 224], 224]);
  // timm: 235 = ⌊224 / 0.95⌋, 248 = ⌊224 / 0.9⌋.
  assert.equal(sizes({ cropPct: 0.95 }, RGB), [235, 224]);
  assert.equal(sizes({ cropPct: 0.9, crop: 224 }, RGB), [248, 224]);
  assert.equal(sizes({ cropPct: 1 }, RGB), [224, 224]);
  assert.equal(sizes({}, TALL), [293, [256, 128]]);
  assert.equal(sizes({ resize: [256, 128] }, TALL), [
    [256, 128],
    [256, 128],
  ]);
  assert.equal(sizes({}, { h: 32, w: 48, c: 3 }), [48, [32, 48]]);
});

test("a base's sizes count if its crop is the network's input, and no size is given", () => {
  const set = { ...torch, resize: 232 };
  const resizeOf = (given: PreprocessingOptions, side = 224) =>
    resolvePreprocessing({ base: set, ...given }, { h: side, w: side, c: 3 }).resize;
  assert.is(resizeOf({}), 232);
  assert.is(resizeOf({ crop: 224 }), 232);
  assert.is(resizeOf({ cropPct: 1 }), 224);
  assert.is(resizeOf({ size: 224 }), 256);
  assert.is(resizeOf({}, 288), 329);
});

test("a base's means and deviations stay with their colours when the order changes", () => {
  const { mean, std, channelOrder } = resolvePreprocessing({ channelOrder: 'BGR' }, RGB);
  assert.equal([mean, std, channelOrder], [[0.406, 0.456, 0.485], [0.225, 0.224, 0.229], 'BGR']);
  const rgb = resolvePreprocessing({ base: 'caffe', channelOrder: 'RGB' }, RGB);
  assert.equal(rgb.mean, [123.68, 116.779, 103.939]);
  const own = resolvePreprocessing({ base: 'caffe', channelOrder: 'RGB', mean: [1, 2, 3] }, RGB);
  assert.equal(own.mean, [1, 2, 3]);
});

test('inputs of one channel are grey', () => {
  const mnist = resolvePreprocessing({ mean: 0.1307, std: [0.3081] }, GREY);
  assert.equal(mnist, { ...torch, resize: 28, crop: 28, channelOrder: 'grey', mean: [0.1307], std: [0.3081] });
  const { mean, std } = resolvePreprocessing('tf', GREY);
  assert.equal([mean, std], [[127.5], [127.5]]);
});

/** Each with the one sentence that refuses it. */
const refused: readonly (readonly [unknown, string, { h: number; w: number; c: number }?])[] = [
  [{ std: [0, 1, 1] }, 'preprocessing: expected std to be above 0, got 0.'],
  [{ std: -1 }, 'preprocessing: expected std to be above 0, got -1.'],
  [{ std: [1, 1] }, 'preprocessing: expected std to be 3 numbers, one per channel, got 2.'],
  [{ std: [] }, 'preprocessing: expected std to be 3 numbers, one per channel, got 0.'],
  // biome-ignore lint/suspicious/noSparseArray: this is the case.
  [{ std: [1, , 1] }, 'preprocessing: expected std to be above 0, got undefined.'],
  [{ mean: '.5' }, 'preprocessing: expected mean to be a number, or an array of one per channel, got ".5".'],
  [{ mean: ['.5', 1, 1] }, 'preprocessing: expected mean to be a finite number, got ".5".'],
  [{ mean: Number.NaN }, 'preprocessing: expected mean to be a finite number, got NaN.'],
  [{ mean: [[1, 2, 3]] }, 'preprocessing: expected mean to be a finite number, got [1,2,3].'],
  [
    { mean: [103.939, 116.779, 123.68], std: 1 },
    "preprocessing: expected scale with a mean of 103.939, got none; the base's makes 0 … 1 of bytes.",
  ],
  [
    { scale: 1, mean: [103.939, 116.779, 123.68] },
    "preprocessing: expected mean and std with a scale of 1, got no std; the base's belong to 0.00392156862745098.",
  ],
  [
    { scale: 1 },
    "preprocessing: expected mean and std with a scale of 1, got no mean; the base's belong to 0.00392156862745098.",
  ],
  [{ scale: 0 }, 'preprocessing: expected scale to be a number other than 0, got 0.'],
  [{ scale: null }, 'preprocessing: expected scale to be a finite number, got null.'],
  [{ scale: Number.POSITIVE_INFINITY }, 'preprocessing: expected scale to be a finite number, got Infinity.'],
  [{ mean: 0, std: 1e-40 }, 'preprocessing: expected values that float32 holds, got 1e+40 for a byte of 255.'],
  [{ resize: 0 }, 'preprocessing: expected resize to be a whole number from 1, got 0.'],
  [{ resize: [224] }, 'preprocessing: expected resize to be [rows, columns], got [224].'],
  [{ resize: [224, 1.5] }, 'preprocessing: expected resize to be a whole number from 1, got 1.5.'],
  [{ crop: 2.5 }, 'preprocessing: expected crop to be a whole number from 1, got 2.5.'],
  [{ crop: '224' }, 'preprocessing: expected crop to be a whole number from 1, got "224".'],
  [{ crop: 225 }, "preprocessing: expected crop to be the network's input, 224x224, got 225x225."],
  [{ size: [256, 128] }, "preprocessing: expected size to be the network's input, 224x224, got 256x128."],
  [{ crop: [128, 256] }, "preprocessing: expected crop to be the network's input, 256x128, got 128x256.", TALL],
  [{ size: 224, crop: 224 }, 'preprocessing: expected size or crop, got both.'],
  [{ resize: 256, cropPct: 0.9 }, 'preprocessing: expected resize or cropPct, got both.'],
  [{ cropPct: 0 }, 'preprocessing: expected cropPct to be above 0 and up to 1, got 0.'],
  [{ cropPct: 87.5 }, 'preprocessing: expected cropPct to be above 0 and up to 1, got 87.5.'],
  [{ cropPct: Number.NaN }, 'preprocessing: expected cropPct to be above 0 and up to 1, got NaN.'],
  [
    { cropPct: 0.9 },
    'preprocessing: expected resize instead of cropPct for an input that is not square, 256x128.',
    TALL,
  ],
  [
    { interpolation: 'cubic' },
    'preprocessing: expected interpolation to be nearest, bilinear, bicubic, or lanczos, got cubic.',
  ],
  [{ transparency: 'black' }, 'preprocessing: expected transparency to be white or drop, got black.'],
  [{ channelOrder: 'GBR' }, 'preprocessing: expected channelOrder to be RGB, BGR, or grey, got GBR.'],
  [
    { channelOrder: 'grey' },
    'preprocessing: expected channelOrder to be RGB or BGR for an input of three channels, got grey.',
  ],
  [
    { channelOrder: 'RGB', mean: 0, std: 1 },
    'preprocessing: expected channelOrder to be grey for an input of one channel, got RGB.',
    GREY,
  ],
  [{}, "preprocessing: expected mean for an input of one channel, got none; the base's is for three.", GREY],
  [{ mean: 0.5 }, "preprocessing: expected std for an input of one channel, got none; the base's is for three.", GREY],
  [{ mean: [1, 1, 1], std: 1 }, 'preprocessing: expected mean to be one number, one per channel, got 3.', GREY],
  [
    {},
    'preprocessing: expected a network whose input has 1 or 3 channels, got 4; give run its input.',
    { ...RGB, c: 4 },
  ],
  ['imagenet', 'preprocessing: expected one of torch, caffe, cifar, tf, raw, got imagenet; the closest is caffe.'],
  [{ base: 'Torch' }, 'preprocessing: expected one of torch, caffe, cifar, tf, raw, got Torch; the closest is torch.'],
  [{ base: { ...torch, std: undefined } }, 'preprocessing: expected a base with every field, got one without std.'],
  [{ base: { ...torch, std: [0, 1, 1] } }, 'preprocessing: expected std to be above 0, got 0.'],
  [
    { base: { ...torch, base: 'tf' } },
    'preprocessing.base: expected one of resize, crop, interpolation, transparency, channelOrder, scale, mean, std, got base; the closest is scale.',
  ],
  [null, 'preprocessing: expected one of torch, caffe, cifar, tf, raw, got null; the closest is tf.'],
  [[], 'preprocessing: expected one of torch, caffe, cifar, tf, raw, got ; the closest is tf.'],
];

const keys = 'base, size, resize, crop, cropPct, interpolation, transparency, channelOrder, scale, mean, std';
const unknown = [
  ['interpolaton', 'interpolation'],
  ['crop_pct', 'cropPct'],
  ['input_size', 'size'],
  ['toString', 'size'],
  ['__proto__x', 'crop'],
] as const;

for (const [given, sentence, input = RGB] of refused) {
  test(`refused: ${sentence}`, () => {
    assert.throws(
      () => resolvePreprocessing(given as PreprocessingLike, input),
      (error: Error) => {
        assert.is(error.message, sentence);
        return error instanceof ResnetError;
      },
    );
  });
}

for (const [key, closest] of unknown) {
  test(`a key that is unknown is refused with the closest: ${key}`, () => {
    assert.throws(
      () => resolvePreprocessing({ [key]: 1 } as PreprocessingLike, RGB),
      (error: Error) => {
        assert.is(error.message, `preprocessing: expected one of ${keys}, got ${key}; the closest is ${closest}.`);
        return error instanceof ResnetError;
      },
    );
  });
}

test.run();
