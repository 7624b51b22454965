/** `serve`: answers requests over HTTP. */

import { once } from 'node:events';
import { Command } from 'commander';
import { type ServeOptions, serve } from '../server/index.js';
import { isModelGiven, needWeights } from './load-model.js';
import {
  type ClassFlags,
  checkMean,
  classOptions,
  type ModelFlags,
  type PictureFlags,
  pictureOptions,
  port,
  positive,
  pretrainedOrNetwork,
} from './options.js';
import { replicaOpener, replicaOptions } from './replicas.js';
import { isStdin } from './stdin.js';

interface ServeFlags extends Omit<ModelFlags, 'model'>, PictureFlags, ClassFlags {
  readonly model: readonly string[];
  readonly host: string;
  readonly port: number;
  readonly workers?: number;
  readonly maxBatch: number;
  readonly batchWindow: number;
  readonly maxQueue?: number;
  readonly maxBody: number;
  readonly timeout: number;
  readonly allowUrls?: boolean;
  readonly quiet?: boolean;
}

const NOTES = `
Examples:
  resnet-wasm serve
  resnet-wasm serve --model resnet18,resnet50 --host 0.0.0.0 --port 80
  curl --data-binary @cat.jpg -H 'content-type: image/jpeg' localhost:8000/models/resnet50

  POST /models/{model}           Hugging Face's image classification: a picture, or {"inputs": base64}; [{"label", "score"}]
  POST /embed[?model=]           a picture, or {"inputs": base64 or a list, "normalize": false}; a list of numbers each
  POST /v2/models/{model}/infer  the Open Inference Protocol: FP32 tensors [N, C, H, W], or BYTES of pictures in base64
  GET  /v2/health/live, /v2/health/ready, /v2/models/{model}, /metrics (with the package prom-client)

Errors are {"error": "one sentence."}. Full queues answer 429 with Retry-After. The log is lines of JSON on stdout.
SIGTERM and Ctrl-C let requests that were accepted be answered; then the exit code is 0.
Needs the packages hono, @hono/node-server and sharp. The server has no passwords and no TLS: put a proxy before it.`;

/** Parses names with commas between them. */
const names = (text: string): string[] => text.split(',').map((name) => pretrainedOrNetwork(name.trim()));

export function serveCommand(signal: AbortSignal): Command {
  const command = new Command('serve')
    .description('Answer requests over HTTP')
    .option('--model <names>', 'networks, or their weights by name, with commas between', names, ['resnet50'])
    .option('--host <address>', 'address to listen on; 0.0.0.0 lets other machines in', '127.0.0.1')
    .option('--port <n>', 'port to listen on; 0 takes a free one', port, 8000)
    .option('--workers <n>', 'models of each name that run beside each other (default: one per core)', positive)
    .option('--max-batch <n>', 'pictures that a model takes at a time', positive, 8)
    .option('--batch-window <ms>', 'how long a picture waits for others that come with it', positive, 2)
    .option(
      '--max-queue <n>',
      'pictures that wait for a model before requests are refused (default: 64 per worker)',
      positive,
    )
    .option('--max-body <bytes>', 'largest body of a request', positive, 10 * 2 ** 20)
    .option('--timeout <seconds>', 'how long a request may take', positive, 30)
    .option('--allow-urls', 'let requests name pictures by URL, which are fetched from public addresses alone')
    .option('--quiet', 'log failures alone');
  for (const option of [...replicaOptions(), ...pictureOptions(), ...classOptions()]) command.addOption(option);
  return command.addHelpText('after', NOTES).action(async (flags: ServeFlags) => {
    for (const model of flags.model) needWeights(command, { ...flags, model });
    checkWeights(command, flags);
    checkMean(command, flags);
    await run(flags, isModelGiven(command), signal);
  });
}

/** Exits with a usage error if weights cannot be those of every model and worker. */
function checkWeights(command: Command, { model, weights }: ServeFlags): void {
  if (weights === undefined) return;
  const wrong =
    model.length > 1
      ? `option '--weights <file>' goes with one model, not ${model.length}`
      : isStdin(weights)
        ? "option '--weights <file>' takes a file or URL here, since each worker reads it"
        : undefined;
  if (wrong) command.error(`error: ${wrong}`, { exitCode: 2 });
}

async function run(flags: ServeFlags, isGiven: boolean, signal: AbortSignal): Promise<void> {
  const { host, port, workers, maxBatch, batchWindow, maxQueue, maxBody, maxPixels, timeout, allowUrls, quiet } = flags;
  const models = Object.fromEntries(
    flags.model.map((model) => [model, replicaOpener({ ...flags, model }, isGiven, signal)]),
  );
  const options: ServeOptions = {
    ...{ models, host, port, workers, maxBatch, maxQueue, maxPixels, allowUrls },
    batchWindowMs: batchWindow,
    maxBodyBytes: maxBody,
    timeoutMs: timeout * 1000,
    log(entry) {
      if (!quiet || entry.level === 'error') process.stdout.write(`${JSON.stringify(entry)}\n`);
    },
  };
  const server = await serve(options);
  if (!signal.aborted) await once(signal, 'abort');
  await server.close();
  // What was accepted is answered: that is no failure.
  process.exitCode = 0;
}
