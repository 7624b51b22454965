/** Formats text: numbers, columns and bars. */

const format = new Intl.NumberFormat('en-US');

/** Formats a whole number with commas between thousands. */
export const digits = (value: number): string => format.format(value);

/** Aligns rows of cells, each column as wide as its longest cell. The columns `right` are flush right. */
export function columns(rows: readonly (readonly string[])[], right: readonly number[]): string {
  const widths = (rows[0] ?? []).map((_, column) => Math.max(...rows.map((cells) => cells[column]?.length ?? 0)));
  const pad = (cell: string, column: number): string =>
    right.includes(column) ? cell.padStart(widths[column] ?? 0) : cell.padEnd(widths[column] ?? 0);
  return rows.map((cells) => cells.map(pad).join('  ').trimEnd()).join('\n');
}

const EIGHTHS = ['', '▏', '▎', '▍', '▌', '▋', '▊', '▉'];

/** Draws a bar of `fraction` (0 … 1) of `width` characters, to an eighth of a character. */
export function bar(fraction: number, width: number): string {
  const eighths = Math.round(fraction * width * 8);
  return '█'.repeat(Math.floor(eighths / 8)) + EIGHTHS[eighths % 8];
}

/** `1 thread`, `4 threads`. */
export const threadsText = (count: number): string => `${count} ${count === 1 ? 'thread' : 'threads'}`;

/** Whether a stream is a terminal that moves its cursor. */
export const isTerminal = (stream: NodeJS.WriteStream): boolean => stream.isTTY === true && process.env.TERM !== 'dumb';
