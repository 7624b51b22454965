/**
 * Places for the boxes and lines of a network's drawing. Pure geometry in pixels: parts flow down columns, columns stand
 * side by side, or in bands below each other if they do not fit.
 */

import type { Group, Part, ShortcutKind, Unit } from './structure.js';

export interface Box {
  readonly x: number;
  readonly y: number;
  readonly width: number;
  readonly height: number;
}

export interface PlacedPart extends Box {
  readonly part: Part;
  /** Counted over the whole drawing, for the arrow keys. */
  readonly column: number;
}

export interface PlacedGroup extends Box {
  readonly group: Group;
  /** Of its parts in `Layout.parts`. */
  readonly first: number;
}

/** The line that goes past a block, with what stands on it. */
export interface PlacedShortcut {
  readonly kind: ShortcutKind;
  readonly path: string;
  /** Where it meets the block's output. */
  readonly join: Point;
  /** Of a projection. */
  readonly middle: Point;
}

export interface Layout {
  readonly width: number;
  readonly height: number;
  readonly groups: readonly PlacedGroup[];
  readonly parts: readonly PlacedPart[];
  /** Paths from each part to the next. */
  readonly flows: readonly string[];
  readonly shortcuts: readonly PlacedShortcut[];
}

export interface Point {
  readonly x: number;
  readonly y: number;
}

const BOX = 52;
const GAP = 26;
const PITCH = BOX + GAP;
const HEADER = 28;
// From a group's header to its first box: the incoming line turns here.
const LEAD = 20;
// A shortcut leaves and meets the flow this far from the box, and passes this far beside it.
const SPLIT = 9;
const PASS = 10;
// Beyond it, to the edge of the group.
const EDGE = 8;
// Where a line turns to another column.
const TURN = 16;
const GUTTER = 12;
const MARGIN = 10;
const BAND_GAP = 24;
const LEAST_COLUMN = 140;
const GREATEST_COLUMN = 184;
// A stem of three or four is no reason for a second column.
const LEAST_ROWS = 3;
const GREATEST_ROWS = 60;
const RADIUS = 7;

/** A path along `points`, its corners rounded. */
export function rounded(points: readonly Point[], radius = RADIUS): string {
  const commands = points.map((point, i) => {
    const [before, after] = [points[i - 1], points[i + 1]];
    if (!before || !after) return `${before ? 'L' : 'M'}${point.x} ${point.y}`;
    const toward = (other: Point): Point => {
      const length = Math.hypot(other.x - point.x, other.y - point.y) || 1;
      const r = Math.min(radius, length / 2) / length;
      return { x: point.x + (other.x - point.x) * r, y: point.y + (other.y - point.y) * r };
    };
    const [from, to] = [toward(before), toward(after)];
    return `L${from.x} ${from.y}Q${point.x} ${point.y} ${to.x} ${to.y}`;
  });
  return commands.join('');
}

interface Band {
  readonly groups: { readonly group: Group; readonly columns: number; readonly rows: number }[];
  rows: number;
  columns: number;
}

/** Groups in bands of at most `columns` columns, with at most `rows` parts in each if they fit so. */
function pack(groups: readonly Group[], columns: number, rows: number): Band[] {
  const bands: Band[] = [];
  for (const group of groups) {
    const own = Math.min(columns, Math.ceil(group.parts.length / rows));
    const deep = Math.ceil(group.parts.length / own);
    let band = bands.at(-1);
    if (!band || band.columns + own > columns) {
      band = { groups: [], rows: 0, columns: 0 };
      bands.push(band);
    }
    band.groups.push({ group, columns: own, rows: deep });
    band.columns += own;
    band.rows = Math.max(band.rows, deep);
  }
  return bands;
}

const bandHeight = (rows: number): number => HEADER + LEAD + rows * PITCH;

const packedHeight = (bands: readonly Band[]): number =>
  bands.reduce((sum, { rows }) => sum + bandHeight(rows) + BAND_GAP, -BAND_GAP);

