/** What goes wrong, in a form for programs. */

/**
 * Tells kinds of errors apart; a code means the same in every version, while sentences may change.
 *
 * - `argument`: an argument or option is not what was expected, or a name is none that there is.
 * - `weights`: a weight file is damaged, of another format, or not the network's.
 * - `picture`: a picture cannot be decoded.
 * - `values`: what the network computes is not finite.
 * - `file`: a file is missing or cannot be read.
 * - `download`: a server does not answer, or not with what was asked for.
 * - `storage`: weights cannot be kept, or what was kept is gone.
 * - `memory`: there is not enough of it.
 * - `unsupported`: this engine, or a package that is missing, cannot do it.
 * - `worker`: a worker did not start, or ended by itself.
 * - `disposed`: the model is no more.
 */
export type ErrorCode =
  | 'argument'
  | 'weights'
  | 'picture'
  | 'values'
  | 'file'
  | 'download'
  | 'storage'
  | 'memory'
  | 'unsupported'
  | 'worker'
  | 'disposed';

/** Every error of this package, but the reason of a caller's own signal: a sentence, a code and perhaps a cause. */
export class ResnetError extends Error {
  override readonly name = 'ResnetError';
  readonly code: ErrorCode;

  constructor(code: ErrorCode, message: string, options?: ErrorOptions) {
    super(message, options);
    this.code = code;
  }
}
