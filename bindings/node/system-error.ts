/** Errors of the operating system, made fit for a sentence about a file. */

import { ResnetError } from '../../models/errors.js';
import { plain } from '../util/messages.js';

const isSystemError = (reason: unknown): reason is NodeJS.ErrnoException & { code: string } =>
  typeof reason === 'object' && reason !== null && 'code' in reason && 'syscall' in reason;

/** What is the matter, without the path and the call that Node names: `permission denied (EACCES)`. */
export function faultOf(reason: unknown): string {
  if (!isSystemError(reason)) return plain(reason);
  if (reason.code === 'ENOENT' || reason.code === 'ENAMETOOLONG') return 'no such file';
  const [, what] = /^[A-Z0-9]+: (.*?), \w+( '|$)/s.exec(reason.message) ?? [];
  return what === undefined ? plain(reason) : `${what} (${reason.code})`;
}

/** Gives an error of the operating system a path if it has none, as of a write to a full disk; else returns it as it is. */
export const withPath = (path: string, reason: unknown): unknown =>
  isSystemError(reason) && reason.path === undefined
    ? new ResnetError('file', `${path}: ${faultOf(reason)}.`, { cause: reason })
    : reason;
