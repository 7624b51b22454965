/** Resident memory of processes, as Linux tells it. */

import { readdirSync, readFileSync, writeFileSync } from 'node:fs';

/** Bytes of a line of /proc/PID/status: VmRSS is what is resident now, VmHWM its peak. */
export function statusBytes(line: 'VmRSS' | 'VmHWM', process: number | 'self' = 'self'): number {
  const file = `/proc/${process}/status`;
  const found = new RegExp(`^${line}:\\s+(\\d+) kB$`, 'm').exec(readFileSync(file, 'utf8'));
  if (!found) throw new Error(`${file}: expected a line ${line}, got none.`);
  return Number(found[1]) * 1024;
}

/** Collects garbage, if that is exposed, and sets this process's peak to what is resident now, which it returns. */
export function resetPeak(): number {
  globalThis.gc?.();
  // 5 is the peak's reset (proc(5), clear_refs).
  writeFileSync('/proc/self/clear_refs', '5');
  return statusBytes('VmRSS');
}

/** Processes that `root` started, and those that they started, whose command line has `flag`. */
export function descendants(root: number, flag: string): number[] {
  const parents = new Map<number, number>();
  for (const name of readdirSync('/proc').filter((each) => /^\d+$/.test(each))) {
    try {
      const [, parent] = /^PPid:\s+(\d+)$/m.exec(readFileSync(`/proc/${name}/status`, 'utf8')) ?? [];
      parents.set(Number(name), Number(parent));
    } catch {
      // It ended meanwhile.
    }
  }
  const isBelow = (pid: number | undefined): boolean =>
    pid !== undefined && pid > 0 && (pid === root || isBelow(parents.get(pid)));
  return [...parents.keys()].filter(
    (pid) => isBelow(pid) && readFileSync(`/proc/${pid}/cmdline`, 'utf8').includes(flag),
  );
}
