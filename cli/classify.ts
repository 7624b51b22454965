/** `classify`: names what pictures show. */

import { stat } from 'node:fs/promises';
import { Command } from 'commander';
import type { Classification } from '../bindings/index.node.js';
import { drawCam } from './cam.js';
import { reportFailure } from './failure.js';
import { identifyModel, needWeights, openModel } from './load-model.js';
import { type ModelFlags, modelOptions, networkName, positive } from './options.js';
import { checkOutput } from './output.js';
import { bar } from './text.js';

interface ClassifyFlags extends ModelFlags {
  readonly topK: number;
  readonly json?: boolean;
  readonly cam?: string;
  readonly camClass?: string;
}

interface Answer {
  readonly image: string;
  readonly model: string;
  readonly topK: readonly Classification[];
  /** Time from the file to the answer. */
  readonly ms: number;
}

const EXAMPLES = `
Examples:
  resnet-wasm classify cat.jpg
  resnet-wasm classify --top-k 3 --json photos/*.jpg > answers.json
  resnet-wasm classify cat.jpg --cam where.png
  resnet-wasm classify --weights resnet18.safetensors cat.jpg

Without --weights, the model's pretrained weights are fetched once and kept in a cache (see resnet-wasm pull --help).
With --weights but no --model, the network is the one whose tensors the file has.
A picture that cannot be read is reported on stderr, and the exit code is 1; the others are still classified.`;

export function classifyCommand(signal: AbortSignal): Command {
  const command = new Command('classify')
    .description('Name what pictures show')
    .argument('<image...>', 'JPEG, PNG, WebP or GIF files')
    .option('--model <name>', 'network to use (resnet-wasm models lists them)', networkName, 'resnet50')
    .option('--top-k <n>', 'classes to show per picture', positive, 5)
    .option('--json', 'print a JSON array, and no progress')
    .option('--cam <file>', 'write the picture as a PNG, with a heat map of where the network saw its best class')
    .option('--cam-class <class>', 'class to map instead of the best, by index or label');
  for (const option of modelOptions()) command.addOption(option);
  return command.addHelpText('after', EXAMPLES).action(async (images: string[], flags: ClassifyFlags) => {
    needWeights(command, flags);
    checkCam(command, images, flags);
    const isGiven = command.getOptionValueSource('model') !== 'default';
    await classify(images, flags, isGiven, signal);
  });
}

function checkCam(command: Command, images: readonly string[], { cam, camClass }: ClassifyFlags): void {
  const wrong =
    cam !== undefined && images.length > 1
      ? `option '--cam <file>' takes one picture, not ${images.length}`
      : cam === undefined && camClass !== undefined
        ? "option '--cam-class <class>' needs --cam"
        : undefined;
  if (wrong) command.error(`error: ${wrong}`, { exitCode: 2 });
}

/** `isGiven`: whether the user named a model. If not, it is identified by the tensors of `flags.weights`. */
async function classify(
  images: readonly string[],
  flags: ClassifyFlags,
  isGiven: boolean,
  signal: AbortSignal,
): Promise<void> {
  if (flags.cam !== undefined) {
    const { weights } = flags;
    await checkOutput(flags.cam, '--cam', weights === undefined ? images : [...images, weights]);
  }
  const readable: string[] = [];
  for (const image of images) {
    // Checked before weights are loaded, or even fetched, for nothing.
    const file = await stat(image).catch(() => undefined);
    if (file && !file.isDirectory()) readable.push(image);
    else reportFailure(file ? 'expected a picture, got a folder.' : 'no such file.', image);
  }

  const answers: Answer[] = [];
  if (readable.length > 0) {
    const how = { signal, quiet: flags.json };
    const match =
      flags.weights === undefined || isGiven
        ? undefined
        : await identifyModel(flags.weights, { ...how, prefix: flags.prefix });
    const found = match && 'network' in match ? match : undefined;
    using model = await openModel(
      { ...flags, model: found?.network ?? flags.model },
      { ...how, options: found?.options, graph: match && 'nodes' in match ? match : undefined },
    );
    for (const image of readable) {
      signal.throwIfAborted();
      const start = performance.now();
      try {
        const topK = await model.classify(image, { topK: flags.topK });
        const answer = { image, model: model.name, topK, ms: Math.round(10 * (performance.now() - start)) / 10 };
        if (!flags.json) process.stdout.write(`${answers.length > 0 ? '\n' : ''}${answerText(answer)}`);
        answers.push(answer);
        if (flags.cam !== undefined) {
          const { label, index } = await drawCam(model, image, flags.cam, flags.camClass);
          if (!flags.json) process.stdout.write(`  where it saw ${label ?? `class ${index}`}: ${flags.cam}\n`);
        }
      } catch (error) {
        reportFailure(error, image);
      }
    }
  }
  if (flags.json) process.stdout.write(`${JSON.stringify(answers, undefined, 2)}\n`);
}

const BAR_WIDTH = 24;

function answerText({ image, topK, ms }: Answer): string {
  const labels = topK.map(({ label, index }) => label ?? `class ${index}`);
  const width = Math.max(...labels.map((label) => label.length));
  const rows = topK.map(({ probability }, i) => {
    const percent = `${(100 * probability).toFixed(2)} %`;
    return `  ${labels[i]?.padEnd(width)}  ${percent.padStart(8)}  ${bar(probability, BAR_WIDTH)}`.trimEnd();
  });
  return `${[`${image}  (${ms.toFixed(0)} ms)`, ...rows].join('\n')}\n`;
}
