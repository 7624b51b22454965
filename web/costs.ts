/** What parts of a network cost: parameters and multiply–adds by its summary, time by profiled runs. */

import type { StepProfile, Summary } from '../bindings/index.js';
import { median } from './statistics.js';
import type { Part, Unit } from './structure.js';

export interface Cost {
  readonly parameters: number;
  readonly macs: number;
  /** Undefined until it is measured, and if all is computed within the steps of other layers. */
  readonly ms: number | undefined;
}

/** Milliseconds of each step by the name of its node: medians over the runs. */
export function stepTimes(runs: readonly (readonly StepProfile[])[]): Map<string, number> {
  const times = new Map<string, number[]>();
  runs.forEach((steps, run) => {
    for (const { name, ms } of steps) {
      const ofRuns = times.get(name) ?? runs.map(() => 0);
      // A layer may take several steps: copies beside its own.
      ofRuns[run] = (ofRuns[run] ?? 0) + ms;
      times.set(name, ofRuns);
    }
  });
  return new Map([...times].map(([name, ofRuns]) => [name, median(ofRuns)]));
}

export class Costs {
  readonly #rows: ReadonlyMap<string, { readonly parameters: number; readonly macs: number }>;
  readonly #times: ReadonlyMap<string, number> | undefined;

  /** `times`: of `stepTimes`, if they were measured. */
  constructor(summary: Summary, times?: ReadonlyMap<string, number>) {
    this.#rows = new Map(summary.rows.map((row) => [row.name, row]));
    this.#times = times;
  }

  /** Milliseconds of all steps; undefined until they are measured. */
  get totalMs(): number | undefined {
    return this.#times && [...this.#times.values()].reduce((sum, ms) => sum + ms, 0);
  }

  of(part: Part | Unit): Cost {
    const nodes = 'units' in part ? part.units.flatMap((unit) => unit.nodes) : part.nodes;
    let [parameters, macs] = [0, 0];
    let ms: number | undefined;
    for (const { name } of nodes) {
      parameters += this.#rows.get(name)?.parameters ?? 0;
      macs += this.#rows.get(name)?.macs ?? 0;
      const own = this.#times?.get(name);
      if (own !== undefined) ms = (ms ?? 0) + own;
    }
    return { parameters, macs, ms };
  }

  /** Of the time of all steps, 0 … 1. */
  share(part: Part | Unit): number | undefined {
    const { ms } = this.of(part);
    const total = this.totalMs;
    return ms === undefined || !total ? undefined : ms / total;
  }
}
