/** Runs a plan step by step in float64, without kernels: what its steps, places and lifetimes come to. */

import type { Plan, PlanStep, View } from '../../bindings/compile/plan.js';
import { activate, evaluateNode, type Inputs, type Tensors } from './evaluate.js';
import { add, type Maps, relu, type Values } from './reference.js';

/** One arena for `batch` images; a buffer's images lie one after the other. All of it is NaN until it is written. */
class Memory {
  readonly #plan: Plan;
  readonly #batch: number;
  readonly #values: Float64Array;

  constructor(plan: Plan, batch: number) {
    this.#plan = plan;
    this.#batch = batch;
    this.#values = new Float64Array(plan.arenaSize * batch).fill(Number.NaN);
  }

  read(view: View): Float64Array {
    const out = new Float64Array(this.#pixels(view) * view.shape.c);
    this.#each(view, (at, i) => {
      out[i] = this.#values[at] as number;
    });
    return out;
  }

  write(view: View, values: Values): void {
    this.#each(view, (at, i) => {
      this.#values[at] = values[i] as number;
    });
  }

  #pixels({ shape }: View): number {
    return this.#batch * shape.h * shape.w;
  }

  #each(view: View, visit: (at: number, i: number) => void): void {
    const { buffer, offset, ld, shape } = view;
    const start = (this.#plan.buffers[buffer]?.offset ?? Number.NaN) * this.#batch + offset;
    for (let pixel = 0, i = 0; pixel < this.#pixels(view); pixel++)
      for (let c = 0; c < shape.c; c++, i++) visit(start + pixel * ld + c, i);
  }
}

/** What a step makes of what lies there: batch norm before, the operation, batch norm, sum, activation. */
function resultOf(step: PlanStep, memory: Memory, batch: number, tensors: Tensors): Values {
  const { kind, node, folded, preActivation, activation, slopes, input, residual, output } = step;
  const from: Maps = { batch, ...input.shape };
  const other = residual && memory.read(residual);
  let x: Values = memory.read(input);
  if (preActivation) x = relu(evaluateNode(preActivation, from, [x], tensors));
  const isPair = kind === 'mul' || kind === 'binary' || kind === 'matmul';
  const shapes = [input.shape, ...(residual ? [residual.shape] : [])];
  if (kind !== 'copy') x = evaluateNode(node, from, isPair ? [x, other as Values] : [x], tensors, shapes);
  const to: Maps = { batch, ...output.shape };
  if (folded) x = evaluateNode(folded, to, [x], tensors);
  if (other && !isPair) x = add(x, other);
  return activation ? activate(x, activation, tensors.get(slopes?.params.weight ?? '')) : x;
}

/** The outputs of a plan by name, for `batch` images; and the value of each node right after the step that completes it. */
export function runPlan(
  plan: Plan,
  tensors: Tensors,
  inputs: Inputs,
  batch: number,
): { outputs: Map<string, Float64Array>; values: Float64Array[] } {
  const memory = new Memory(plan, batch);
  const values: Float64Array[] = [];
  const keep = (after: number): void => {
    plan.values.forEach(({ step, view }, id) => {
      if (step === after) values[id] = memory.read(view);
    });
  };
  const isOne = inputs instanceof Float32Array || inputs instanceof Float64Array;
  for (const { name, view } of plan.inputs) {
    memory.write(view, isOne ? (inputs as Values) : ((inputs as Record<string, Values>)[name] as Values));
  }
  keep(-1);
  plan.steps.forEach((step, i) => {
    memory.write(step.output, resultOf(step, memory, batch, tensors));
    keep(i);
  });
  return { outputs: new Map(plan.outputs.map(({ name, view }) => [name, memory.read(view)])), values };
}
