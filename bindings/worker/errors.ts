/** Errors that cross to another thread, where their class, code and cause would be lost. */

import { type ErrorCode, ResnetError } from '../../models/errors.js';
import { isError } from '../util/realm.js';

export interface PostedError {
  readonly name: string;
  readonly message: string;
  readonly code: string | undefined;
  readonly cause: PostedError | undefined;
}

/** Causes of causes that are posted: a caller's error may be its own. */
const DEPTH = 4;

/** Makes what can be posted of anything thrown. */
export function posted(reason: unknown, depth = DEPTH): PostedError {
  const { name, message, code, cause } = (isError(reason) ? reason : new Error(String(reason))) as Error & {
    readonly code?: unknown;
  };
  return {
    name,
    message,
    code: typeof code === 'string' ? code : undefined,
    cause: cause === undefined || depth === 0 ? undefined : posted(cause, depth - 1),
  };
}

/** Makes the error again. */
export function restored({ name, message, code, cause }: PostedError): Error {
  const options = cause && { cause: restored(cause) };
  if (name === 'ResnetError') return new ResnetError(code as ErrorCode, message, options);
  return Object.assign(
    new ResnetError('worker', message, options),
    { name },
    code === undefined ? undefined : { code },
  );
}
