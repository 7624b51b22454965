/** `embed`: the features of pictures before the classifier, to compare pictures by. */

import { Command } from 'commander';
import { eachPicture } from './each-picture.js';
import { inputsOf } from './inputs.js';
import { isModelGiven, needWeights, openModel, picturesAtOnce } from './load-model.js';
import { writeNpy } from './npy.js';
import {
  checkMean,
  loadOptions,
  type ModelFlags,
  modelOptions,
  type PictureFlags,
  pictureOptions,
  pretrainedOrNetwork,
} from './options.js';
import { checkExtension, checkOutput } from './output.js';
import { findPictures } from './pictures.js';
import { checkStdin } from './stdin.js';

interface EmbedFlags extends ModelFlags, PictureFlags {
  readonly out?: string;
  readonly normalize?: boolean;
}

const EXAMPLES = `
Examples:
  resnet-wasm embed photos --out photos.npy > names.txt
  resnet-wasm embed --normalize cat.jpg dog.jpg
  resnet-wasm embed --model resnet18 "photos/*.jpg" --out photos.npy

Pictures are given as to classify: files, folders, globs, URLs, or - for stdin.
With --out, the file is an array [N, C] of float32, a row per picture that could be read, and the pictures' names are
printed in the order of the rows. Without it, each picture is a line of JSON: {"image": ..., "embedding": [...]}.
A picture that cannot be read has no row; it is reported on stderr, and the exit code is 1.`;

export function embedCommand(signal: AbortSignal): Command {
  const command = new Command('embed')
    .description('Compute the features of pictures, the values before the classifier: JSON lines, or .npy')
    .argument('<pictures...>', 'files (JPEG, PNG, WebP, GIF), folders, globs, URLs, or - for stdin')
    .option('--out <file>', '.npy file to write')
    .option('--normalize', 'divide by the Euclidean norm, so that a product of two rows is their cosine')
    .option(
      '--model <name>',
      'network, or its weights by name (see resnet-wasm pull --help)',
      pretrainedOrNetwork,
      'resnet50',
    );
  for (const option of [...modelOptions(), ...pictureOptions()]) command.addOption(option);
  return command.addHelpText('after', EXAMPLES).action(async (args: string[], flags: EmbedFlags) => {
    needWeights(command, flags);
    checkStdin(command, [...args, flags.weights]);
    checkMean(command, flags);
    if (flags.out !== undefined) checkExtension(command, '--out <file>', flags.out, ['.npy']);
    await embed(args, flags, isModelGiven(command), signal);
  });
}

/** `isGiven`: whether the user named a model. */
async function embed(args: readonly string[], flags: EmbedFlags, isGiven: boolean, signal: AbortSignal): Promise<void> {
  const { out, normalize = false, maxPixels } = flags;
  const pictures = await findPictures(args);
  if (out !== undefined) {
    await checkOutput(out, '--out', [...pictures.map(({ source }) => source), ...(await inputsOf(flags))]);
  }
  if (pictures.length === 0) return;
  const options = await loadOptions(flags);
  const rows: Float32Array[] = [];
  using model = await openModel(flags, isGiven, { signal, options });
  const atOnce = picturesAtOnce(model);
  await eachPicture(pictures, { signal, maxPixels, atOnce }, async ({ name }, pixels) => {
    const row = await model.embed(pixels, { normalise: normalize, signal });
    return () => {
      if (out === undefined) return `${JSON.stringify({ image: name, embedding: Array.from(row, shortest) })}\n`;
      rows.push(row);
      return `${name}\n`;
    };
  });
  const [first] = rows;
  if (out === undefined || !first) return;
  const data = new Float32Array(rows.length * first.length);
  rows.forEach((row, i) => {
    data.set(row, i * first.length);
  });
  await writeNpy(out, { data, shape: [rows.length, first.length] });
}

/** A float32 in nine digits, which tell it from all others. */
const shortest = (value: number): number => Number(value.toPrecision(9));
