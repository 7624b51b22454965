/** Fusion, places of concatenated channels, lifetimes of buffers. */

import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { makePlan, type Plan, type PlanStep, type View } from '../../bindings/compile/plan.js';
import { buildNetwork, type Graph, GraphBuilder, type NodeId, networkNames } from '../../models/index.js';

const kinds = (plan: Plan): string[] => plan.steps.map(({ kind }) => kind);

const stepOf = (plan: Plan, name: string): PlanStep => {
  const step = plan.steps.find(({ node, kind }) => node.name === name && kind !== 'copy');
  assert.ok(step, name);
  return step;
};

const shares = (a: View, b: View): boolean => a.buffer === b.buffer && a.offset === b.offset;

/** Elements that a view covers for one image, in runs: first and one past the last. */
function* runs(plan: Plan, { buffer, offset, ld, shape: { h, w, c } }: View): Generator<[number, number]> {
  const start = (plan.buffers[buffer]?.offset ?? 0) + offset;
  if (ld === c) yield [start, start + h * w * c];
  else for (let pixel = 0; pixel < h * w; pixel++) yield [start + pixel * ld, start + pixel * ld + c];
}

/**
 * Plays a plan on memory whose elements say which buffer wrote them last: what a step reads must still be its buffer's
 * own, and nothing may lie outside the arena. What is said to be complete after a step is.
 */
function assertNothingOverwritten(plan: Plan): void {
  const writer = new Int16Array(plan.arenaSize).fill(-1);
  const write = (view: View): void => {
    for (const [first, end] of runs(plan, view)) {
      assert.ok(end <= plan.arenaSize, `${plan.graph.name}: element ${end} of ${plan.arenaSize}`);
      writer.fill(view.buffer, first, end);
    }
  };
  const read = (view: View, reader: string): void => {
    for (const [first, end] of runs(plan, view)) {
      for (let i = first; i < end; i++) {
        if (writer[i] !== view.buffer) {
          assert.unreachable(
            `${plan.graph.name}, ${reader}: expected buffer ${view.buffer} at ${i}, got ${writer[i]}.`,
          );
        }
      }
    }
  };
  const readComplete = (step: number): void => {
    for (const value of plan.values) if (value.step === step) read(value.view, `the value of ${value.node.name}`);
  };
  for (const { view } of plan.inputs) write(view);
  readComplete(-1);
  plan.steps.forEach(({ node, input, residual, output }, step) => {
    read(input, node.name);
    if (residual) read(residual, node.name);
    write(output);
    readComplete(step);
  });
  for (const { name, view } of plan.outputs) {
    read(view, `the output ${name}`);
    assert.equal([view.offset, view.ld], [0, view.shape.c], name);
  }
}

/** The most elements that are alive at once, were memory of no shape: from first to last touch of each buffer. */
function peak(plan: Plan): number {
  const last = plan.buffers.map(() => -1);
  const first = plan.buffers.map(() => plan.steps.length);
  const touch = (view: View | undefined, step: number): void => {
    if (!view) return;
    first[view.buffer] = Math.min(first[view.buffer] as number, step);
    last[view.buffer] = Math.max(last[view.buffer] as number, step);
  };
  for (const { view } of plan.inputs) touch(view, -1);
  plan.steps.forEach(({ input, residual, output }, step) => {
    for (const view of [input, residual, output]) touch(view, step);
  });
  for (const { view } of plan.outputs) touch(view, plan.steps.length);
  const alive = plan.steps.map((_, step) =>
    plan.buffers.reduce(
      (sum, { size }, i) => sum + ((first[i] as number) <= step && step <= (last[i] as number) ? size : 0),
      0,
    ),
  );
  return Math.max(...alive);
}

test('every network: no buffer is overwritten while it is alive', () => {
  const plans = networkNames().map((name) => makePlan(buildNetwork(name)));
  assert.ok(plans.length > 30 && plans.every(({ steps }) => steps.length >= 8));
  for (const plan of plans) assertNothingOverwritten(plan);
});

test('resnet18: a step for each convolution, pool and linear layer, and none else', () => {
  const plan = makePlan(buildNetwork('resnet18'));
  const convolutions = plan.steps.filter(({ kind }) => kind === 'conv');
  assert.is(convolutions.length, 20);
  assert.equal(
    kinds(plan).filter((kind) => kind !== 'conv'),
    ['maxPool', 'reduce', 'linear'],
  );
  for (const { node, folded } of convolutions) {
    assert.is(folded?.name, node.name.replace('conv', 'bn').replace('downsample.0', 'downsample.1'));
  }
});

