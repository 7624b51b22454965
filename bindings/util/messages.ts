/** Values from downloaded files, made fit for one line of an error message. */
const LONGEST = 80;

/** Makes a name the subject of a sentence: control characters are escaped, and it is cut after `longest` characters. */
export function label(name: string, longest = LONGEST): string {
  if (name === '') return '""';
  const cut = name.length > longest ? `${name.slice(0, longest)}…` : name;
  return JSON.stringify(cut).slice(1, -1);
}

/** Makes any value the object of a sentence. Nested values are not walked: their depth is the file's to choose. */
export function shown(value: unknown): string {
  if (typeof value === 'string') return value === '' ? '""' : `"${label(value)}"`;
  if (Array.isArray(value)) {
    const items = value.slice(0, 8).map((item) => (typeof item === 'object' && item !== null ? '…' : shown(item)));
    return `[${items.join(', ')}${value.length > 8 ? ', …' : ''}]`;
  }
  if (typeof value === 'function') return 'a function';
  return typeof value === 'object' && value !== null ? 'an object' : String(value);
}

/** Joins texts: `a, b or c`. */
export const either = (items: readonly string[]): string =>
  items.length > 1 ? `${items.slice(0, -1).join(', ')} or ${items.at(-1)}` : `${items[0]}`;

/** Takes an error's message to be part of a sentence: without its full stop. */
export const plain = (cause: unknown): string => String((cause as Error).message ?? cause).replace(/\.$/, '');
