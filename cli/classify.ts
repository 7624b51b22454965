/** `classify`: names what pictures show. */

import { Command } from 'commander';
import { type Classification, createHead, headNetwork } from '../bindings/index.node.js';
import { CAM_FORMATS, camClass, drawCam } from './cam.js';
import { eachPicture } from './each-picture.js';
import { inputsOf } from './inputs.js';
import { isModelGiven, labelsOf, needWeights, openModel, picturesAtOnce } from './load-model.js';
import {
  type ClassFlags,
  checkMean,
  classOptions,
  loadOptions,
  type ModelFlags,
  modelOptions,
  type PictureFlags,
  pictureOptions,
  positive,
  pretrainedOrNetwork,
} from './options.js';
import { checkExtension, checkOutput } from './output.js';
import { findPictures, type Picture } from './pictures.js';
import { hasBars } from './progress.js';
import { checkStdin } from './stdin.js';
import { bar, isTerminal } from './text.js';

interface ClassifyFlags extends ModelFlags, PictureFlags, ClassFlags {
  readonly topK: number;
  readonly json?: boolean;
  readonly cam?: string;
  readonly camClass?: string;
  readonly head?: string;
}

interface Answer {
  readonly image: string;
  readonly model: string;
  readonly topK: readonly Classification[];
  /** Time from the file, or from the last answer if that came later, to this one. */
  readonly ms: number;
}

const EXAMPLES = `
Examples:
  resnet-wasm classify cat.jpg
  resnet-wasm classify photos --top-k 1
  resnet-wasm classify --top-k 3 --json "photos/**/*.jpg" https://example.org/cat.jpg > answers.json
  resnet-wasm classify cat.jpg --cam where.png
  resnet-wasm classify --head own.safetensors cat.jpg
  resnet-wasm classify --weights own.safetensors --labels names.txt --preset tf cat.jpg
  curl -s https://example.org/cat.jpg | resnet-wasm classify -

A picture is a file, an http, https, file or data URL, or - for stdin. A folder stands for the pictures in it and in its
folders, hidden ones aside, in the order of their names. A glob in quotes stands for the files that match, as a shell's.
Without --weights, the model's pretrained weights are fetched once and kept in a cache (see resnet-wasm pull --help).
With --weights but no --model, the file tells its network, by its tensors or by what it says.
A picture that cannot be read is reported on stderr, and the exit code is 1; the others are still classified.`;

export function classifyCommand(signal: AbortSignal): Command {
  const command = new Command('classify')
    .description('Name what pictures show')
    .argument('<pictures...>', 'files (JPEG, PNG, WebP, GIF), folders, globs, URLs, or - for stdin')
    .option(
      '--model <name>',
      'network, or its weights by name (see resnet-wasm pull --help)',
      pretrainedOrNetwork,
      'resnet50',
    )
    .option('--top-k <n>', 'classes to show per picture', positive, 5)
    .option('--json', 'print a JSON array')
    .option(
      '--cam <file>',
      'write the picture (.png, .jpg, .webp) with a heat map of where the network saw its best class',
    )
    .option('--cam-class <class>', 'class to map instead of the best, by index or label')
    .option('--head <file>', 'classes of your own, as resnet-wasm teach writes them');
  for (const option of [...modelOptions(), ...pictureOptions(), ...classOptions()]) command.addOption(option);
  return command.addHelpText('after', EXAMPLES).action(async (args: string[], given: ClassifyFlags) => {
    checkCam(command, args, given);
    checkMean(command, given);
    const flags = await withHeadsModel(command, given);
    needWeights(command, flags);
    checkStdin(command, [...args, flags.weights]);
    await classify(args, flags, isModelGiven(command), signal);
  });
}

/** A head tells its network, unless one is named. */
async function withHeadsModel(command: Command, flags: ClassifyFlags): Promise<ClassifyFlags> {
  if (flags.head === undefined || flags.weights !== undefined || isModelGiven(command)) return flags;
  const model = await headNetwork(flags.head);
  if (model === undefined) throw new Error(`${flags.head}: expected a file that resnet-wasm teach wrote, got another.`);
  return { ...flags, model };
}