/** Lays a network out in `width` pixels, as low as it goes. */
export function layoutNetwork(groups: readonly Group[], width: number): Layout {
  const columns = Math.max(1, Math.floor((width - MARGIN) / LEAST_COLUMN));
  let bands = pack(groups, columns, LEAST_ROWS);
  for (let rows = LEAST_ROWS + 1; rows <= GREATEST_ROWS; rows++) {
    const other = pack(groups, columns, rows);
    if (packedHeight(other) <= packedHeight(bands)) bands = other;
  }
  const used = Math.max(...bands.map((band) => band.columns));
  const column = Math.min(GREATEST_COLUMN, Math.floor((width - MARGIN) / used));
  const boxWidth = column - GUTTER - MARGIN - PASS - EDGE;

  const parts: PlacedPart[] = [];
  const placedGroups: PlacedGroup[] = [];
  /** The bottom of the band that each part stands in. */
  const bottoms: number[] = [];
  let top = 0;
  let columnsBefore = 0;
  for (const band of bands) {
    let left = MARGIN;
    for (const { group, columns: own, rows } of band.groups) {
      const height = bandHeight(rows);
      placedGroups.push({ group, x: left, y: top, width: own * column - GUTTER, height, first: parts.length });
      group.parts.forEach((part, i) => {
        const [across, down] = [Math.floor(i / rows), i % rows];
        const x = left + across * column + MARGIN;
        const y = top + HEADER + LEAD + down * PITCH;
        parts.push({ part, x, y, width: boxWidth, height: BOX, column: columnsBefore + across });
        bottoms.push(top + bandHeight(band.rows));
      });
      columnsBefore += own;
      left += own * column;
    }
    top += bandHeight(band.rows) + BAND_GAP;
  }
  return {
    width: MARGIN + used * column - GUTTER,
    height: top - BAND_GAP,
    groups: placedGroups,
    parts,
    flows: parts.slice(1).map((to, i) => flow(parts[i] as PlacedPart, to, bottoms[i] as number, column)),
    shortcuts: parts.flatMap((placed) => shortcut(placed) ?? []),
  };
}

const centre = ({ x, width }: Box): number => x + width / 2;

/** From the foot of a box to the head of the next: straight down, up beside the column, or around to the next band. */
function flow(from: PlacedPart, to: PlacedPart, bandBottom: number, column: number): string {
  const [start, end] = [
    { x: centre(from), y: from.y + from.height },
    { x: centre(to), y: to.y },
  ];
  if (from.column === to.column) return rounded([start, end]);
  const gutter = from.x - MARGIN + column - GUTTER / 2;
  const turns = [{ x: start.x, y: start.y + TURN }];
  if (to.x > from.x && to.y <= from.y) {
    turns.push({ x: gutter, y: start.y + TURN });
  } else {
    const [below, left] = [bandBottom + BAND_GAP / 2, MARGIN / 2];
    turns.push({ x: gutter, y: start.y + TURN }, { x: gutter, y: below }, { x: left, y: below });
  }
  const { x } = turns.at(-1) as Point;
  return rounded([start, ...turns, { x, y: end.y - TURN }, { x: end.x, y: end.y - TURN }, end]);
}

function shortcut(placed: PlacedPart): PlacedShortcut | undefined {
  const { shortcut: kind } = placed.part;
  if (!kind) return undefined;
  const x = centre(placed);
  const beside = placed.x + placed.width + PASS;
  const [above, below] = [placed.y - SPLIT, placed.y + placed.height + SPLIT];
  return {
    kind,
    path: rounded([
      { x, y: above },
      { x: beside, y: above },
      { x: beside, y: below },
      { x, y: below },
    ]),
    join: { x, y: below },
    middle: { x: beside, y: (above + below) / 2 },
  };
}

