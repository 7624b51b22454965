/** What every measurement needs: the machine in words, and statistics. */

import { cpus } from 'node:os';

/** "Node 20.20.2 (V8 11.3), AMD EPYC, 2 cores". */
export function machineText(): string {
  const v8 = process.versions.v8.split('.').slice(0, 2).join('.');
  return `Node ${process.versions.node} (V8 ${v8}), ${cpuText()}`;
}

export function cpuText(): string {
  const cores = cpus();
  return `${cores[0]?.model.trim() ?? process.arch}, ${cores.length} ${cores.length === 1 ? 'core' : 'cores'}`;
}

export function median(values: readonly number[]): number {
  const sorted = [...values].sort((a, b) => a - b);
  const middle = sorted.length >> 1;
  const upper = sorted[middle] ?? Number.NaN;
  return sorted.length % 2 ? upper : (upper + (sorted[middle - 1] ?? Number.NaN)) / 2;
}