function checkCam(command: Command, args: readonly string[], { cam, camClass, head }: ClassifyFlags): void {
  if (cam !== undefined) checkExtension(command, '--cam <file>', cam, Object.keys(CAM_FORMATS));
  const wrong =
    cam !== undefined && args.length > 1
      ? `option '--cam <file>' takes one picture, not ${args.length}`
      : cam === undefined && camClass !== undefined
        ? "option '--cam-class <class>' needs --cam"
        : cam !== undefined && head !== undefined
          ? "option '--cam <file>' does not go with --head; teach --whole makes a network that it goes with"
          : undefined;
  if (wrong) command.error(`error: ${wrong}`, { exitCode: 2 });
}

/** `isGiven`: whether the user named a model. If not, `flags.weights` tell their network. */
async function classify(
  args: readonly string[],
  flags: ClassifyFlags,
  isGiven: boolean,
  signal: AbortSignal,
): Promise<void> {
  const { cam: file, json = false, topK, maxPixels } = flags;
  // Found before weights are loaded, or even fetched, for nothing.
  const pictures = await findPictures(args);
  if (file !== undefined) await checkCamFile(file, pictures, flags);
  const options = await loadOptions(flags);
  let answers = 0;
  if (pictures.length > 0) {
    using model = await openModel(flags, isGiven, { signal, quiet: json && !hasBars(), options });
    const head = flags.head === undefined ? undefined : await createHead(model, flags.head);
    const labels = await labelsOf(model);
    const mapped = file === undefined ? undefined : camClass(model, labels, flags.camClass);
    const atOnce = picturesAtOnce(model);
    await eachPicture(pictures, { signal, maxPixels, atOnce }, async ({ name }, pixels) => {
      const { classes, cam } =
        file === undefined
          ? { classes: await (head ?? model).classify(pixels, { topK, signal }) }
          : await model.analyse(pixels, { topK, cam: mapped === undefined ? true : { classes: [mapped] }, signal });
      const labelled = (found: Classification) => ({ ...found, label: found.label ?? labels?.[found.index] });
      const [map] = cam?.maps ?? [];
      if (file !== undefined && cam && map) await drawCam(file, pixels, cam);
      return (ms) => {
        const answer = { image: name, model: model.name, topK: classes.map(labelled), ms };
        answers++;
        if (json) return `${answers > 1 ? ',' : '['}\n${indented(JSON.stringify(answer, undefined, 2))}`;
        const where = map && `  where it saw ${nameOf(labelled(map))}: ${file}\n`;
        return `${answers > 1 ? '\n' : ''}${answerText(answer, flags.activation !== 'none')}${where ?? ''}`;
      };
    });
  }
  if (json) process.stdout.write(answers > 0 ? '\n]\n' : '[]\n');
}

/** Checks what can be before a model is loaded: one picture, and a file that can be written. */
async function checkCamFile(file: string, pictures: readonly Picture[], flags: ClassifyFlags): Promise<void> {
  if (pictures.length > 1) throw new Error(`--cam: expected one picture, got ${pictures.length}.`);
  const sources = pictures.map(({ source }) => source);
  await checkOutput(file, '--cam', [...sources, ...(await inputsOf(flags))]);
}

const indented = (text: string): string => text.replace(/^/gm, '  ');

const nameOf = ({ label, index }: Classification): string => label ?? `class ${index}`;

const BAR_WIDTH = 24;

/**
 * The classes of a picture in columns: percentages, or values as they are if there is no activation. Bars are for people: a
 * terminal has them if it is wide enough.
 */
function answerText({ image, topK, ms }: Answer, hasActivation: boolean): string {
  const labels = topK.map(nameOf);
  const width = Math.max(...labels.map((label) => label.length));
  const room = isTerminal(process.stdout) ? (process.stdout.columns || 80) - width - 15 : 0;
  const barWidth = room < 4 || !hasActivation ? 0 : Math.min(BAR_WIDTH, room);
  const rows = topK.map(({ probability }, i) => {
    const value = hasActivation ? `${(100 * probability).toFixed(2)} %` : probability.toFixed(4);
    return `  ${labels[i]?.padEnd(width)}  ${value.padStart(8)}  ${bar(probability, barWidth)}`.trimEnd();
  });
  return `${[`${image}  (${ms.toFixed(0)} ms)`, ...rows].join('\n')}\n`;
}
