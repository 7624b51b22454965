/** From what users say of a preprocessing to the whole of it for one network, every value checked. */

import { among, type Check, fail, finite, whole, wholePair } from './check.js';
import { ResnetError } from './errors.js';
import { lookup } from './lookup.js';
import {
  type ChannelOrder,
  type Preprocessing,
  type PreprocessingLike,
  type PreprocessingName,
  type PreprocessingOptions,
  pairOf,
  preprocessings,
  usualResize,
} from './preprocessing.js';
import type { Pair, Shape } from './shape.js';

const SUBJECT = 'preprocessing';

const side =
  (what: string): Check =>
  (value, subject) =>
    (Array.isArray(value) ? wholePair(what) : whole(what))(value, subject);

const nonZero =
  (what: string): Check =>
  (value, subject) => {
    finite(what)(value, subject);
    if (value === 0) fail(subject, what, 'a number other than 0', value);
  };

/** One value as a list of it; a list with its holes as undefined. */
const listed = <T>(value: T | readonly T[]): T[] => (Array.isArray(value) ? Array.from(value) : [value as T]);

const numbers =
  (what: string, isPositive: boolean): Check =>
  (value, subject) => {
    if (typeof value !== 'number' && !Array.isArray(value)) {
      fail(subject, what, 'a number, or an array of one per channel', value);
    }
    for (const each of listed(value)) finite(what, isPositive)(each, subject);
  };

const share: Check = (value, subject) => {
  if (typeof value !== 'number' || !(value > 0 && value <= 1)) {
    fail(subject, 'cropPct', 'above 0 and up to 1', value);
  }
};

const checks: { readonly [Key in keyof Required<PreprocessingOptions>]: Check } = {
  base: (value) => checkBase(value),
  size: side('size'),
  resize: side('resize'),
  crop: side('crop'),
  cropPct: share,
  interpolation: among('interpolation', ['nearest', 'bilinear', 'bicubic', 'lanczos']),
  transparency: among('transparency', ['white', 'drop']),
  channelOrder: among('channelOrder', ['RGB', 'BGR', 'grey']),
  scale: nonZero('scale'),
  mean: numbers('mean', false),
  std: numbers('std', true),
};

function checkFields(given: object): void {
  for (const [key, value] of Object.entries(given)) {
    const check = lookup(SUBJECT, checks, key);
    if (value !== undefined) check(value, SUBJECT);
  }
}

const isRecord = (value: unknown): value is object =>
  typeof value === 'object' && value !== null && !Array.isArray(value);

/** Refuses what is neither the name of a preprocessing nor a whole one. */
function checkBase(base: unknown): void {
  if (!isRecord(base)) {
    lookup(SUBJECT, preprocessings, base as string);
    return;
  }
  for (const key of Object.keys(base)) lookup(`${SUBJECT}.base`, preprocessings.torch, key);
  checkFields(base);
  const missing = Object.keys(preprocessings.torch).find((key) => (base as Record<string, unknown>)[key] === undefined);
  if (missing)
    throw new ResnetError('argument', `${SUBJECT}: expected a base with every field, got one without ${missing}.`);
}

/** The options that are given, every name and value checked as far as it can be without a network. */
function checkedOptions(given: PreprocessingLike): PreprocessingOptions {
  if (!isRecord(given)) {
    lookup(SUBJECT, preprocessings, given);
    return { base: given };
  }
  checkFields(given);
  for (const [one, other] of [
    ['size', 'crop'],
    ['resize', 'cropPct'],
  ] as const) {
    if (given[one] !== undefined && given[other] !== undefined) {
      throw new ResnetError('argument', `${SUBJECT}: expected ${one} or ${other}, got both.`);
    }
  }
  return given;
}

/** `resize` and `crop` for an input of h × w. */
function sizesOf(
  options: PreprocessingOptions,
  base: Preprocessing,
  { h, w }: Shape,
): Pick<Preprocessing, 'resize' | 'crop'> {
  const { size, cropPct } = options;
  const isFit = (given: number | Pair): boolean => pairOf(given)[0] === h && pairOf(given)[1] === w;
  for (const what of ['size', 'crop'] as const) {
    const given = options[what];
    if (given !== undefined && !isFit(given)) {
      const got = pairOf(given).join('x');
      throw new ResnetError(
        'argument',
        `${SUBJECT}: expected ${what} to be the network's input, ${h}x${w}, got ${got}.`,
      );
    }
  }
  if (cropPct !== undefined && h !== w) {
    throw new ResnetError(
      'argument',
      `${SUBJECT}: expected resize instead of cropPct for an input that is not square, ${h}x${w}.`,
    );
  }
  const longer = Math.max(h, w);
  const own = options.resize ?? (cropPct === undefined ? undefined : Math.floor(longer / cropPct));
  return {
    resize: own ?? (size === undefined && isFit(base.crop) ? base.resize : usualResize({ h, w })),
    crop: h === w ? h : [h, w],
  };
}

