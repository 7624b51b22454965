/** What the lines of a drawing mean: only those that it has. */

import { h, svg } from './dom.js';
import { shortcutMarks } from './drawing.js';
import type { Part, ShortcutKind } from './structure.js';
import { SHORTCUTS } from './words.js';

const NAMES: Readonly<Record<ShortcutKind, string>> = {
  identity: 'Identity',
  projection: 'Projection',
  concat: 'Concatenation',
};

export function legend(parts: readonly Part[]): HTMLElement[] {
  const kinds = (Object.keys(NAMES) as ShortcutKind[]).filter((kind) =>
    parts.some(({ shortcut }) => shortcut === kind),
  );
  if (kinds.length === 0) return [];
  const rows = kinds.map((kind) =>
    h(
      'li',
      {},
      svg(
        'svg',
        { class: 'network', width: 26, height: 26, 'aria-hidden': 'true' },
        svg('path', { class: 'flow', d: 'M7 1V25' }),
        shortcutMarks({
          kind,
          path: 'M7 4H15Q20 4 20 9V13Q20 18 15 18H7',
          join: { x: 7, y: 18 },
          middle: { x: 20, y: 11 },
        }),
      ),
      h('span', {}, h('strong', {}, NAMES[kind]), ` shortcut: ${SHORTCUTS[kind]}.`),
    ),
  );
  return [h('ul', { class: 'legend small soft' }, rows)];
}
