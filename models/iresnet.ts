/**
 * Residual networks for faces: those of ArcFace (Deng et al. 2019, section 3.1), as insightface publishes them. 112 × 112
 * pixels of an aligned face become 512 values; two pictures show one face if theirs point the same way.
 */

import { convNorm } from './blocks.js';
import { GraphBuilder } from './builder.js';
import { FEATURES, type Graph, type NodeId } from './graph.js';
import { inputOf, type Network, type NetworkOptions, resolveOptions } from './network.js';
import type { Pair } from './shape.js';

const counts: Readonly<Record<string, readonly number[]>> = {
  iresnet18: [2, 2, 2, 2],
  iresnet34: [3, 4, 6, 3],
  iresnet50: [3, 4, 14, 3],
  iresnet100: [3, 13, 30, 3],
  iresnet200: [6, 26, 60, 6],
};

const VALUES = 512;
const WIDTH = 64;

const options = { shortcut: 'B', strideIn: 'conv2', convBias: false, batchNormEps: 1e-5 } as const;

/** Batch norm, 3x3 convolution, batch norm, PReLU, 3x3 convolution with the stride, batch norm; no activation after the sum. */
function block(g: GraphBuilder, name: string, x: NodeId, c: number, stride: number): NodeId {
  const at = (conv: string, norm: string): readonly [string, string] => [`${name}.${conv}`, `${name}.${norm}`];
  let y = g.batchNorm(`${name}.bn1`, x);
  y = convNorm(g, at('conv1', 'bn2'), y, c, { kernel: 3, padding: 1 }, options);
  y = g.activation(`${name}.prelu`, y, { kind: 'prelu' });
  y = convNorm(g, at('conv2', 'bn3'), y, c, { kernel: 3, stride, padding: 1 }, options);
  const isSame = stride === 1 && g.shape(x).c === c;
  const short = isSame ? x : convNorm(g, at('downsample.0', 'downsample.1'), x, c, { kernel: 1, stride }, options);
  return g.add(`${name}.add`, y, short);
}

function iresnet(name: string, stages: readonly number[]): Network {
  const defaults = { size: 112 as number | Pair, inChannels: 3 };

  function build(given: NetworkOptions = {}): Graph {
    const g = new GraphBuilder(name);
    let x = g.input(inputOf(name, resolveOptions(name, defaults, given)));
    x = convNorm(g, ['conv1', 'bn1'], x, WIDTH, { kernel: 3, padding: 1 }, options);
    x = g.activation('prelu', x, { kind: 'prelu' });
    stages.forEach((count, stage) => {
      for (let i = 0; i < count; i++) {
        x = block(g, `layer${stage + 1}.${i}`, x, WIDTH * 2 ** stage, i === 0 ? 2 : 1);
      }
    });
    const all = g.linear('fc', g.batchNorm('bn2', x), VALUES);
    return g.finish({ [FEATURES]: g.batchNorm('features', all) });
  }

  const depth = stages.reduce((sum, count) => sum + 2 * count, 2);
  return { family: 'IResNet for faces', description: `${depth} layers, ${VALUES} values of a face`, defaults, build };
}

/** Every network of this file by name. */
export const iresnets: Readonly<Record<string, Network>> = Object.fromEntries(
  Object.entries(counts).map(([name, stages]) => [name, iresnet(name, stages)]),
);