/** One number per channel. */
function perChannel(what: string, values: number | readonly number[], channels: number): number[] {
  if (typeof values === 'number') return Array<number>(channels).fill(values);
  if (values.length === channels) return [...values];
  const wanted = channels === 1 ? 'one number' : `${channels} numbers`;
  throw new ResnetError(
    'argument',
    `${SUBJECT}: expected ${what} to be ${wanted}, one per channel, got ${values.length}.`,
  );
}

function orderOf(order: ChannelOrder | undefined, base: Preprocessing, c: number): ChannelOrder {
  if (c !== 1 && c !== 3) {
    throw new ResnetError(
      'argument',
      `${SUBJECT}: expected a network whose input has 1 or 3 channels, got ${c}; give run its input.`,
    );
  }
  const wanted = order ?? (c === 1 ? 'grey' : base.channelOrder);
  if ((wanted === 'grey') === (c === 1)) return wanted;
  const fitting = c === 1 ? 'grey for an input of one channel' : 'RGB or BGR for an input of three channels';
  throw new ResnetError('argument', `${SUBJECT}: expected channelOrder to be ${fitting}, got ${wanted}.`);
}

/** Normalisation for an input of `c` channels. */
function normalisationOf(options: PreprocessingOptions, base: Preprocessing, c: number) {
  const channelOrder = orderOf(options.channelOrder, base, c);
  const valuesOf = (what: 'mean' | 'std'): number[] => {
    const own = options[what];
    if (own !== undefined) return perChannel(what, own, c);
    const usual = listed(base[what]);
    const [first] = usual;
    if (first !== undefined && usual.every((value) => value === first)) return perChannel(what, first, c);
    if (c === 1) {
      throw new ResnetError(
        'argument',
        `${SUBJECT}: expected ${what} for an input of one channel, got none; the base's is for three.`,
      );
    }
    // The base's numbers belong to colours, not to places.
    const values = perChannel(what, usual, c);
    return channelOrder === base.channelOrder ? values : values.reverse();
  };
  const { scale = base.scale } = options;
  if (scale !== base.scale && (options.mean === undefined || options.std === undefined)) {
    throw new ResnetError(
      'argument',
      `${SUBJECT}: expected mean and std with a scale of ${scale}, got ${options.mean === undefined ? 'no mean' : 'no std'}; the base's belong to ${base.scale}.`,
    );
  }
  const normalisation = { channelOrder, scale, mean: valuesOf('mean'), std: valuesOf('std') };
  checkRange(normalisation, options);
  return normalisation;
}

/** Refuses a mean that only another scale could have, and values beyond float32. */
function checkRange(
  { scale, mean, std }: Pick<Preprocessing, 'scale' | 'mean' | 'std'>,
  options: PreprocessingOptions,
): void {
  const far = mean.find((value) => value < 0 || value > 255 * scale);
  if (options.scale === undefined && options.mean !== undefined && far !== undefined) {
    throw new ResnetError(
      'argument',
      `${SUBJECT}: expected scale with a mean of ${far}, got none; the base's makes 0 … ${255 * scale} of bytes.`,
    );
  }
  mean.forEach((value, c) => {
    for (const byte of [0, 255]) {
      const result = (byte * scale - value) / (std[c] as number);
      if (!Number.isFinite(Math.fround(result))) {
        throw new ResnetError(
          'argument',
          `${SUBJECT}: expected values that float32 holds, got ${result} for a byte of ${byte}.`,
        );
      }
    }
  });
}

/**
 * The whole preprocessing for a network whose input is `input`. `fallback`: the base if none is given. Throws one
 * sentence if an option is unknown (it lists them, and the closest), if a value is out of range, or if sizes or channels
 * do not fit the input.
 */
export function resolvePreprocessing(
  given: PreprocessingLike,
  input: Shape,
  fallback: PreprocessingName = 'torch',
): Preprocessing {
  const options = checkedOptions(given);
  const { base = fallback } = options;
  const whole: Preprocessing = typeof base === 'string' ? preprocessings[base] : base;
  return {
    ...sizesOf(options, whole, input),
    interpolation: options.interpolation ?? whole.interpolation,
    transparency: options.transparency ?? whole.transparency,
    ...normalisationOf(options, whole, input.c),
  };
}
