/** `bench`: measures how fast this machine runs a network, layer by layer, against the peak of its CPU. */

import { Command, Option } from 'commander';
import { type BenchResult, type MeasureOptions, measure } from './measure.js';
import { modelOptions, networkName, positive, sizeOption } from './options.js';
import { checkOutput, writeOutput } from './output.js';
import { columns, threadsText } from './text.js';

const EXAMPLES = `
Examples:
  resnet-wasm bench
  resnet-wasm bench --model resnet18 --threads 1 --binary baseline --json
  resnet-wasm bench --html report.html
  resnet-wasm bench --model resnet18 --throughput

The weights are random. The peak is that of multiply-adds in registers, of vectors as wide as the kernels take (128 or 256
bits), on all threads. GFLOP/s count the operations of a convolution's definition. Winograd's algorithm takes up to 4 times
fewer multiplications, so that a layer can exceed the peak.`;

interface BenchFlags extends MeasureOptions {
  readonly model: readonly string[];
  readonly json?: boolean;
  readonly html?: string;
}

const percent = (part: number, whole: number): string => `${((100 * part) / whole).toFixed(1)} %`;

function report({ model, machine, info, batch, rounds, ms, gflops, peak, layers, throughput }: BenchResult): string {
  const MiB = (bytes: number): string => `${(bytes / 2 ** 20).toFixed(1)} MiB`;
  const total = layers.reduce((sum, layer) => sum + layer.ms, 0);
  const rows = layers.map((layer) => [
    layer.name,
    layer.algorithm ?? layer.kind,
    layer.output,
    layer.ms.toFixed(3),
    percent(layer.ms, total),
    layer.gflops ? layer.gflops.toFixed(1) : '',
    layer.gflops ? percent(layer.gflops, peak) : '',
  ]);
  return [
    machine,
    `${model}, ${info.binary} binary, ${threadsText(info.threads)}, batch ${batch}: weights ${MiB(info.weightBytes)}, activations ${MiB(info.activationBytes)} per image`,
    '',
    columns([['layer', 'by', 'output', 'ms', 'share', 'GFLOP/s', 'of peak'], ...rows], [3, 4, 5, 6]),
    '',
    `${ms.median.toFixed(1)} ms (median of ${rounds}; ${ms.min.toFixed(1)} to ${ms.max.toFixed(1)}), ${gflops.toFixed(1)} GFLOP/s, ${percent(gflops, peak)} of the peak of ${peak.toFixed(1)} GFLOP/s`,
    ...(throughput ? [`${throughput.imagesPerSecond.toFixed(1)} images/s in runs of ${throughput.batch}`] : []),
    ...(info.threadsNote ? [info.threadsNote] : []),
  ].join('\n');
}

export function benchCommand(signal: AbortSignal): Command {
  const command = new Command('bench')
    .description('Measure how fast this machine runs networks, layer by layer, against its peak')
    .addOption(
      new Option('--model <name...>', 'networks to measure')
        .default(['resnet50'], 'resnet50')
        .argParser((name, before: string[] = []) => {
          const list = before.length === 1 && before[0] === 'resnet50' ? [] : before;
          return [...list, networkName(name)];
        }),
    )
    .option('--rounds <n>', 'runs to take the median of', positive, 15)
    .option('--batch <n>', 'images per run', positive, 1)
    .option('--throughput', 'also run several images at once, and print how many per second')
    .addOption(sizeOption())
    .option('--tune', 'first time the algorithms for each layer, and take the fastest')
    .option('--no-winograd', "compute no convolution by Winograd's algorithm")
    .option('--json', 'print JSON')
    .option('--html <file>', 'write a self-contained page with plots');
  for (const option of modelOptions()) {
    if (['--binary', '--threads', '--no-wide', '--quantize', '--memory'].includes(option.long ?? ''))
      command.addOption(option);
  }
  return command.addHelpText('after', EXAMPLES).action(async (flags: BenchFlags) => {
    if (flags.html) await checkOutput(flags.html, '--html');
    const results: BenchResult[] = [];
    for (const name of flags.model) {
      const result = await measure(name, flags, signal);
      results.push(result);
      if (!flags.json) process.stdout.write(`${results.length > 1 ? '\n' : ''}${report(result)}\n`);
    }
    if (flags.json) process.stdout.write(`${JSON.stringify(results, undefined, 2)}\n`);
    if (flags.html) await writeOutput(flags.html, (await import('./bench-page.js')).benchPage(results));
  });
}
