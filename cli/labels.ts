/** Files of labels: `--labels`. */

import { readFile } from 'node:fs/promises';

/** The label in an entry of Keras's class index, ["n02123045", "tabby"], or the entry itself. */
const labelIn = (entry: unknown): unknown => (Array.isArray(entry) ? entry.at(-1) : entry);

/** Entries of an object by their index, "0", "1" and so on. */
function byIndex(path: string, table: object): unknown[] {
  const entries = new Map(Object.entries(table));
  return Array.from({ length: entries.size }, (_, index) => {
    if (!entries.has(`${index}`)) throw new Error(`${path}: expected a label for class ${index}, got none.`);
    return labelIn(entries.get(`${index}`));
  });
}

function parsed(path: string, text: string): unknown {
  try {
    return JSON.parse(text);
  } catch (cause) {
    throw new Error(`${path}: expected JSON since it begins with ${text.trimStart()[0]}, got text that is none.`, {
      cause,
    });
  }
}

/**
 * Reads the labels of classes in their order: one per line; or JSON, a list, an object of labels by index, or one that
 * has such an object as `id2label`, as the config.json of Hugging Face does. Rejects with one sentence if there are none.
 */
export async function readLabels(path: string): Promise<readonly string[]> {
  // Without a byte order mark, which JSON.parse refuses.
  const text = (await readFile(path, 'utf8')).replace(/^\uFEFF/, '');
  const isJson = /^\s*[[{]/.test(text);
  const value = isJson ? parsed(path, text) : text.trimEnd().split(/\r?\n/);
  const table = (value as { id2label?: unknown }).id2label ?? value;
  const labels = Array.isArray(table) ? table.map(labelIn) : byIndex(path, table as object);
  const wrong = labels.findIndex((label) => typeof label !== 'string' || label.trim() === '');
  if (labels.length === 0 || wrong >= 0) {
    const where = isJson ? `for class ${Math.max(wrong, 0)}` : `in line ${Math.max(wrong, 0) + 1}`;
    throw new Error(`${path}: expected a label ${where}, got none.`);
  }
  return labels.map((label) => (label as string).trim());
}
