/**
 * GFLOP/s of every different convolution of some networks, and of the matrix product that it is by definition, on both
 * binaries and one thread: kernels.ts [NETWORK…]. Winograd's rate counts the definition's operations, not its own
 * fewer ones.
 */

import { Bench } from 'tinybench';
import type { Binary } from '../bindings/engine/binary.js';
import { buildNetwork, type Graph, GraphBuilder } from '../models/index.js';
import { binaries, openSeeded } from './executor.js';
import { machineText } from './machine.js';
import { type ConvShape, convShapes, convText } from './shapes.js';

const names = process.argv.length > 2 ? process.argv.slice(2) : ['resnet18', 'resnet50'];
const TIME_MS = 150;
const WARM_UP_MS = 100;
const ENGINE_WARM_UP_MS = 1500;

/** The convolution with a bias and ReLU, as it stands in a network. */
function convGraph({ op, input, output }: ConvShape): Graph {
  const g = new GraphBuilder('conv');
  const { kernel, stride, dilation, padding, groups } = op;
  return g.finish(
    g.relu('relu', g.conv('conv', g.input(input), output.c, { kernel, stride, dilation, padding, groups, bias: true })),
  );
}

/** C[M,N] = A[M,K] · B[K,N], of a group, as a pointwise convolution of M pixels. */
function gemmGraph({ op, input, output }: ConvShape): Graph {
  const g = new GraphBuilder('gemm');
  const k = op.kernel[0] * op.kernel[1] * (input.c / op.groups);
  const x = g.input({ h: output.h * output.w, w: 1, c: k });
  return g.finish(g.conv('conv', x, output.c / op.groups, { kernel: 1, bias: true }));
}

/** Median GFLOP/s of a graph's only step, and the algorithm that it uses. */
async function rate(graph: Graph, flops: number, binary: Binary): Promise<{ gflops: number; algorithm: string }> {
  const executor = await openSeeded(graph, binary);
  const bench = new Bench({ time: TIME_MS, warmupTime: WARM_UP_MS, iterations: 8, warmupIterations: 4 });
  bench.add(graph.name, async () => {
    const { stepMs } = await executor.profile();
    // The kernel alone, without the copy of its output.
    return { overriddenDuration: stepMs[0] as number };
  });
  const [task] = await bench.run();
  const result = task?.result;
  if (result?.state !== 'completed') {
    throw new Error(`${graph.name}: expected timings, got ${result?.state}.`);
  }
  return { gflops: flops / result.latency.p50 / 1e6, algorithm: executor.plan.steps[0]?.algorithm ?? '' };
}

const isPointwise = ({ op }: ConvShape): boolean => [...op.kernel, ...op.stride, op.groups].every((n) => n === 1);

const row = (name: string, cells: readonly string[]): void =>
  console.log(name.padEnd(40) + cells.map((cell) => cell.padStart(15)).join(''));

/** Runs a whole network until the engine has compiled its kernels for speed. */
async function warmUp(binary: Binary): Promise<void> {
  const executor = await openSeeded(buildNetwork(names[0] as string), binary);
  const end = performance.now() + ENGINE_WARM_UP_MS;
  do await executor.run();
  while (performance.now() < end);
}

for (const binary of binaries) await warmUp(binary);
const shapes = new Map<string, ConvShape>();
for (const shape of names.flatMap(convShapes)) shapes.set(convText(shape), shape);

console.log(`${machineText()}; one thread, GFLOP/s`);
row(`convolutions of ${names.join(', ')}`, [
  ...binaries.map((binary) => `GEMM ${binary}`),
  ...binaries.map((binary) => `conv ${binary}`),
  'algorithm',
]);
for (const [name, shape] of shapes) {
  const { flops } = shape;
  const gemm: string[] = [];
  const conv: string[] = [];
  let algorithm = '';
  for (const binary of binaries) {
    const product = await rate(gemmGraph(shape), flops / shape.op.groups, binary);
    const whole = isPointwise(shape) ? product : await rate(convGraph(shape), flops, binary);
    gemm.push(product.gflops.toFixed(1));
    conv.push(whole.gflops.toFixed(1));
    algorithm = whole.algorithm;
  }
  row(name, [...gemm, ...conv, algorithm]);
}