/** The part that an arrow key leads to; undefined for other keys and at the edge. */
export function neighbour({ parts }: Layout, from: number, key: string): number | undefined {
  const here = parts[from];
  if (!here) return undefined;
  const within = (i: number): number | undefined => (parts[i] ? i : undefined);
  if (key === 'ArrowDown') return within(from + 1);
  if (key === 'ArrowUp') return within(from - 1);
  if (key === 'Home') return 0;
  if (key === 'End') return parts.length - 1;
  const side = key === 'ArrowRight' ? 1 : key === 'ArrowLeft' ? -1 : 0;
  if (side === 0) return undefined;
  let best: number | undefined;
  let distance = Number.POSITIVE_INFINITY;
  parts.forEach(({ column, y }, i) => {
    if (column !== here.column + side || Math.abs(y - here.y) >= distance) return;
    best = i;
    distance = Math.abs(y - here.y);
  });
  return best;
}

export interface PlacedUnit extends Box {
  readonly unit: Unit;
}

export interface BlockLayout {
  readonly width: number;
  readonly height: number;
  /** Where the block's input comes in. */
  readonly input: Point;
  readonly units: readonly PlacedUnit[];
  readonly lines: readonly string[];
}

const UNIT = 66;
const UNIT_GAP = 20;
const LANE = 18;

/** The layers of a block: the longest way straight down, the other ways beside it. */
export function layoutBlock({ units }: Part, width: number): BlockLayout {
  const ranks: number[] = [];
  const longest: number[] = [];
  units.forEach(({ inputs }, i) => {
    const [best = -1] = [...inputs].sort((a, b) => (ranks[b] ?? -1) - (ranks[a] ?? -1));
    ranks[i] = (ranks[best] ?? -1) + 1;
    longest[i] = best;
  });
  const main = new Set<number>();
  for (let i = units.length - 1; i >= 0; i = longest[i] ?? -1) main.add(i);
  const hasSide = main.size < units.length;
  const hasSkip = units.some(({ inputs }, i) => inputs.some((from) => main.has(i) && skips(from, i)));
  function skips(from: number, to: number): boolean {
    return (from < 0 || main.has(from)) && (ranks[to] ?? 0) - (ranks[from] ?? -1) > 1;
  }
  const room = width - (hasSkip ? LANE : 0);
  const mainWidth = Math.min(212, hasSide ? (room - LANE) * 0.54 : room);
  const sideWidth = Math.min(190, room - LANE - mainWidth);
  const place = (i: number): Box => ({
    x: main.has(i) ? 0 : mainWidth + LANE,
    y: LANE + UNIT_GAP / 2 + (ranks[i] ?? 0) * (UNIT + UNIT_GAP),
    width: main.has(i) ? mainWidth : sideWidth,
    height: UNIT,
  });
  const placed = units.map((unit, i) => ({ unit, ...place(i) }));
  const input = { x: mainWidth / 2, y: 6 };
  const lines = placed.flatMap((to, i) =>
    to.unit.inputs.map((source) => {
      const from = placed[source];
      const start = from ? { x: centre(from), y: from.y + UNIT } : input;
      const end = { x: centre(to), y: to.y };
      if (main.has(i) && skips(source, i)) {
        const lane = mainWidth + LANE / 2;
        return rounded([
          start,
          { x: start.x, y: start.y + 10 },
          { x: lane, y: start.y + 10 },
          { x: lane, y: to.y + UNIT / 2 },
          { x: to.x + to.width, y: to.y + UNIT / 2 },
        ]);
      }
      if (main.has(i) === (source < 0 || main.has(source))) return rounded([start, end]);
      const [turn, stop] = main.has(i)
        ? [
            { x: start.x, y: to.y + UNIT / 2 },
            { x: to.x + to.width, y: to.y + UNIT / 2 },
          ]
        : [{ x: start.x, y: start.y + 10 }, end];
      return rounded(main.has(i) ? [start, turn, stop] : [start, turn, { x: end.x, y: start.y + 10 }, end]);
    }),
  );
  const height = Math.max(...placed.map(({ y }) => y + UNIT)) + 4;
  const widest = Math.max(...placed.map((box) => box.x + box.width)) + (hasSkip && !hasSide ? LANE : 0);
  return { width: widest, height, input, units: placed, lines };
}
