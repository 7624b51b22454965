/** JSON from downloaded files. */

import { ResnetError } from '../../models/errors.js';
import { label } from './messages.js';

export function isRecord(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

/** Parses UTF-8 JSON. Throws, `subject` first, if it is neither. */
export function parseJson(subject: string, bytes: Uint8Array): { text: string; value: unknown } {
  try {
    const text = new TextDecoder('utf-8', { fatal: true }).decode(bytes);
    return { text, value: JSON.parse(text) };
  } catch (cause) {
    // The message may quote the text.
    const reason = label((cause as Error).message);
    throw new ResnetError('weights', `${subject}: expected JSON, got ${bytes.length} bytes that are not (${reason}).`, {
      cause,
    });
  }
}

/**
 * Finds a key that the outermost object, or one directly in it, has twice: JSON.parse keeps the last and says nothing.
 * The text must be JSON.
 */
export function duplicateKey(text: string): string | undefined {
  const keys = [new Set<string>(), new Set<string>()];
  let depth = -1;
  for (let at = 0; at < text.length; at++) {
    const char = text[at];
    if (char === '{' || char === '[') keys[++depth]?.clear();
    else if (char === '}' || char === ']') depth--;
    else if (char === '"') {
      const start = at;
      while (text[++at] !== '"') if (text[at] === '\\') at++;
      let next = at + 1;
      while (/\s/.test(text.charAt(next))) next++;
      const seen = keys[depth];
      if (text[next] !== ':' || !seen) continue;
      const key = JSON.parse(text.slice(start, at + 1)) as string;
      if (seen.has(key)) return key;
      seen.add(key);
    }
  }
  return undefined;
}
