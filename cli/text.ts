/** Text in columns, and bars. */

const format = new Intl.NumberFormat('en-US');

/** A whole number with commas between thousands. */
export const digits = (value: number): string => format.format(value);

/** Rows of cells, each column as wide as its longest cell; the columns `right` are flush right. */
export function columns(rows: readonly (readonly string[])[], right: readonly number[]): string {
  const widths = (rows[0] ?? []).map((_, column) => Math.max(...rows.map((cells) => cells[column]?.length ?? 0)));
  const pad = (cell: string, column: number): string =>
    right.includes(column) ? cell.padStart(widths[column] ?? 0) : cell.padEnd(widths[column] ?? 0);
  return rows.map((cells) => cells.map(pad).join('  ').trimEnd()).join('\n');
}

const EIGHTHS = ['', '▏', '▎', '▍', '▌', '▋', '▊', '▉'];

/** A bar of up to `width` characters, `fraction` (0 … 1) of them filled, to an eighth of a character. */
export function bar(fraction: number, width: number): string {
  const eighths = Math.round(fraction * width * 8);
  return '█'.repeat(Math.floor(eighths / 8)) + EIGHTHS[eighths % 8];
}
