/** `convert`: writes weights of any format as safetensors. */

import { stat } from 'node:fs/promises';
import { Command, Option } from 'commander';
import {
  asNetwork,
  type Calibration,
  calibrate,
  openWeights,
  withNetworkNames,
  writeSafetensors,
} from '../bindings/index.node.js';
import { weightFiles } from './inputs.js';
import { prefixOption } from './options.js';
import { checkOutput, writeOutput } from './output.js';
import { decoded, picturesOf } from './pictures.js';
import { showPictures } from './progress.js';
import { isStdin, weightSource } from './stdin.js';

/** Pictures to calibrate with. */
const [FEWEST, MOST] = [16, 128];

const EXAMPLES = `
Examples:
  resnet-wasm convert checkpoint.pth model.safetensors
  resnet-wasm convert model.onnx model.safetensors
  resnet-wasm convert model.safetensors half.safetensors --dtype f16
  resnet-wasm convert model.safetensors quarter.safetensors --dtype i8 --calibrate photos

Tensors get torchvision's names; those of an ONNX model too, if its graph is that of a network of this package. --dtype f16 halves the file; the network still computes in float32. --dtype i8 quarters
it: the weights of convolutions and linear layers become whole numbers with a float32 scale per output.
--calibrate runs the network on pictures of a folder, on ${MOST} at most, and keeps for each layer the range of inputs that
has the least mean squared error; without it, ranges are found picture by picture. ${FEWEST} pictures of what the network is
for are enough.`;

const DTYPES = { f32: 'F32', f16: 'F16', bf16: 'BF16', i8: 'I8' } as const;

interface ConvertFlags {
  readonly dtype?: keyof typeof DTYPES;
  readonly calibrate?: string;
  readonly prefix?: string;
}

export function convertCommand(signal: AbortSignal): Command {
  const command = new Command('convert')
    .description('Convert weights of any supported format to safetensors')
    .argument('<in>', 'path or URL of weights, or - for stdin: safetensors, PyTorch, ONNX, Keras or TensorFlow.js')
    .argument('<out>', 'path of the file to write')
    .addOption(
      new Option('--dtype <type>', "type of the values (default: the file's own)").choices(Object.keys(DTYPES)),
    )
    .option('--calibrate <folder>', 'pictures from which --dtype i8 learns the ranges of activations')
    .addOption(prefixOption())
    .addHelpText('after', EXAMPLES);
  return command.action(async (from: string, to: string, { dtype, calibrate: pictures, prefix }: ConvertFlags) => {
    if (pictures !== undefined && dtype !== 'i8') {
      command.error("error: option '--calibrate <folder>' is for --dtype i8", { exitCode: 2 });
    }
    if (pictures !== undefined && isStdin(from)) {
      command.error('error: --calibrate needs the weights twice, which standard input cannot be', { exitCode: 2 });
    }
    await checkOutput(to, '<out>', await weightFiles(from));
    const calibration = pictures === undefined ? undefined : await calibrated(from, pictures, prefix, signal);
    const file = await openWeights(weightSource(from), { signal, prefix });
    let tensors = 0;
    try {
      const named = asNetwork(file) ?? withNetworkNames(file);
      tensors = named.tensors.length;
      const bytes = writeSafetensors(named, { dtype: dtype && DTYPES[dtype], calibration });
      await writeOutput(to, bytes, signal);
    } catch (error) {
      throw signal.aborted ? signal.reason : error;
    } finally {
      await file.close();
    }
    const { size } = await stat(to);
    process.stdout.write(`${to}: ${tensors} tensors, ${(size / 1e6).toFixed(1)} MB\n`);
  });
}

/** Calibrates with pictures of a folder: all, or as many as are used, from all parts of it. */
async function calibrated(
  weights: string,
  folder: string,
  prefix: string | undefined,
  signal: AbortSignal,
): Promise<Calibration> {
  const all = await picturesOf(folder);
  const count = Math.min(MOST, all.length);
  const chosen = Array.from(
    { length: count },
    (_, i) => all[Math.floor((i * all.length) / count)] as (typeof all)[number],
  );
  if (count < FEWEST) process.stderr.write(`${folder}: ${FEWEST} pictures or more calibrate better than ${count}.\n`);
  const view = showPictures(count);
  try {
    view.update(0);
    return await calibrate(weights, pixelsOf(chosen), { signal, prefix, onPicture: (done) => view.update(done) });
  } finally {
    view.stop();
  }
}

function* pixelsOf(pictures: Parameters<typeof decoded>[0]) {
  for (const { pixels } of decoded(pictures, undefined)) yield pixels;
}
