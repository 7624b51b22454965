/** Options that several commands share, and the parsers of their values. */

import { type Command, InvalidArgumentError, Option } from 'commander';
import {
  type Binary,
  type Interpolation,
  type LoadOptions,
  networkNames,
  type OutputActivation,
  type PreprocessingName,
  type PreprocessingOptions,
  preprocessings,
  pretrained,
} from '../bindings/index.node.js';
import { readLabels } from './labels.js';

/** Parses a whole number from 1. */
export function positive(text: string): number {
  const value = Number(text);
  if (!/^\d+$/.test(text) || value < 1 || !Number.isSafeInteger(value)) {
    throw new InvalidArgumentError('Expected a whole number from 1.');
  }
  return value;
}

/** Parses the number of a port. */
export function port(text: string): number {
  const value = Number(text);
  if (/^\d+$/.test(text) && value <= 65_535) return value;
  throw new InvalidArgumentError('Expected a whole number from 0 to 65535.');
}

/** What there is to choose from, and who lists it. */
const named = (what: string, names: readonly string[], list: string) => (text: string) => {
  if (names.includes(text)) return text;
  throw new InvalidArgumentError(`Expected ${what}; resnet-wasm ${list} lists them.`);
};

export const networkName = named('a network', networkNames(), 'models');

export const pretrainedName = named('a network with weights, or weights by name', pretrained(), 'pull --help');

export const pretrainedOrNetwork = named(
  'a network, or weights by name',
  [...networkNames(), ...pretrained()],
  'models',
);

const WEIGHTS_HELP =
  'path or URL of weights, or - for stdin: safetensors, PyTorch, ONNX, Keras (.h5) or TensorFlow.js (model.json)';

/** Makes the option that chooses among the tensors of a weight file. */
export const prefixOption = (): Option =>
  new Option('--prefix <name>', 'what the names of the tensors to read begin with: student, state_dict_ema');

const BINARIES: readonly Binary[] = ['baseline', 'relaxed', 'wide'];

/** The options of a command that runs a network. */
export interface ModelFlags {
  readonly model: string;
  readonly weights?: string;
  readonly prefix?: string;
  readonly classes?: number;
  readonly binary?: Binary;
  readonly threads?: number | 'auto';
  readonly quantize?: 'int8';
  readonly memory?: 'small' | 'fast';
}

/** Makes the options of a command that runs a network, without `--model`. */
export const modelOptions = (): Option[] => [
  new Option('--weights <file>', WEIGHTS_HELP),
  prefixOption(),
  new Option(
    '--classes <n>',
    'number of classes of the weights (default: that of the network, 1000 for ImageNet)',
  ).argParser(positive),
  new Option('--binary <name>', 'WebAssembly binary to run; by default the fastest that works here').choices(BINARIES),
  new Option('--threads <n>', 'number of threads, or auto: one per core, up to 8')
    .default('auto')
    .argParser((text) => (text === 'auto' ? text : positive(text))),
  new Option('--quantize <type>', 'run layers on whole numbers; by default what the weights are').choices(['int8']),
  new Option('--memory <what>', 'with int8: fast leaves layers in float32 that are faster so; small does not')
    .choices(['small', 'fast'])
    .default('fast'),
];

/** Parses numbers with commas between them: one per channel, or one for all. `least`: what they have to exceed. */
const numbers =
  (least = Number.NEGATIVE_INFINITY) =>
  (text: string): number | number[] => {
    const values = text.split(',').map((part) => (part.trim() === '' ? Number.NaN : Number(part)));
    if (![1, 3].includes(values.length) || !values.every((value) => Number.isFinite(value) && value > least)) {
      const above = least === 0 ? ' above 0' : '';
      throw new InvalidArgumentError(`Expected one number${above}, or three with commas between them.`);
    }
    return values.length === 1 ? (values[0] as number) : values;
  };

const INTERPOLATIONS: readonly Interpolation[] = ['bilinear', 'bicubic', 'lanczos', 'nearest'];
const ACTIVATIONS: readonly OutputActivation[] = ['softmax', 'sigmoid', 'none'];

/** The options of a command that takes pictures. */
export interface PictureFlags {
  readonly preset?: PreprocessingName;
  readonly mean?: number | number[];
  readonly std?: number | number[];
  readonly size?: number;
  readonly interpolation?: Interpolation;
  readonly maxPixels?: number;
}

/** Makes the options of a command that takes pictures. */
export const pictureOptions = (): Option[] => [
  new Option('--preset <name>', "how pictures are prepared; by default the weights' own way, or torch").choices(
    Object.keys(preprocessings),
  ),
  new Option(
    '--mean <a,b,c>',
    "per channel, instead of the preset's, in its scale: 0 ... 1 for torch and cifar, 0 ... 255 for caffe and tf",
  ).argParser(numbers()),
  new Option('--std <a,b,c>', "per channel, instead of the preset's").argParser(numbers(0)),
  sizeOption(),
  new Option('--interpolation <name>', 'how pictures are resized; by default as the preset says').choices(
    INTERPOLATIONS,
  ),
  new Option('--max-pixels <n>', 'refuse pictures of more pixels, which take 3 or 4 bytes each').argParser(positive),
];

/** Makes the option of a command that builds a network. */
export const sizeOption = (): Option =>
  new Option('--size <n>', "height and width of the network's input in pixels (default: the network's own)").argParser(
    positive,
  );

/** The options of a command that names classes. */
export interface ClassFlags {
  readonly labels?: string;
  readonly activation?: OutputActivation;
}

/** Makes the options of a command that names classes. */
export const classOptions = (): Option[] => [
  new Option('--labels <file>', 'labels of the classes: one per line, a JSON list, or a config.json with id2label'),
  new Option(
    '--activation <name>',
    'what makes probabilities of the outputs; by default softmax, or sigmoid for one output',
  ).choices(ACTIVATIONS),
];

/** Exits with a usage error if a mean cannot be in the preset's scale. */
export function checkMean(command: Command, { preset, mean = 0 }: PictureFlags): void {
  const most = 255 * (preset === undefined ? 1 : preprocessings[preset].scale);
  const far = [mean].flat().find((value) => value < 0 || value > most);
  if (far === undefined) return;
  const hint = most < 255 ? `, which ${preset} has; caffe and tf have 0 to 255` : '';
  command.error(`error: option '--mean <a,b,c>' takes numbers from 0 to ${most}, not ${far}${hint}`, { exitCode: 2 });
}

/** Returns the options of `load` that flags stand for. Rejects with one sentence if the file of labels has none. */
export async function loadOptions(flags: PictureFlags & ClassFlags): Promise<LoadOptions> {
  const { preset: base, mean, std, size, interpolation, activation, labels } = flags;
  const given = { base, mean, std, interpolation };
  const preprocessing: PreprocessingOptions = Object.fromEntries(
    Object.entries(given).filter(([, value]) => value !== undefined),
  );
  return {
    ...(Object.keys(preprocessing).length > 0 && { preprocessing }),
    ...(size !== undefined && { size }),
    ...(activation !== undefined && { activation }),
    ...(labels !== undefined && { labels: await readLabels(labels) }),
  };
}
