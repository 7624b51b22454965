/** Draws a network and its blocks as SVG. Boxes are the options of a list: one can be chosen, arrow keys go about. */

import { svg } from './dom.js';
import type { BlockLayout, Layout, PlacedShortcut } from './graph-layout.js';
import { neighbour } from './graph-layout.js';
import { shapeOf, type Unit } from './structure.js';
import { description, share, unitDescription, unitFollowers, unitOperation } from './words.js';

/** A drawing whose boxes can be marked and given their share of the time. */
export interface Drawing {
  readonly element: SVGSVGElement;
  /** Marks a box as chosen; undefined marks none. */
  select(index: number | undefined): void;
  /** `shares`: 0 … 1 for each box, or undefined if there is none. */
  setShares(shares: readonly (number | undefined)[]): void;
  focus(index: number): void;
}

interface BoxParts {
  readonly group: SVGGElement;
  readonly bar: SVGRectElement;
  readonly text: SVGTextElement;
  /** What a screen reader says, with the share of the time. */
  readonly label: (time: string) => string;
  readonly length: number;
}

/** One box: a heading, lines below it, the time at its foot. */
function box(
  place: { x: number; y: number; width: number; height: number },
  lines: readonly string[],
  words: string,
): BoxParts {
  const { x, y, width, height } = place;
  // The last line is for the time: a bar, and the share at its end.
  const foot = height - 11;
  const length = width - 54;
  const bar = svg('rect', { class: 'bar', x: 8, y: foot - 1.5, width: 0, height: 3, rx: 1.5 });
  const text = svg('text', { class: 'share', x: width - 8, y: foot + 4, 'text-anchor': 'end' });
  const group = svg(
    'g',
    { class: 'node', role: 'option', tabindex: -1, 'aria-selected': 'false', transform: `translate(${x} ${y})` },
    svg('rect', { class: 'box', width, height, rx: 7 }),
    // Spaces part the texts for those who hear them.
    lines.map((line, i) => [svg('text', { class: i === 0 ? 'name' : 'line', x: 8, y: 16 + 14 * i }, line), ' ']),
    text,
    svg('rect', { class: 'track', x: 8, y: foot - 1.5, width: length, height: 3, rx: 1.5 }),
    bar,
  );
  const label = (time: string): string => `${[...lines, time].filter(Boolean).join(' ')}: ${words}`;
  group.setAttribute('aria-label', label(''));
  return { group, bar, text, label, length };
}

function options(
  element: SVGSVGElement,
  boxes: readonly BoxParts[],
  choose: (index: number) => void,
  next: (from: number, key: string) => number | undefined,
): Drawing {
  let stop = 0;
  const moveStop = (index: number): void => {
    boxes[stop]?.group.setAttribute('tabindex', '-1');
    stop = index;
    boxes[stop]?.group.setAttribute('tabindex', '0');
  };
  moveStop(0);
  boxes.forEach(({ group }, i) => {
    group.addEventListener('click', () => choose(i));
    group.addEventListener('focus', () => moveStop(i));
    group.addEventListener('keydown', (event) => {
      if (event.altKey || event.ctrlKey || event.metaKey) return;
      const to = next(i, event.key);
      if (to !== undefined) boxes[to]?.group.focus();
      else if (event.key === 'Enter' || event.key === ' ') choose(i);
      else if (!event.key.startsWith('Arrow')) return;
      event.preventDefault();
    });
  });
  return {
    element,
    select(index) {
      boxes.forEach(({ group }, i) => {
        group.setAttribute('aria-selected', `${i === index}`);
      });
      if (index !== undefined) moveStop(index);
    },
    setShares(shares) {
      const greatest = Math.max(...shares.map((each) => each ?? 0));
      boxes.forEach(({ group, bar, text, label, length }, i) => {
        const own = shares[i];
        bar.setAttribute('width', `${own && greatest ? Math.max(1, (length * own) / greatest) : 0}`);
        text.textContent = own === undefined ? '' : share(own);
        group.setAttribute('aria-label', label(text.textContent));
      });
    },
    focus(index) {
      boxes[index]?.group.focus();
    },
  };
}

