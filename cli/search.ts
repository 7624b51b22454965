/** `search`: the pictures of a folder that are most like one, or like each other. */

import { stat } from 'node:fs/promises';
import { Command, InvalidArgumentError, Option } from 'commander';
import { fromTensors, openWeights, writeSafetensors } from '../bindings/index.node.js';
import { eachPicture } from './each-picture.js';
import { inputsOf } from './inputs.js';
import { isModelGiven, needWeights, openModel, picturesAtOnce } from './load-model.js';
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
import { checkStdin } from './stdin.js';

interface SearchFlags extends ModelFlags, PictureFlags {
  readonly index?: string;
  readonly topK: number;
  readonly duplicates?: boolean;
  readonly least: number;
  readonly json?: boolean;
}

/** A picture of the folder with its embedding, of length 1. */
interface Entry {
  readonly image: string;
  /** What tells whether the file is the one that was embedded: bytes and time of change; empty for a URL. */
  readonly version: string;
  readonly embedding: Float32Array;
}

const EXAMPLES = `
Examples:
  resnet-wasm search photos cat.jpg
  resnet-wasm search photos cat.jpg --index photos.safetensors
  resnet-wasm search photos --duplicates

Pictures are compared by the cosine of their embeddings: 1 for the same picture, about 0.9 for the same scene.
With --index, the embeddings are kept in that file, and only new or changed pictures are computed the next time.`;

/** Parses a cosine. */
function cosineOption(text: string): number {
  const value = Number(text);
  if (text.trim() !== '' && value >= -1 && value <= 1) return value;
  throw new InvalidArgumentError('Expected a number from -1 to 1.');
}

export function searchCommand(signal: AbortSignal): Command {
  const command = new Command('search')
    .description('Find the pictures of a folder that are most like one, or like each other')
    .argument('<folder>', 'folder, glob or file: the pictures to look through')
    .argument('[query]', 'picture to find others like')
    .option('--index <file>', '.safetensors file that keeps the embeddings')
    .option('--top-k <n>', 'pictures to show', positive, 10)
    .option('--duplicates', 'list groups of pictures that are like each other')
    .addOption(
      new Option('--least <cosine>', 'how much alike duplicates are at least').default(0.96).argParser(cosineOption),
    )
    .option('--json', 'print JSON')
    .option(
      '--model <name>',
      'network, or its weights by name (see resnet-wasm pull --help)',
      pretrainedOrNetwork,
      'resnet50',
    );
  for (const option of [...modelOptions(), ...pictureOptions()]) command.addOption(option);
  return command
    .addHelpText('after', EXAMPLES)
    .action(async (folder: string, query: string | undefined, flags: SearchFlags) => {
      needWeights(command, flags);
      checkStdin(command, [folder, query, flags.weights]);
      checkMean(command, flags);
      if (flags.index !== undefined) checkExtension(command, '--index <file>', flags.index, ['.safetensors']);
      if ((query === undefined) !== (flags.duplicates === true)) {
        command.error('error: expected a picture to find others like, or --duplicates', { exitCode: 2 });
      }
      await search(folder, query, flags, isModelGiven(command), signal);
    });
}

