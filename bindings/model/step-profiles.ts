/** What each step of a run took. */

import { macs } from '../../models/index.js';
import type { Plan } from '../compile/plan.js';
import type { StepProfile } from './types.js';

/** Names the steps of a plan and counts their multiply–adds for `batch` images, beside the milliseconds of each. */
export function stepProfiles({ graph, steps }: Plan, batch: number, stepMs: readonly number[]): StepProfile[] {
  return steps.map(({ kind, node, algorithm }, i) => ({
    name: node.name,
    kind,
    algorithm: kind === 'conv' ? algorithm : undefined,
    ms: stepMs[i] as number,
    macs: kind === 'conv' || kind === 'linear' ? macs(graph, node) * batch : 0,
  }));
}