test('an add and its ReLU go to the later of the two convolutions', () => {
  const plan = makePlan(buildNetwork('resnet50'));
  const [branch, shortcut] = [stepOf(plan, 'layer2.0.conv3'), stepOf(plan, 'layer2.0.downsample.0')];
  assert.ok(plan.steps.indexOf(branch) < plan.steps.indexOf(shortcut));
  assert.is(branch.residual, undefined);
  assert.is(branch.activation, undefined);
  assert.ok(shortcut.residual && shares(shortcut.residual, branch.output));
  assert.equal(shortcut.activation, { kind: 'relu' });

  const identity = stepOf(plan, 'layer2.1.conv3');
  assert.ok(identity.residual && shares(identity.residual, shortcut.output));
  assert.equal(identity.activation, { kind: 'relu' });
});

test('a sum takes the place of its residual', () => {
  const sums = makePlan(buildNetwork('resnet50')).steps.filter(({ residual }) => residual);
  assert.is(sums.length, 16);
  for (const { node, output, residual } of sums) assert.ok(residual && shares(output, residual), node.name);
});

test('a sum does not take the place of a residual that is read again, nor of its own input', () => {
  const g = new GraphBuilder('again');
  const x = g.conv('a', g.input({ h: 4, w: 4, c: 8 }), 8, { kernel: 1 });
  const sum = g.add('sum', g.conv('b', x, 8, { kernel: 3, padding: 1 }), x);
  const plan = makePlan(g.finish(g.add('twice', sum, x)));
  const step = stepOf(plan, 'b');
  assert.ok(step.residual && !shares(step.output, step.residual));
  assertNothingOverwritten(plan);

  const own = new GraphBuilder('own');
  const y = own.conv('a', own.input({ h: 4, w: 4, c: 8 }), 8, { kernel: 1 });
  const both = own.relu('relu', own.add('sum', own.conv('b', y, 8, { kernel: 3, padding: 1 }), y));
  const { steps } = makePlan(own.finish(own.globalAvgPool('pool', both)));
  assert.ok(steps[1] && !shares(steps[1].output, steps[1].input));
});

test('values that are used twice are not fused away', () => {
  const g = new GraphBuilder('shared');
  const a = g.conv('a', g.input({ h: 4, w: 4, c: 4 }), 4, { kernel: 1 });
  const n = g.batchNorm('n', a);
  const plan = makePlan(g.finish(g.add('sum', n, a)));
  assert.equal(kinds(plan), ['conv', 'batchNorm', 'copy']);
  assert.is(plan.steps[0]?.folded, undefined);

  const out = new GraphBuilder('output');
  const conv = out.conv('conv', out.input({ h: 4, w: 4, c: 4 }), 4, { kernel: 1 });
  out.relu('relu', conv);
  const { steps } = makePlan(out.finish(conv));
  assert.is(steps[0]?.activation, undefined);
});

test('the arena of resnet50 is the peak of what is alive at once, and no more', () => {
  const plan = makePlan(buildNetwork('resnet50'));
  // layer2.0 up to its 3x3: its input, 56x56x128 behind conv1, and 28x28x128 behind conv2. For one image 5.2 MB.
  const expected = 56 * 56 * 256 + 56 * 56 * 128 + 28 * 28 * 128;
  assert.is(peak(plan), expected);
  assert.is(plan.arenaSize, expected);
});

/** DenseNet's block: each layer reads all features so far, `grow` says how they are put together. */
function dense(grow: 'nested' | 'listed'): Graph {
  const g = new GraphBuilder(grow);
  const features: NodeId[] = [g.conv('stem', g.input({ h: 6, w: 6, c: 3 }), 8, { kernel: 3, padding: 1 })];
  let all = features[0] as NodeId;
  for (let i = 0; i < 4; i++) {
    const normed = g.relu(`relu${i}`, g.batchNorm(`norm${i}`, all));
    features.push(g.conv(`conv${i}`, normed, 4, { kernel: 3, padding: 1 }));
    const parts = grow === 'nested' ? [all, features.at(-1) as NodeId] : features;
    all = g.concat(`concat${i}`, parts);
  }
  return g.finish(g.globalAvgPool('pool', g.relu('relu', g.batchNorm('norm', all))));
}

test('features that grow lie in one buffer from the start: no copies', () => {
  for (const grow of ['nested', 'listed'] as const) {
    const plan = makePlan(dense(grow));
    assert.not(kinds(plan).includes('copy'), grow);
    const places = plan.steps.filter(({ kind }) => kind === 'conv').map(({ output }) => output);
    assert.equal(
      places.map(({ offset }) => offset),
      [0, 8, 12, 16, 20],
    );
    for (const { ld, buffer } of places) assert.equal([ld, buffer], [24, places[0]?.buffer]);
    assertNothingOverwritten(plan);
  }
});

