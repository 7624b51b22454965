/** `teach`: a network learns classes of one's own, a folder of pictures each. */

import { readdir, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { Command, Option } from 'commander';
import { createHead, type Evaluation, type Head } from '../bindings/index.node.js';
import { eachPicture } from './each-picture.js';
import { reportFailure } from './failure.js';
import { inputsOf } from './inputs.js';
import { fetchPretrained, isModelGiven, needWeights, openModel, picturesAtOnce } from './load-model.js';
import {
  checkMean,
  loadOptions,
  type ModelFlags,
  modelOptions,
  type PictureFlags,
  pictureOptions,
  positive,
  pretrainedOrNetwork,
} from './options.js';
import { checkExtension, checkOutput, writeOutput } from './output.js';
import { findPictures, type Picture } from './pictures.js';
import { checkStdin, weightSource } from './stdin.js';
import { columns, digits } from './text.js';

interface TeachFlags extends ModelFlags, PictureFlags {
  readonly out: string;
  readonly whole?: boolean;
  readonly variants?: number;
  readonly folds: number;
  readonly epochs: number;
  readonly json?: boolean;
}

const EXAMPLES = `
Examples:
  resnet-wasm teach flowers --out flowers.safetensors
  resnet-wasm classify --head flowers.safetensors garden.jpg
  resnet-wasm teach flowers --out whole.safetensors --whole
  resnet-wasm classify --weights whole.safetensors garden.jpg --cam where.png

Each folder in <folder> is a class, named after it: flowers/rose, flowers/tulip. Twenty pictures per class are a good start.
The accuracy is that of pictures which were not learned, by cross-validation.
A picture that cannot be read is reported on stderr and left out, and the exit code is 1.`;

export function teachCommand(signal: AbortSignal): Command {
  const command = new Command('teach')
    .description('Teach a network classes of your own, from a folder of pictures each')
    .argument('<folder>', 'folder with a folder of pictures per class')
    .requiredOption('--out <file>', '.safetensors file to write: the last layer, a few kB per class (required)')
    .option('--whole', 'write the whole network, which runs without the weights that it was made from')
    .option('--variants <n>', 'mirrored and cropped variants to learn beside each picture', positive)
    .option('--folds <n>', 'parts of the cross-validation', positive, 5)
    .option('--epochs <n>', 'iterations of the training at most', positive, 100)
    .option('--json', 'print the accuracy and the confusion matrix as JSON')
    .addOption(
      new Option('--model <name>', 'network, or its weights by name (see resnet-wasm pull --help)')
        .default('resnet50')
        .argParser(pretrainedOrNetwork),
    );
  for (const option of [...modelOptions(), ...pictureOptions()]) command.addOption(option);
  return command.addHelpText('after', EXAMPLES).action(async (folder: string, flags: TeachFlags) => {
    needWeights(command, flags);
    checkStdin(command, [flags.weights]);
    checkMean(command, flags);
    checkExtension(command, '--out <file>', flags.out, ['.safetensors']);
    if (flags.folds < 2) command.error("error: option '--folds <n>' takes a whole number from 2", { exitCode: 2 });
    await teach(folder, flags, isModelGiven(command), signal);
  });
}

interface LabelledPicture extends Picture {
  readonly label: string;
}

/** The pictures of each folder in a folder. A folder without any is reported, and is no class. */
async function labelledPictures(folder: string): Promise<LabelledPicture[]> {
  const there = await stat(folder).catch(() => undefined);
  if (!there?.isDirectory()) throw new Error(`${folder}: expected a folder with a folder per class, got none.`);
  const entries = await readdir(folder, { withFileTypes: true });
  const names = entries.filter((entry) => !entry.name.startsWith('.') && !entry.isFile()).map(({ name }) => name);
  const pictures: LabelledPicture[] = [];
  for (const label of names.sort()) {
    const found = await findPictures([join(folder, label)]);
    pictures.push(...found.map((picture) => ({ ...picture, label })));
  }
  const labels = new Set(pictures.map(({ label }) => label));
  if (labels.size < 2) {
    throw new Error(`${folder}: expected two folders of pictures or more, one per class, got ${labels.size}.`);
  }
  return pictures;
}

async function teach(folder: string, flags: TeachFlags, isGiven: boolean, signal: AbortSignal): Promise<void> {
  const { out, whole = false, variants, folds, epochs, json = false, maxPixels } = flags;
  const pictures = await labelledPictures(folder);
  await checkOutput(out, '--out', [...pictures.map(({ source }) => source), ...(await inputsOf(flags))]);
  using model = await openModel(flags, isGiven, { signal, options: await loadOptions(flags) });
  const head = await createHead(model);
  const labels = new Map(pictures.map(({ source, label }) => [source, label]));
  const atOnce = variants === undefined ? picturesAtOnce(model) : 1;
  const added: Promise<number>[] = [];
  await eachPicture(pictures, { signal, maxPixels, atOnce }, async ({ source }, pixels) => {
    const label = labels.get(source) as string;
    const embedding = variants === undefined ? await model.embed(pixels, { signal }) : undefined;
    if (!embedding) await head.add(pixels, label, { variants, signal });
    return () => {
      if (embedding) added.push(head.add(embedding, label));
      return '';
    };
  });
  await Promise.all(added);
  const tested = await crossValidated(head, folds, epochs, signal);
  const { accuracy, loss } = await head.train({ epochs, signal });
  const { weights, model: name } = flags;
  const source =
    weights === undefined ? (await fetchPretrained(name, { signal, quiet: true })).path : weightSource(weights);
  await writeOutput(out, whole ? head.mergeInto(source) : await head.save(), signal);
  if (json) {
    const { count, labels, confusion } = tested;
    const report = {
      model: model.name,
      pictures: count,
      labels,
      accuracy: tested.accuracy,
      confusion,
      trained: { accuracy, loss },
    };
    process.stdout.write(`${JSON.stringify(report, undefined, 2)}\n`);
  } else {
    process.stdout.write(`${reportText(tested, folds)}\n\n${out}: ${hint(out, whole, isGiven ? name : undefined)}\n`);
  }
}

const hint = (out: string, whole: boolean, model: string | undefined): string =>
  `resnet-wasm classify --${whole ? 'weights' : 'head'} ${out}${model && !whole ? ` --model ${model}` : ''} picture.jpg`;

/** Rejects if a class has one picture alone, with what to do. */
async function crossValidated(head: Head, folds: number, epochs: number, signal: AbortSignal): Promise<Evaluation> {
  try {
    return await head.evaluate({ folds, epochs, signal });
  } catch (error) {
    signal.throwIfAborted();
    reportFailure(error, 'teach');
    throw new Error('teach: expected two pictures or more in each of two folders at least.', { cause: error });
  }
}

/** `Accuracy 95.0 % of 60 pictures`, and the confusion matrix: a row per class, what its pictures were taken for. */
export function reportText({ count, accuracy, labels, confusion }: Evaluation, folds: number): string {
  const title = `Accuracy ${(100 * accuracy).toFixed(1)} % of ${digits(count)} pictures that were not learned (${folds} folds)`;
  const header = ['', ...labels];
  const rows = confusion.map((row, i) => [labels[i] as string, ...row.map((n) => (n === 0 ? '·' : digits(n)))]);
  const right = header.map((_, column) => column).slice(1);
  return `${title}\n\n${columns([header, ...rows], right)}`;
}
