/** A network that is looked into: its parts, and what they cost. */

import {
  buildNetwork,
  type Graph,
  graphInput,
  type Model,
  type NetworkOptions,
  type StepProfile,
  type Summary,
  seededInput,
  summary,
} from '../bindings/index.web.js';
import { Costs, stepTimes } from './costs.js';
import { threadsText } from './format.js';
import { type Part, partsOf } from './structure.js';

/** Runs before the timed ones, in which the engine optimises the kernels. */
const WARM_UP = 3;
const RUNS = 7;

export class Subject {
  readonly name: string;
  readonly graph: Graph;
  readonly parts: readonly Part[];
  readonly summary: Summary;
  costs: Costs;
  /** How it was measured, once it is: one sentence. */
  measured: string | undefined;

  /** `options` as for `buildNetwork`; a loaded model knows its own numbers better. */
  constructor(name: string, options: NetworkOptions, model: Model | undefined) {
    this.name = name;
    this.graph = buildNetwork(name, options);
    this.parts = partsOf(this.graph);
    this.summary = model?.summary() ?? summary(this.graph);
    this.costs = new Costs(this.summary);
  }

  /** Takes the time of each step on `model`. Rejects with the signal's reason once it is aborted. */
  async measure(model: Model, signal: AbortSignal): Promise<void> {
    const { h, w, c } = graphInput(this.graph);
    const shape = [1, c, h, w];
    const input = { data: seededInput(shape), shape, layout: 'NCHW' as const };
    const runs: (readonly StepProfile[])[] = [];
    for (let run = -WARM_UP; run < RUNS; run++) {
      const { profile = [] } = await model.run(input, { profile: true });
      signal.throwIfAborted();
      if (run >= 0) runs.push(profile);
    }
    const { threads } = model.info();
    this.costs = new Costs(this.summary, stepTimes(runs));
    this.measured = `Median of ${RUNS} runs, ${runs[0]?.length} steps one by one, ${threadsText(threads)}.`;
  }
}
