/** Rows of tables by name, with an error that helps. */

import { ResnetError } from './errors.js';

/** Insertions, deletions and replacements that turn `a` into `b` (Levenshtein 1966). */
function distance(a: string, b: string): number {
  let row = Array.from({ length: b.length + 1 }, (_, j) => j);
  for (let i = 1; i <= a.length; i++) {
    const next = [i];
    for (let j = 1; j <= b.length; j++) {
      const replaced = (row[j - 1] as number) + (a[i - 1] === b[j - 1] ? 0 : 1);
      next.push(Math.min(replaced, (row[j] as number) + 1, (next[j - 1] as number) + 1));
    }
    row = next;
  }
  return row[b.length] as number;
}

// Names longer than this are cut, so that a long wrong name costs no time.
const LONGEST = 64;

/** The one of `names` that needs the fewest changes, whatever its case. */
export function closest(names: readonly string[], wrong: string): string | undefined {
  const cut = wrong.slice(0, LONGEST).toLowerCase();
  const changes = names.map((name) => distance(cut, name.toLowerCase()));
  return names[changes.indexOf(Math.min(...changes))];
}

/** The row called `name`. Throws that lists the names there are, and the closest. */
export function lookup<Row>(what: string, table: Readonly<Record<string, Row>>, name: string): Row {
  if (Object.hasOwn(table, name)) return table[name] as Row;
  const names = Object.keys(table);
  const wrong = String(name);
  throw new ResnetError(
    'argument',
    `${what}: expected one of ${names.join(', ')}, got ${wrong}; the closest is ${closest(names, wrong)}.`,
  );
}
