/** Runs pickles without running anything that they name. */

import type { ByteStream } from '../../stream/byte-stream.js';
import { type Environment, Machine } from './machine.js';
import { BY_OPCODE } from './opcodes.js';

export type { Environment } from './machine.js';

/** Runs the pickle that the stream now is at, and leaves the stream after it. Throws one sentence, `subject` first. */
export const unpickle = (stream: ByteStream, subject: string, environment: Environment): Promise<unknown> =>
  new Machine(stream, subject, environment).run(BY_OPCODE);