/** Where a shortcut meets the output: a sum, or channels side by side. */
function joinMark({ kind, join: { x, y } }: PlacedShortcut): SVGGElement {
  const lines =
    kind === 'concat'
      ? [`M${x - 1.5} ${y - 2.5}v5`, `M${x + 1.5} ${y - 2.5}v5`]
      : [`M${x - 2.5} ${y}h5`, `M${x} ${y - 2.5}v5`];
  return svg('g', { class: 'join' }, svg('circle', { cx: x, cy: y, r: 5 }), svg('path', { d: lines.join('') }));
}

export function shortcutMarks(shortcut: PlacedShortcut): SVGElement[] {
  const { kind, path, middle } = shortcut;
  return [
    svg('path', { class: 'shortcut', d: path }),
    ...(kind === 'projection'
      ? [svg('rect', { class: 'projection', x: middle.x - 3.5, y: middle.y - 3.5, width: 7, height: 7, rx: 2 })]
      : []),
    joinMark(shortcut),
  ];
}

/** The whole network. `choose` is told the part that is clicked, or chosen by Enter or Space. */
export function drawNetwork(name: string, layout: Layout, choose: (index: number) => void): Drawing {
  const boxes = layout.parts.map((placed) => {
    const { part } = placed;
    return box(placed, [part.label, shapeOf(part.shape)], description(part));
  });
  const element = svg(
    'svg',
    {
      class: 'network',
      role: 'listbox',
      'aria-label': `The parts of ${name}, from its input to its output`,
      width: layout.width,
      height: layout.height,
      viewBox: `0 0 ${layout.width} ${layout.height}`,
    },
    layout.groups.map(({ x, y, width, height }) => svg('rect', { class: 'stage', x, y, width, height, rx: 9 })),
    svg(
      'g',
      { 'aria-hidden': 'true' },
      layout.groups.map(({ group, x, y }) =>
        svg(
          'text',
          { class: 'stage-title', x: x + 12, y: y + 20 },
          group.title,
          svg('tspan', { class: 'stage-note', dx: 7 }, group.note),
        ),
      ),
      layout.flows.map((d) => svg('path', { class: 'flow', d })),
      layout.shortcuts.map(shortcutMarks),
    ),
    layout.groups.map(({ group, first }) =>
      svg(
        'g',
        { role: 'group', 'aria-label': [group.title, group.note].filter(Boolean).join(', ') },
        boxes.slice(first, first + group.parts.length).map((each) => each.group),
      ),
    ),
  );
  return options(element, boxes, choose, (from, key) => neighbour(layout, from, key));
}

/** The layers of a block. */
export function drawBlock(name: string, input: string, layout: BlockLayout, choose: (index: number) => void): Drawing {
  const label = (unit: Unit): string => unit.name.slice(name.length + 1);
  const boxes = layout.units.map((placed) => {
    const { unit } = placed;
    const followers = unitFollowers(unit);
    const lines = [label(unit), unitOperation(unit), [shapeOf(unit.shape), followers].filter(Boolean).join(' · ')];
    return box(placed, lines, unitDescription(unit));
  });
  const { input: start } = layout;
  const element = svg(
    'svg',
    {
      class: 'network',
      role: 'listbox',
      'aria-label': `The layers of ${name}`,
      width: layout.width,
      height: layout.height,
      viewBox: `0 0 ${layout.width} ${layout.height}`,
    },
    svg(
      'g',
      { 'aria-hidden': 'true' },
      layout.lines.map((d) => svg('path', { class: 'flow', d })),
      svg('circle', { class: 'entry', cx: start.x, cy: start.y, r: 4 }),
      svg('text', { class: 'line', x: start.x - 10, y: start.y + 4, 'text-anchor': 'end' }, input),
    ),
    boxes.map((each) => each.group),
  );
  return options(element, boxes, choose, (from, key) => {
    const step = { ArrowDown: 1, ArrowRight: 1, ArrowUp: -1, ArrowLeft: -1 }[key];
    const to = key === 'Home' ? 0 : key === 'End' ? boxes.length - 1 : step === undefined ? -1 : from + step;
    return boxes[to] ? to : undefined;
  });
}