async function search(
  folder: string,
  query: string | undefined,
  flags: SearchFlags,
  isGiven: boolean,
  signal: AbortSignal,
): Promise<void> {
  const { index, topK, least, json = false, maxPixels } = flags;
  const pictures = await findPictures([folder]);
  const [queried] = query === undefined ? [] : await findPictures([query]);
  if (pictures.length === 0 || (query !== undefined && !queried)) return;
  if (index !== undefined) {
    await checkOutput(index, '--index', [...pictures.map(({ source }) => source), ...(await inputsOf(flags))]);
  }
  using model = await openModel(flags, isGiven, { signal, options: await loadOptions(flags) });
  const known = index === undefined ? new Map<string, Entry>() : await readIndex(index, model.name);
  const entries: Entry[] = [];
  const fresh: (Picture & { readonly version: string })[] = [];
  for (const picture of pictures) {
    const version = await versionOf(picture);
    const entry = known.get(picture.name);
    if (entry && entry.version === version && version !== '') entries.push(entry);
    else fresh.push({ ...picture, version });
  }
  const atOnce = picturesAtOnce(model);
  const versions = new Map(fresh.map(({ name, version }) => [name, version]));
  await eachPicture(fresh, { signal, maxPixels, atOnce }, async ({ name }, pixels) => {
    const embedding = await model.embed(pixels, { normalise: true, signal });
    entries.push({ image: name, version: versions.get(name) as string, embedding });
    return () => '';
  });
  entries.sort((a, b) => (a.image < b.image ? -1 : 1));
  if (index !== undefined) await writeIndex(index, model.name, entries);
  if (queried) {
    await eachPicture([queried], { signal, maxPixels, atOnce: 1 }, async (_, pixels) => {
      const embedding = await model.embed(pixels, { normalise: true, signal });
      const found = entries
        .map(({ image, embedding: other }) => ({ image, similarity: product(embedding, other) }))
        .sort((a, b) => b.similarity - a.similarity)
        .slice(0, topK);
      const lines = found.map((entry) => `${entry.similarity.toFixed(3)}  ${entry.image}\n`);
      return () => (json ? `${JSON.stringify(found, undefined, 2)}\n` : lines.join(''));
    });
    return;
  }
  const groups = alike(entries, least);
  if (json) process.stdout.write(`${JSON.stringify(groups, undefined, 2)}\n`);
  else process.stdout.write(groups.map((images) => `${images.join('\n')}\n`).join('\n') || 'No duplicates.\n');
}

const product = (a: Float32Array, b: Float32Array): number =>
  a.reduce((sum, value, i) => sum + value * (b[i] as number), 0);

/** Groups of pictures, each of which is like another of its group; those that are like no other are left out. */
function alike(entries: readonly Entry[], least: number): string[][] {
  const group = entries.map((_, i) => i);
  const rootOf = (i: number): number => {
    let at = i;
    while (group[at] !== at) at = group[at] as number;
    return at;
  };
  entries.forEach(({ embedding }, i) => {
    for (let j = 0; j < i; j++) {
      if (product(embedding, (entries[j] as Entry).embedding) >= least) group[rootOf(i)] = rootOf(j);
    }
  });
  const groups = new Map<number, string[]>();
  entries.forEach(({ image }, i) => {
    groups.set(rootOf(i), [...(groups.get(rootOf(i)) ?? []), image]);
  });
  return [...groups.values()].filter(({ length }) => length > 1);
}

async function versionOf({ source }: Picture): Promise<string> {
  const there = await stat(source).catch(() => undefined);
  return there ? `${there.size} ${there.mtimeMs}` : '';
}

/** Key of an index's metadata. */
const INDEX = 'resnet-wasm.index';

/** Reads an index; an empty one if there is no file. Rejects if the file is none, or another network's. */
async function readIndex(path: string, network: string): Promise<Map<string, Entry>> {
  if (!(await stat(path).catch(() => undefined))) return new Map();
  const file = await openWeights(path);
  try {
    const [tensor] = file.tensors;
    const [rows = 0, columns = 0] = tensor?.shape ?? [];
    const { model, entries } = JSON.parse(file.metadata[INDEX] ?? '{}') as {
      model?: string;
      entries?: [string, string][];
    };
    if (!entries || entries.length !== rows) throw new Error(`${path}: expected an index of search, got another file.`);
    if (model !== network) throw new Error(`${path}: expected an index by ${network}, got one by ${model}.`);
    const bytes = new Uint8Array(file.total);
    let filled = 0;
    for await (const piece of file.pieces()) {
      bytes.set(piece.bytes, filled);
      filled += piece.bytes.length;
    }
    const values = new Float32Array(bytes.buffer);
    return new Map(
      entries.map(([image, version], i) => {
        return [image, { image, version, embedding: values.subarray(i * columns, (i + 1) * columns) }];
      }),
    );
  } finally {
    await file.close();
  }
}

async function writeIndex(path: string, model: string, entries: readonly Entry[]): Promise<void> {
  const columns = entries[0]?.embedding.length ?? 0;
  const data = new Float32Array(entries.length * columns);
  entries.forEach(({ embedding }, i) => {
    data.set(embedding, i * columns);
  });
  const file = fromTensors([{ name: 'embeddings', shape: [entries.length, columns], data }]);
  const text = JSON.stringify({ model, entries: entries.map(({ image, version }) => [image, version]) });
  await writeOutput(path, writeSafetensors({ ...file, metadata: { [INDEX]: text } }));
}
