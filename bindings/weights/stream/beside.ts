/** Files beside other files. */

import { ResnetError } from '../../../models/errors.js';
import { shown } from '../../util/messages.js';

/**
 * Returns the path of a file beside another. Throws, `subject` first, if it leads elsewhere: what names it is a download,
 * and may not choose what else is read.
 */
export function checkedPath(subject: string, path: unknown): string {
  const isBeside =
    typeof path === 'string' &&
    !/[\\:\p{Cc}\p{Cs}]/u.test(path) &&
    path.split('/').every((part) => part !== '' && part !== '..');
  if (!isBeside) throw new ResnetError('weights', `${subject}: expected paths of files beside it, got ${shown(path)}.`);
  return path;
}

/** Finds the file that a model's `path` (relative, "/" between folders) names beside the file at `base`. */
export function sibling(base: string | URL, path: string): string | URL {
  if (typeof base === 'string') return base.replace(/[^/\\]*$/, '') + path;
  const url = new URL(path.split('/').map(encodeURIComponent).join('/'), base);
  // Every file needs the access token and the like.
  url.search = base.search;
  return url;
}
