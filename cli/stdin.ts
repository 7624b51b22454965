/** Standard input as a picture or as weights. */

import type { Command } from 'commander';

/** Whether an argument means standard input, which may be a socket: that opens by no path. */
export const isStdin = (argument: string): boolean => /^(-|\/dev\/stdin|\/dev\/fd\/0)$/.test(argument);

/** Returns what `load`, `openWeights` and `inspectWeights` take for an argument: standard input is a stream. */
export const weightSource = (argument: string): string | AsyncIterable<Uint8Array> =>
  isStdin(argument) ? process.stdin : argument;

/** Reads all of standard input. */
export const readStdin = async (): Promise<Uint8Array<ArrayBuffer>> =>
  new Uint8Array(Buffer.concat(await process.stdin.toArray()));

/** Exits with a usage error if standard input is to be read twice. */
export function checkStdin(command: Command, args: readonly (string | undefined)[]): void {
  if (args.filter((argument) => argument !== undefined && isStdin(argument)).length < 2) return;
  command.error('error: standard input can be read once, not twice', { exitCode: 2 });
}
