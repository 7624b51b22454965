/** `convert`: writes weights of any format as safetensors. */

import { stat } from 'node:fs/promises';
import { Command, Option } from 'commander';
import { openWeights, withNetworkNames, writeSafetensors } from '../bindings/index.node.js';
import { weightFiles } from './inputs.js';
import { prefixOption } from './options.js';
import { checkOutput, writeOutput } from './output.js';
import { weightSource } from './stdin.js';

const EXAMPLES = `
Examples:
  resnet-wasm convert checkpoint.pth model.safetensors
  resnet-wasm convert model.safetensors half.safetensors --dtype f16

Tensors get torchvision's names. --dtype f16 halves the file; the network still computes in float32.`;

const DTYPES = { f32: 'F32', f16: 'F16', bf16: 'BF16' } as const;

interface ConvertFlags {
  readonly dtype?: keyof typeof DTYPES;
  readonly prefix?: string;
}

export function convertCommand(signal: AbortSignal): Command {
  return new Command('convert')
    .description('Convert weights of any supported format to safetensors')
    .argument('<in>', 'path or URL of weights, or - for stdin: safetensors, PyTorch, Keras or TensorFlow.js')
    .argument('<out>', 'path of the file to write')
    .addOption(
      new Option('--dtype <type>', "type of the values (default: the file's own)").choices(Object.keys(DTYPES)),
    )
    .addOption(prefixOption())
    .addHelpText('after', EXAMPLES)
    .action(async (from: string, to: string, { dtype, prefix }: ConvertFlags) => {
      await checkOutput(to, '<out>', await weightFiles(from));
      const file = await openWeights(weightSource(from), { signal, prefix });
      try {
        const bytes = writeSafetensors(withNetworkNames(file), { dtype: dtype && DTYPES[dtype] });
        await writeOutput(to, bytes, signal);
      } catch (error) {
        throw signal.aborted ? signal.reason : error;
      } finally {
        await file.close();
      }
      const { size } = await stat(to);
      process.stdout.write(`${to}: ${file.tensors.length} tensors, ${(size / 1e6).toFixed(1)} MB\n`);
    });
}
