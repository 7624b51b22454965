#!/usr/bin/env node
/** The program resnet-wasm: its commands, exit codes and signals. */

import { readFileSync } from 'node:fs';
import { setFlagsFromString } from 'node:v8';
import { Command, CommanderError } from 'commander';
import { enableWideVectors, supportsRelaxed } from '../bindings/index.node.js';
import { batchCommand } from './batch.js';
import { benchCommand } from './bench.js';
import { classifyCommand } from './classify.js';
import { compareCommand } from './compare.js';
import { convertCommand } from './convert.js';
import { embedCommand } from './embed.js';
import { reportFailure } from './failure.js';
import { inferCommand } from './infer.js';
import { inspectCommand } from './inspect.js';
import { modelsCommand } from './models.js';
import { heedProxies } from './proxy.js';
import { pullCommand } from './pull.js';
import { searchCommand } from './search.js';
import { serveCommand } from './serve.js';
import { summaryCommand } from './summary.js';
import { teachCommand } from './teach.js';

const NOTES = `
Examples:
  resnet-wasm classify cat.jpg
  resnet-wasm classify photos --json > answers.json
  resnet-wasm summary resnet50

Exit codes: 0, 1 for a failure (with one line on stderr), 2 for a usage error, 130 for Ctrl-C.`;

const SIGNALS = { SIGHUP: 129, SIGINT: 130, SIGTERM: 143 } as const;

// npm start passes Ctrl-C on to this process, to which the terminal has sent it already.
const ECHO_MS = 500;

/** Aborts at the first signal, so that partial files are removed; a later one ends the process at once. */
function untilSignal(): AbortSignal {
  const controller = new AbortController();
  let first: number | undefined;
  for (const [name, code] of Object.entries(SIGNALS)) {
    process.on(name, () => {
      first ??= performance.now();
      process.exitCode = code;
      if (performance.now() - first > ECHO_MS) process.exit();
      controller.abort(new Error(`Stopped by ${name}.`));
    });
  }
  return controller.signal;
}

function program(signal: AbortSignal): Command {
  // As deep below package.json as dist/cli.js is.
  const { version } = JSON.parse(readFileSync(new URL('../package.json', import.meta.url), 'utf8'));
  const commands = [
    classifyCommand(signal),
    embedCommand(signal),
    searchCommand(signal),
    teachCommand(signal),
    modelsCommand(),
    summaryCommand(),
    pullCommand(signal),
    inferCommand(signal),
    inspectCommand(signal),
    convertCommand(signal),
    benchCommand(signal),
    compareCommand(signal),
    serveCommand(signal),
    batchCommand(signal),
  ];
  const root = new Command('resnet-wasm')
    .description(
      'Classify pictures with residual networks on the CPU. The networks run in WebAssembly, without native code.',
    )
    .version(version, '--version')
    .addHelpText('after', NOTES)
    .exitOverride();
  for (const command of commands) root.addCommand(inheriting(command, root));
  return root;
}

/** Gives a command, and those in it, the settings of the program. */
function inheriting(command: Command, root: Command): Command {
  for (const each of command.commands) inheriting(each, root);
  return command.copyInheritedSettings(root);
}

async function main(): Promise<void> {
  // A reader that closes the pipe (| head) is no failure.
  process.stdout.on('error', (error: NodeJS.ErrnoException) => {
    if (error.code !== 'EPIPE') reportFailure(error, 'stdout');
    process.exit();
  });
  // No stream is left to report it on.
  process.stderr.on('error', () => process.exit(1));
  // Node 20 has relaxed SIMD behind this flag, which must be set before any binary is compiled.
  if (!supportsRelaxed()) setFlagsFromString('--experimental-wasm-relaxed-simd');
  if (!process.argv.includes('--no-wide')) enableWideVectors();
  heedProxies();

  const signal = untilSignal();
  try {
    await program(signal).parseAsync();
  } catch (error) {
    // commander throws for --help and --version too, with exit code 0.
    if (error instanceof CommanderError) process.exitCode = error.exitCode === 0 ? 0 : 2;
    else if (!signal.aborted) reportFailure(error);
  }
  // Work under way might still hold the process.
  if (signal.aborted) process.exit();
}

await main();