test('what cannot lie in a concatenation is copied to it', () => {
  const copies = (build: (g: GraphBuilder, x: NodeId, input: NodeId) => NodeId): number => {
    const g = new GraphBuilder('copies');
    const input = g.input({ h: 4, w: 4, c: 4 });
    const plan = makePlan(g.finish(build(g, g.conv('x', input, 4, { kernel: 1 }), input)));
    assertNothingOverwritten(plan);
    return kinds(plan).filter((kind) => kind === 'copy').length;
  };
  assert.is(
    copies((g, x) => g.concat('c', [x, g.maxPool('p', x, { kernel: 1 })])),
    0,
  );
  assert.is(
    copies((g, x) => g.concat('c', [x, x])),
    1,
  );
  assert.is(
    copies((g, x, input) => g.concat('c', [input, x])),
    1,
  );
  assert.is(
    copies((g, _, input) => g.concat('c', [input, input])),
    2,
  );
  // The same value in two concatenations, at places that do not agree.
  assert.is(
    copies((g, x) => {
      const p = g.maxPool('p', x, { kernel: 1 });
      return g.add('sum', g.concat('c', [x, p]), g.concat('d', [p, x]));
    }),
    3,
  );
});

test('an output that a concatenation also wants lies by itself', () => {
  const g = new GraphBuilder('dead end');
  const x = g.conv('x', g.input({ h: 4, w: 4, c: 4 }), 4, { kernel: 1 });
  g.concat('c', [x, g.conv('y', x, 4, { kernel: 1 })]);
  const plan = makePlan(g.finish(x));
  assert.is(plan.outputs[0].view.ld, 4);
});

test('every node has a value: its own, or that of the last node that is fused with it', () => {
  const valueFor = (network: string, name: string) => {
    const plan = makePlan(buildNetwork(network));
    const { node, step, view } = plan.values[plan.graph.nodes.findIndex((one) => one.name === name)] ?? {};
    assert.equal(view?.shape, node?.shape);
    return { value: node?.name, step: plan.steps[step ?? -1]?.node.name };
  };
  assert.equal(valueFor('resnet50', 'conv1'), { value: 'relu', step: 'conv1' });
  assert.equal(valueFor('resnet50', 'maxpool'), { value: 'maxpool', step: 'maxpool' });
  // The sum is made where the shortcut is: the branch has a value of its own before.
  assert.equal(valueFor('resnet50', 'layer2.0.conv3'), { value: 'layer2.0.bn3', step: 'layer2.0.conv3' });
  for (const name of ['layer2.0.downsample.0', 'layer2.0.downsample.1', 'layer2.0.add']) {
    assert.equal(valueFor('resnet50', name), { value: 'layer2.0.relu', step: 'layer2.0.downsample.0' }, name);
  }
  assert.equal(valueFor('resnet50', 'input'), { value: 'input', step: undefined });
  // What comes before a pointwise convolution is computed as its input is packed.
  const dense1 = 'features.denseblock1.denselayer1';
  for (const name of ['norm1', 'relu1', 'conv1', 'norm2', 'relu2']) {
    assert.equal(valueFor('densenet121', `${dense1}.${name}`), { value: `${dense1}.relu2`, step: `${dense1}.conv1` });
  }
  assert.equal(valueFor('densenet121', `${dense1}.concat`), { value: `${dense1}.concat`, step: `${dense1}.conv2` });
});

test('a linear layer reads what lies by itself, and a concatenation a copy of it', () => {
  const g = new GraphBuilder('linear');
  const x = g.conv('x', g.input({ h: 2, w: 2, c: 4 }), 4, { kernel: 1 });
  const c = g.concat('c', [x, g.conv('y', x, 4, { kernel: 1 })]);
  const { steps } = makePlan(g.finish(g.add('sum', g.linear('one', x, 3), g.linear('both', c, 3))));
  const inputs = steps.filter(({ kind }) => kind === 'linear').map(({ input }) => [input.ld, input.offset]);
  assert.equal(inputs, [
    [4, 0],
    [8, 0],
  ]);
  assert.equal(
    steps.map(({ kind }) => kind),
    ['conv', 'conv', 'copy', 'linear', 'linear', 'copy'],
  );
});

test('a reshape has no step; nor has a slice of channels, unless its value leaves the graph', () => {
  const g = new GraphBuilder('views');
  const x = g.conv('x', g.input({ h: 2, w: 3, c: 4 }), 8, { kernel: 1 });
  const low = g.op('slice', 'low', [x], { h: 2, w: 3, c: 4, start: [0, 0, 0], step: [1, 1, 1] });
  const high = g.op('slice', 'high', [x], { h: 2, w: 3, c: 3, start: [0, 0, 5], step: [1, 1, 1] });
  const product = g.mul('product', g.activation('gate', low, { kind: 'sigmoid' }), low);
  const flat = g.op('reshape', 'flat', [product], { h: 1, w: 1, c: 24 });
  const plan = makePlan(g.finish({ flat, high }));
  assert.equal(
    plan.steps.map(({ kind, node }) => `${kind} ${node.name}`),
    ['conv x', 'slice high', 'copy gate', 'mul product'],
  );
  const view = (id: number) => plan.values[id]?.view;
  assert.equal([view(low)?.ld, view(low)?.offset, view(low)?.shape.c], [8, 0, 4]);
  assert.equal([view(flat)?.ld, view(flat)?.buffer], [24, view(product)?.buffer]);
  assert.equal(plan.values[flat]?.step, 3);
});

test.run();
