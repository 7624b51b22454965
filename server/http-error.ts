/** Answers that are errors: a status and one sentence. */

import { ResnetError } from '../bindings/index.node.js';

export class HttpError extends Error {
  readonly status: number;
  readonly headers: Readonly<Record<string, string>>;

  constructor(status: number, message: string, headers: Readonly<Record<string, string>> = {}) {
    super(message);
    this.status = status;
    this.headers = headers;
  }
}

/** The caller closed the connection, so that nobody reads the answer. nginx's number, for logs and metrics alone. */
export const CLIENT_GONE = 499;

/** What is wrong with a request, from what was thrown. What is not the caller's fault is 500, and its sentence stays in the log. */
export function httpErrorOf(reason: unknown): HttpError {
  if (reason instanceof HttpError) return reason;
  if (!(reason instanceof ResnetError)) return new HttpError(500, 'The server failed; its log says why.');
  const { code, message } = reason;
  if (code === 'picture' || code === 'values') return new HttpError(422, message);
  if (code === 'argument') {
    const isLarge = / pixels, got /.test(message);
    return new HttpError(isLarge ? 413 : 400, message.replace(/; maxPixels can allow more(?=\.$)/, ''));
  }
  if (code === 'disposed') return new HttpError(503, 'The server is shutting down.');
  return new HttpError(500, 'The server failed; its log says why.');
}
